"""models, compare, embed, rerank, balance: what they print, and in which form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hubmix import __version__
from hubmix.cli import screen
from hubmix.cli.vectors import cosine
from hubmix.embedded import EmbeddedHub
from tests.cli.conftest import Command

AIHUBMIX_DIALECT = ("--hub", "aihubmix")


@pytest.fixture(scope="module")
def rich_hub() -> Iterator[EmbeddedHub]:
    """A hub with AIHubMix's rich catalog."""
    with EmbeddedHub(dialect="aihubmix") as running:
        yield running


def ids(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()[1:]]


# ---- models


def test_models_are_lines_of_columns(hubmix: Command, rich_hub: EmbeddedHub) -> None:
    done = hubmix("models", *AIHUBMIX_DIALECT, "--base-url", rich_hub.base_url)
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert re.split(r" {2,}", head) == [
        "model", "owner", "kind", "context", "max out", "in $/1M", "out $/1M", "supports",
    ]  # fmt: skip
    assert rows[1].split()[:7] == ["embedded/extract", "embedded", "chat", "131,072", "8,192", "0.15", "0.6"]
    assert done.err == f"{len(rows)} models; in all {len(rows)} chat, 2 embedding, 1 rerank\n"
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("think",), ["embedded/think", "embedded/think-strict"]),
        (("EMBEDDED", "strict"), ["embedded/think-strict"]),
        (("--supports", "reasoning,tools", "--limit", "1"), ["embedded/think"]),
        (("--supports", "vision", "--supports", "audio"), ["embedded/extract", "embedded/vision"]),
        (("--free", "--min-context", "4096"), ["embedded/echo", "embedded/lorem"]),
        (
            ("--not-free", "--min-context", "4096", "--supports", "reasoning"),
            ["embedded/think", "embedded/think-strict"],
        ),
        (("--max-input-price", "0.1", "--max-output-price", "1", "lorem"), ["embedded/lorem"]),
        (("--sort", "price", "--descending", "--limit", "2"), ["embedded/think", "embedded/think-strict"]),
        (("--sort", "context", "--limit", "1"), ["embedded/text"]),
        (("--kind", "rerank"), ["embedded/rerank"]),
        (("--kind", "all", "embed", "--owner", "Embedded", "--sort", "kind", "--limit", "0"), []),
    ],
)
def test_filters(hubmix: Command, rich_hub: EmbeddedHub, options: tuple[str, ...], found: list[str]) -> None:
    done = hubmix("models", *options, "--ids", *AIHUBMIX_DIALECT, "--base-url", rich_hub.base_url)
    assert done.code == 0
    assert done.out.split() == found


def test_what_the_hub_does_not_say_is_a_question_mark(hubmix: Command) -> None:
    done = hubmix("models", "embedded/extract")
    assert ids(done.out) == ["embedded/extract"]
    assert " ? " in done.out
    assert " 0.15 " in done.out


def test_models_as_json_and_as_ids(hubmix: Command) -> None:
    done = hubmix("models", "--kind", "all", "--json")
    found = json.loads(done.out)
    assert "embedded/embed" in {model["id"] for model in found}
    assert all(model["kind"] and "raw" not in model for model in found)
    assert hubmix("models", "--kind", "all", "--ids").out.split() == [model["id"] for model in found]


def test_an_id_with_control_characters_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(("model",), [("a\x1b[31m\nb\ud83d",)])
    assert capsys.readouterr().out.splitlines() == ["model", r"a\x1b[31m b\ud83d"]


def test_no_model_is_no_failure_and_says_so(hubmix: Command) -> None:
    done = hubmix("models", "nothing-like-this")
    assert (done.code, done.out) == (0, "")
    assert "no model of http://127.0.0.1" in done.err
    assert json.loads(hubmix("models", "nothing-like-this", "--json").out) == []


def test_a_mistyped_capability_names_the_known_ones(hubmix: Command, rich_hub: EmbeddedHub) -> None:
    done = hubmix("models", "--supports", "tools,visoin", *AIHUBMIX_DIALECT, "--base-url", rich_hub.base_url)
    assert (done.code, done.out) == (2, "")
    assert "'visoin'" in done.err
    assert "tools, vision, audio, pdf, reasoning, structured_output" in done.err


