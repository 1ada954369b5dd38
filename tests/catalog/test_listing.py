"""Filters, sorting, and how lists and models look."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hubmix import _compat
from hubmix.catalog import ModelInfo, ModelList, Pricing, cells
from hubmix.catalog.listing import LeftOut, select
from hubmix.catalog.models import CatalogInfo, age_text
from hubmix.catalog.pricing import Tier
from hubmix.catalog.readers import read_aihubmix
from hubmix.errors import ConfigurationError
from tests.catalog.test_catalog import AIHUBMIX, MODELS, catalog
from tests.support.catalog_fakes import FakeFetch, ids_answer, sample


def price(amount: str, output: str | None = None) -> Pricing:
    return Pricing(input=Decimal(amount), output=None if output is None else Decimal(output))


ALL = ModelList(
    [
        ModelInfo("small", owner="A", context_window=8_192, pricing=price("0.15", "0.6"), tools=True),
        ModelInfo("Large", owner="B", context_window=131_072, pricing=price("3", "15"), tools=True, vision=True),
        ModelInfo("mystery", owner="A"),
        ModelInfo("gift", context_window=65_536, pricing=price("0", "0"), tools=False, input_modalities=("text",)),
        ModelInfo("flat", owner="B", pricing=Pricing(per_call=Decimal("0.04"))),
        ModelInfo("vectors", owner="A", kind="embedding", context_window=8_191, pricing=price("0.02")),
    ]
)


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, ["small", "Large", "mystery", "gift", "flat"]),
        ({"kind": "embedding"}, ["vectors"]),
        ({"kind": None, "owner": "a"}, ["small", "mystery", "vectors"]),
        ({"query": "LARGE"}, ["Large"]),
        ({"query": "b flat"}, ["flat"]),
        ({"supports": {"tools"}}, ["small", "Large"]),
        ({"supports": "tools, vision"}, ["Large"]),
        ({"supports": ["function_calling"]}, ["small", "Large"]),
        ({"supports": "thinking"}, []),
        ({"modalities": {"text"}}, ["gift"]),
        ({"min_context": 65_536}, ["Large", "gift"]),
        ({"max_input_price": 0.15}, ["small", "gift"]),
        ({"max_input_price": Decimal("0.14")}, ["gift"]),
        ({"max_output_price": 1}, ["small", "gift"]),
        ({"max_input_price": 1, "unknown_prices": True}, ["small", "mystery", "gift"]),
        ({"free": True}, ["gift"]),
        ({"free": False}, ["small", "Large", "flat"]),
        ({"sort": "id"}, ["flat", "gift", "Large", "mystery", "small"]),
        ({"sort": "context_window"}, ["small", "gift", "Large", "flat", "mystery"]),
        ({"sort": "context", "descending": True}, ["Large", "gift", "small", "flat", "mystery"]),
        ({"sort": "price"}, ["gift", "small", "Large", "flat", "mystery"]),
        ({"sort": "owner", "limit": 2}, ["mystery", "small"]),
        ({"limit": 0}, []),
    ],
)
def test_criteria(criteria: dict[str, Any], expected: list[str]) -> None:
    assert ALL.filter(**({"kind": "chat"} | criteria)).ids == expected


@pytest.mark.parametrize("criteria", [{"kind": "chta"}, {"sort": "created"}, {"limit": -1}])
def test_a_criterion_that_does_not_exist_is_an_error(criteria: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ALL.filter(**criteria)


def test_the_catalogs_list_takes_the_same_criteria() -> None:
    models = catalog(FakeFetch({AIHUBMIX: sample("aihubmix_documented.json")}), sources=("aihubmix",))
    assert models.list("claude", supports={"tools"}, max_input_price=3).ids == ["claude-sonnet-4-6"]
    with pytest.raises(ConfigurationError, match=r"'tool' is nothing that this hub says of a model.*tools, vision"):
        models.list(supports=["tools", "tool"])
    assert models.list(supports="tools").filter(supports="tool").ids == []  # a part of a list may lack the hub's word
    assert models.list(sort="context_window", descending=True).ids[0] == "gpt-5"
    assert models.list(kind="embedding").ids == ["text-embedding-3-small"]
    assert len(models.list(kind=None)) == 4


async def test_both_lists_hold_chat_models_sorted_by_id() -> None:
    models = catalog(FakeFetch({MODELS: ids_answer("zebra", "alpha", "text-embedding-3-small")}))
    assert models.list().ids == (await models.alist()).ids == ["alpha", "zebra"]
    assert models.list(available=True).ids == ["alpha", "zebra"]


def test_it_is_a_sequence() -> None:
    assert len(ALL) == 6
    assert ALL[0].id == "small"
    assert isinstance(ALL[1:3], ModelList)
    assert ALL[1:3].ids == ["Large", "mystery"]
    assert "gift" in ALL
    assert "nothing" not in ALL
    assert ALL[0] in ALL
    assert ModelList(list(ALL)) == ALL
    assert pickle.loads(pickle.dumps(ALL)) == ALL
    assert hash(ALL[0]) == hash(ModelInfo(**{name: getattr(ALL[0], name) for name in ModelInfo.__slots__}))


def test_text_is_aligned_and_shows_what_is_unknown() -> None:
    lines = repr(ALL).splitlines()
    assert lines[0].split() == ["id", "owner", "kind", "context", "max", "out", "in", "$/1M", "out", "$/1M", "supports"]
    assert lines[2].startswith("small")
    assert "8,192" in lines[2]
    column = lines[0].index("kind")
    assert all(line[column - 1] == " " for line in lines[2:-1])
    assert "?" in lines[4]
    assert "0.04/call" in repr(ALL)
    assert lines[-1] == "6 models"
    assert repr(ModelList([])) == "no models"
    assert "... 40 more" in repr(ModelList([ModelInfo(f"m{n}") for n in range(100)]))


def test_wide_characters_take_two_columns() -> None:
    lines = repr(ModelList([ModelInfo("m", owner="月之暗面"), ModelInfo("m", owner="Vendor")])).splitlines()
    assert lines[2].index("chat") + 4 == lines[3].index("chat") == lines[0].index("kind") == 14


def test_html_is_escaped_and_has_no_colours_of_its_own() -> None:
    evil = ModelInfo("<script>alert('x')</script>", owner='"><img src=x>', description="<b>")
    for html in (ModelList([evil])._repr_html_(), evil._repr_html_()):
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;" in html
        assert "background:transparent" in html
        assert "color:inherit" in html
        assert "#" not in html.replace("&#x27;", "")
    assert "no models" in ModelList([])._repr_html_()


def test_a_card_shows_where_each_fact_is_from() -> None:
    html = ModelInfo("m", context_window=8_192, source={"context_window": "aihubmix"})._repr_html_()
    assert "8,192" in html
    assert "aihubmix" in html


HOSTILE = "a\x1b[31m\x07\x00\x9b\u202eb\ud83d<b>"


def test_what_a_terminal_would_obey_is_spelt_out() -> None:
    info = ModelInfo(HOSTILE, name=HOSTILE, owner=HOSTILE, description=HOSTILE)
    spelt = r"a\x1b[31m\x07\x00\x9b\u202eb\ud83d"
    models = ModelList([info])
    assert f"{spelt}<b>  {spelt}<b>  chat" in repr(models)
    for html in (models._repr_html_(), info._repr_html_()):
        assert html.count(f"{spelt}&lt;b&gt;") >= 2
    for text in (repr(models), models._repr_html_(), info._repr_html_()):
        assert text.isascii()
        assert text.replace("\n", "").isprintable()


def test_a_line_break_in_an_id_does_not_break_the_table() -> None:
    assert len(repr(ModelList([ModelInfo("two\nlines")])).splitlines()) == 4


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = ALL.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["id"]) == ALL.ids
    assert frame.loc[1, "input_price"] == 3.0
    assert pandas.isna(frame.loc[2, "context_window"])
    assert frame.loc[4, "price_per_call"] == 0.04
    empty = ModelList([]).to_pandas()
    assert (len(empty), list(empty.columns)) == (0, list(frame.columns))


def test_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    import matplotlib.pyplot as plt

    plt.close("all")  # what another test has left open
    path = tmp_path / "prices.png"
    axes = ALL.plot(path=path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"A", "B", "unknown"}
    assert sum(len(points.get_offsets()) for points in axes.collections) == 4
    assert plt.get_fignums() == []
    assert [text.get_text() for text in ModelList([]).plot(price="output").texts] == ["No models."]
    empty = ModelList([ModelInfo("no-window", pricing=Pricing(input=Decimal(1)))]).plot()
    assert "of none of these models" in empty.texts[0].get_text()
    assert len(empty.get_xticks()) == len(empty.get_yticks()) == 0
    plt.close("all")
    with pytest.raises(ConfigurationError):
        ALL.plot(price="both")


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(_compat, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install \"hubmix\[notebook\]\""):
        ALL.to_pandas()
    with pytest.raises(ImportError, match="matplotlib"):
        ALL.plot()


def test_a_model_shows_what_matters() -> None:
    assert repr(ALL[1]) == (
        "ModelInfo('Large', kind='chat', owner='B', context_window=131072, supports=tools+vision, pricing=3 / 15)"
    )
    assert str(Pricing(per_call=Decimal("0.04"))) == "0.04 per call"
    assert str(Pricing(input=Decimal(1))) == "1 / ?"
    assert str(Pricing()) == "unknown"
    assert ALL[0].to_dict()["pricing"] == {"input": 0.15, "output": 0.6}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (7_200, "2 h ago"),
        (90_000, "25 h ago"),
        (259_200, "3 days ago"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


def test_the_state_in_words() -> None:
    assert str(CatalogInfo("http://h/v1")) == "http://h/v1: no list yet"
    full = CatalogInfo("http://h/v1", ("aihubmix", "openai"), 812, 7_300.0, last_error="<HTTP 500>")
    assert str(full) == "http://h/v1: 812 models from aihubmix + openai, as of 2 h ago (<HTTP 500>)"
    assert "&lt;HTTP 500&gt;" in full._repr_html_()


def test_a_plot_reads_no_formula_into_a_name(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    odd = ModelInfo(r"a$\frac{$" + HOSTILE, owner=r"$\bad{$", context_window=8_192, pricing=price("1", "2"))
    ModelList([odd]).plot(path=tmp_path / "odd.png")
    assert (tmp_path / "odd.png").exists()


# ---- what a list leaves out


def moment(year: int) -> datetime:
    return datetime(year, 9, 22, tzinfo=timezone.utc)


AGES = [
    ModelInfo("now"),
    ModelInfo("gone", retire_stage="retired", successor="now"),
    ModelInfo("dated", retired_at=moment(2020)),
    ModelInfo("going", retired_at=moment(2999), successor="now"),
    ModelInfo("warned", retire_stage="deprecating"),
    ModelInfo("old", deprecated_at=moment(2020)),
    ModelInfo("closed", available=False),
    ModelInfo("open", available=True),
]


def listed(**criteria: Any) -> ModelList:
    found, left_out = select(AGES, **criteria)
    return ModelList(found, left_out=left_out)


def test_retired_and_closed_models_are_left_out_and_counted() -> None:
    found = listed()
    assert found.ids == ["now", "going", "warned", "old", "open"]
    assert found.left_out == LeftOut(unavailable=1, retired=2, of=8)
    for shown in (repr(found), found._repr_html_()):
        assert "1 of 8: this key may not call them" in shown
        assert "2 of 8: retired (retired=True shows them)" in shown


def test_left_out_models_can_be_shown() -> None:
    assert len(listed(retired=True, available="any")) == 8
    assert listed(available=True, unknown=False).ids == ["open"]
    assert listed(available=False).ids == ["closed"]
    assert listed(available="any").filter().ids == listed(available="any").ids
    assert listed(retired=True).filter("gone").ids == ["gone"]


def test_deprecated_models_are_marked() -> None:
    states = {info.id: (info.retired, info.deprecated) for info in AGES}
    assert states["gone"] == states["dated"] == (True, False)
    assert states["going"] == states["warned"] == states["old"] == (False, True)
    assert states["now"] == (False, False)
    assert "deprecated, see now" in repr(listed())
    assert "retired, see now" in repr(listed(retired=True))
    assert "2999-09-22" in AGES[3]._repr_html_()
    assert "deprecated" in repr(AGES[3])


TIERED = Pricing(Decimal(1), Decimal(2), tiers=(Tier(100, Decimal(1), Decimal(2)), Tier(None, Decimal(9), Decimal(2))))


def test_price_by_length_counts_at_its_highest() -> None:
    tiered = ModelList([ModelInfo("tiered", pricing=TIERED)])
    assert tiered.filter(max_input_price=5).ids == []
    assert tiered.filter(max_input_price=9, max_output_price=2).ids == ["tiered"]
    assert "more for long prompts" in repr(tiered)


def test_prices_that_may_differ_are_counted() -> None:
    grouped = ModelList([ModelInfo("a", pricing=Pricing(Decimal(1), Decimal(2), note="the key's group")), ALL[0]])
    assert "; 1 of the prices may differ for your key" in repr(grouped)
    assert "1 of the prices may differ for your key" in grouped._repr_html_()
    assert "may differ" not in repr(ALL)


@pytest.mark.parametrize(
    "criteria",
    [{"supports": "tools"}, {"modalities": "image"}, {"min_context": 1}, {"max_input_price": 1}, {"free": True}],
)
def test_unknown_is_counted_and_can_be_shown(criteria: dict[str, Any]) -> None:
    models = [ModelInfo(f"m{at}") for at in range(5)]
    found, left_out = select(models, **criteria)
    assert (found, left_out) == ([], LeftOut(unknown=5, of=5))
    assert "5 of 5: this hub does not say" in repr(ModelList(found, left_out=left_out))
    assert "unknown=True shows them" in ModelList(found, left_out=left_out)._repr_html_()
    assert len(select(models, unknown=True, **criteria)[0]) == 5


def test_model_that_fails_one_criterion_is_not_unknown() -> None:
    models = [ModelInfo("m", tools=False), ModelInfo("n", tools=True), ModelInfo("o")]
    found, left_out = select(models, supports="tools", min_context=5)
    assert (found, left_out) == ([], LeftOut(unknown=2, of=2))


def test_end_of_a_model_is_json_safe() -> None:
    told = json.loads(json.dumps(AGES[3].to_dict()))
    assert (told["retired_at"], told["successor"], told["apis"]) == ("2999-09-22T00:00:00+00:00", "now", [])


@pytest.mark.parametrize(
    ("written", "year"),
    [("2026-09-22", 2026), ("2026-09-22T10:00:00Z", 2026), (1_790_000_000, 2026), (1_790_000_000_000, 2026),
     ("1790000000", 2026),
     ("soon", None), ("", None), (0, None), (None, None), (True, None), (-5, None), (10**30, None), ("9" * 50, None)],
)  # fmt: skip
def test_moment_is_read_from_dates_and_seconds(written: Any, year: int | None) -> None:
    found = cells.moment(written)
    assert (None if found is None else found.year) == year


def test_retirement_fields_of_aihubmix_are_read() -> None:
    row = {
        "model_id": "gpt-old",
        "retire_stage": "retired",
        "deprecated_at": "2026-08-01",
        "retired_at": "2026-09-22",
        "successor_model": "gpt-new",
        "output_modalities": "text,image",
        "reasoning_options": ["low", "High"],
        "promotion": "half price",
        "tool_call": True,
    }
    entry = read_aihubmix({"data": [row]})["gpt-old"]
    info = ModelInfo("gpt-old", **{name: value for name, value in entry.items() if name != "raw"})
    assert (info.retired, info.successor, info.tools) == (True, "gpt-new", True)
    assert (info.output_modalities, info.reasoning_options) == (("text", "image"), ("low", "high"))
    assert info.promotion == "half price"
