"""The demo: every part on the embedded hub, as a newcomer without a key sees it."""

from __future__ import annotations

import ast

import pytest

from hubmix.cli import demo
from tests.cli.conftest import Command

pytest.importorskip("langchain", reason="needs the frameworks of make demo")
pytest.importorskip("llama_index.core")


@pytest.fixture(scope="module")
def warm() -> dict[str, str]:
    return {}


@pytest.fixture
def shown(warm: dict[str, str], hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the demo wrote; it runs once for all tests here."""
    for name in ("HUBMIX_API_KEY", "AIHUBMIX_API_KEY", "AIHUBAPI_API_KEY", "OPENAI_API_KEY", "HUBMIX_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    if not warm:
        done = hubmix("demo")
        assert done.code == 0, done.err
        warm["out"] = done.out
    return warm["out"]


def test_demo_runs_each_part_and_shows_its_code(shown: str) -> None:
    assert "skipped" not in shown
    said, chain, agent, index = shown.split("\n== ")[:4]
    assert said.startswith("No key found")
    assert 'ChatHubmix(model="gpt-4o-mini", hub=hub)' in chain
    assert "A stream changes its model only before its first word" in chain
    assert "sources: failover" in chain
    assert "ai: {'a': 17, 'b': 23}\ntool: 391\nai: 391" in agent
    assert 'Hubmix("gpt-4o-mini", hub=hub)' in index
    assert "sources: failover (" in index


def test_demo_survives_what_the_plain_client_does_not(shown: str) -> None:
    faults = shown.partition("== The same faults")[2]
    told = {
        title: line.partition("ChatHubmix")[2].strip()
        for title, _, line in (block.partition("\n") for block in faults.split("\n\n"))
        if "  ChatHubmix" in line
        for line in [next(one for one in line.splitlines() if one.startswith("  ChatHubmix"))]
    }
    answered = "'The kettle holds 1.7 litres.' (by "
    assert told["The vendor of gpt-4o is down (503)"] == f"{answered}gpt-4o-mini, 3 requests)"
    assert told["The stream is cut before its first word"].startswith(f"{answered}gpt-4o-mini")
    assert told["The stream is cut later, and the hub ends it as if it were whole"].endswith("marked incomplete)")
    assert told["The model was retired"] == f"{answered}gpt-4o-mini, 2 requests)"
    assert told["The model is served on /v1/responses only"] == f"{answered}o3-pro, 1 request, over responses)"
    assert told["The account is empty, and there is a second hub"] == f"{answered}gpt-4o of the second hub, 1 request)"
    assert "then BudgetExceededError" in told["A loop asks on and on, with a budget of $0.003"]


def test_demo_tells_its_cost_and_what_next(shown: str) -> None:
    cost, follows = shown.split("\n== ")[-2:]
    assert "USD 0.000" in cost
    assert "unknown" not in cost
    assert 'hubmix chat "Why is the sky blue?" --fallback auto' in follows


@pytest.mark.parametrize("part", [part for _, part in demo.PARTS], ids=lambda part: part.__name__)
def test_code_of_a_part_is_python_with_its_models(part: object) -> None:
    code = demo.code_of(part, model="gpt-4o-mini", embedding="some-embedding")  # type: ignore[arg-type]
    ast.parse(code)
    assert '"gpt-4o-mini"' in code
    assert "=model" not in code