def test_a_plot_is_saved(hubmix: Command, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "prices.png"
    done = hubmix("models", "--plot", str(picture))
    assert done.code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in done.err
    for wrong in (tmp_path / "prices.xyz", tmp_path / "missing" / "prices.png"):
        done = hubmix("models", "--plot", str(wrong))
        assert done.code == 2
        assert str(wrong) in done.err


def test_a_hub_that_is_down_is_a_message(hubmix: Command) -> None:
    done = hubmix("models", "--base-url", "http://127.0.0.1:1/v1")
    assert (done.code, done.out) == (1, "")
    assert "http://127.0.0.1:1/v1" in done.err


# ---- compare

QUESTION = "The kettle holds 1.7 litres. What does the kettle hold?"


def test_models_are_compared(hubmix: Command) -> None:
    done = hubmix("compare", QUESTION, "-m", "embedded/extract,embedded/echo", "-m", "embedded/think")
    assert done.code == 0
    assert "== embedded/extract\n\nThe kettle holds 1.7 litres.\n" in done.out
    assert f"== embedded/echo\n\n{QUESTION}\n" in done.out
    table = done.out[done.out.index("model  ") :]
    assert ids(table) == ["embedded/extract", "embedded/echo", "embedded/think"]
    assert table.count(" ms ") == 3
    assert table.count("USD 0") == 3


def test_a_failure_is_the_result_of_its_model(hubmix: Command) -> None:
    done = hubmix("compare", QUESTION, "-m", "embedded/echo", "-m", "no-such-model", "--json")
    assert done.code == 1
    good, bad = json.loads(done.out)
    assert (good["answer"], good["error"]) == (QUESTION, None)
    assert good["cost_usd"] == 0
    assert good["first_token_seconds"] <= good["seconds"]
    assert good["tokens_per_second"] > 0
    assert (bad["answer"], bad["seconds"]) == (None, None)
    assert "no-such-model" in bad["error"]


def test_compared_models_share_a_budget_and_an_api(hubmix: Command) -> None:
    asked = ("compare", QUESTION, "-m", "embedded/extract,embedded/echo", "--json")
    refused = json.loads(hubmix(*asked, "--budget", "0.0000001").out)
    assert "has 0.0000001 USD left" in refused[0]["error"]
    assert hubmix(*asked, "--api", "responses").code == 0
    assert "--api must be one of" in hubmix(*asked, "--api", "letters").err


# ---- vectors


def test_vectors_are_lines_of_json(hubmix: Command) -> None:
    done = hubmix("embed", "ein Kätzchen", "an invoice", "-m", "embedded/embed")
    assert done.code == 0
    first, second = map(json.loads, done.out.splitlines())
    assert (first["index"], first["text"], second["index"]) == (0, "ein Kätzchen", 1)
    assert len(first["embedding"]) == len(second["embedding"]) == 256
    assert first["embedding"] != second["embedding"]
    assert done.err.startswith("embedded/embed · 2 × 256 dimensions · ")
    piped = hubmix("embed", "-m", "embedded/embed", "--json", stdin="ein Kätzchen\n\nan invoice\n")
    assert piped.out == done.out
    assert len(json.loads(hubmix("embed", "a", "-m", "embedded/embed", "--dimensions", "8").out)["embedding"]) == 8


def test_alike_is_a_cosine() -> None:
    assert cosine([1, 0], [2, 0]) == pytest.approx(1)
    assert cosine([1, 0], [0, 3]) == 0
    assert cosine([1, 1], [-1, -1]) == pytest.approx(-1)
    assert cosine([0, 0], [1, 1]) == 0


def test_documents_are_ordered(hubmix: Command, tmp_path: Path) -> None:
    red, water = "It is red.", "It holds much water."
    done = hubmix("rerank", "how much water", red, water, "-m", "embedded/rerank")
    assert done.code == 0
    assert [line.split(maxsplit=2)[1:] for line in done.out.splitlines()[1:]] == [["1", water], ["0", red]]
    assert hubmix("rerank", "how much water", "-m", "embedded/rerank", stdin=f"{red}\n{water}\n").out == done.out
    file = tmp_path / "kettle.md"
    file.write_text(water)
    (best,) = json.loads(
        hubmix("rerank", "water", red, "--file", str(file), "-n", "1", "-m", "embedded/rerank", "--json").out
    )
    assert (best["index"], best["name"], best["document"]) == (1, "kettle.md", water)
    assert best["score"] > 0
    assert hubmix("rerank", "water", "--file", str(tmp_path / "none.md")).code == 2


# ---- balance, version


def test_the_balance_is_said(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "unlimited key" in hubmix("balance").out
    with EmbeddedHub(keys={"sk-metered": 1.5}) as metered:
        monkeypatch.setenv("HUBMIX_API_KEY", "sk-metered")
        done = hubmix("balance", "--base-url", metered.base_url)
        said = json.loads(hubmix("balance", "--base-url", metered.base_url, "--json").out)
    assert done.code == 0
    assert "USD 1.5 left" in done.out
    assert (said["remaining"], said["currency"]) == (1.5, "USD")
    refused = hubmix("balance")
    assert refused.code == 1
    assert "does not accept" in refused.err


def test_the_version(hubmix: Command) -> None:
    assert hubmix("--version").out == f"hubmix {__version__}\n"


@pytest.mark.parametrize(
    "command", ["models", "chat", "compare", "embed", "rerank", "balance", "doctor", "serve-embedded", "demo"]
)
def test_every_command_explains_itself(hubmix: Command, command: str) -> None:
    done = hubmix(command, "--help")
    assert done.code == 0
    assert f"Usage: hubmix {command}" in done.out
    assert command == "demo" or "Examples:" in done.out
    assert command in hubmix("--help").out


@pytest.mark.parametrize(
    "command", ["models", "chat", "compare", "embed", "rerank", "balance", "doctor", "serve-embedded"]
)
def test_each_example_of_the_help_is_a_line(hubmix: Command, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be copied as it stands, also from the narrowest usual terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.rstrip() for line in hubmix(command, "--help").out.splitlines()]
    begin = lines.index(" Examples:") + 2
    shown = lines[begin : lines.index("", begin)]
    written = [line.strip() for line in app_help(command).splitlines() if line.startswith("    ")]
    assert len(written) >= 2
    assert [line.strip() for line in shown] == written
    assert all(line.startswith("     ") for line in shown), "set off from the text around it"


def app_help(command: str) -> str:
    from typer.main import get_command

    from hubmix.cli.app import app

    found = get_command(app).commands[command]  # type: ignore[attr-defined]  # a group, whatever its class here
    return found.help or ""


def test_the_import_of_the_sdk_is_no_time_of_a_models(server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubmix import Hub
    from hubmix.failover.options import CallOptions
    from hubmix.hub.compare import timed_stream
    from hubmix.transport.clients import ClientPool

    hub, clock = Hub(), [0.0]
    make = ClientPool.sync

    def slowly(pool: ClientPool) -> object:
        clock[0] += 3.0 if pool._sync is None else 0.0
        return make(pool)

    monkeypatch.setattr(ClientPool, "sync", slowly)
    monkeypatch.setattr("hubmix.hub.compare.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(hub.models, "warm", lambda: None)
    body = {"model": "embedded/echo", "messages": [{"role": "user", "content": "Hello"}]}
    timed = timed_stream(hub, body, CallOptions())
    assert clock[0] == 3.0
    assert timed.first == timed.total == 0.0
    hub.close()


def test_the_help_names_the_exit_codes(hubmix: Command) -> None:
    said = " ".join(hubmix("--help").out.split())
    for code in ("0 done", "1 a call failed", "2 a mistake", "130 Ctrl-C", "141"):
        assert code in said


def test_the_demo_is_that_of_the_package(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (0, 1, 130):
        monkeypatch.setattr("hubmix.cli.demo.main", lambda code=code: code)
        assert hubmix("demo").code == code


def test_the_examples_of_the_help_are_right() -> None:
    """Each example line is parsed as a user's command line is."""
    import shlex

    from typer.main import get_command

    from hubmix.cli.app import app

    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group, whatever class this Typer has for it
    tried = 0
    for name, command in commands.items():
        for line in (command.help or "").splitlines():
            example = line.strip().rpartition("| ")[2].partition(" < ")[0]
            if example.startswith("hubmix "):
                _, used, *arguments = shlex.split(example)
                assert used == name
                command.make_context(name, arguments)
                tried += 1
    assert tried > 15
