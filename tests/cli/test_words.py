"""The command speaks of flags and commands, and of no Python."""

from __future__ import annotations

import re

import pytest

from hubmix.cli.words import spoken
from hubmix.failover import failures
from hubmix.failover.failures import Failure
from tests.cli.conftest import Command

PYTHON = re.compile(r"\b\w+=|hub\.\w+|\w+\(\.*\)|[A-Z]\w+\([^)]|\bmax_tokens\b|\bapi_key\b")
FAILURES = [(name, value) for name, value in vars(failures).items() if isinstance(value, Failure)]


@pytest.mark.parametrize(("name", "failure"), FAILURES, ids=[name for name, _ in FAILURES])
def test_advice_of_every_failure_is_free_of_python(name: str, failure: Failure) -> None:
    texts = [value for field in failure.__slots__ if isinstance(value := getattr(failure, field), str)]
    assert len(texts) >= 2, "a failure says what happened and what to do"
    assert not [PYTHON.search(spoken(text)) for text in texts if PYTHON.search(spoken(text))]


def test_words_of_the_hub_stay_as_they_came() -> None:
    assert spoken('Raise max_tokens. What came back: "max_tokens is invalid"').endswith('"max_tokens is invalid"')
    assert spoken("Raise max_tokens.").startswith("Raise --max-tokens")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("models", "--sort", "x"), 2, "context, max_output, price"),
        (("models", "--kind", "x"), 2, "video, all."),
        (("--hub", "nope", "models"), 2, "name it with --base-url"),
        (("chat", "hi", "--api", "x"), 2, "--api must be one of"),
        (("chat", "hi", "--prefer", "x"), 2, "--prefer must be one of"),
        (("chat", "hi", "-m", "embedded/embed"), 1, "hubmix models --supports WORD"),
        (("chat", "hi", "-m", "no-such", "--budget", "1"), 1, "leave --budget out"),
    ],
)
def test_mistakes_are_told_in_flags(hubmix: Command, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = hubmix(*arguments)
    assert done.code == code
    assert words in done.err
    assert not PYTHON.search(done.err.partition("What came back")[0])


def test_near_names_are_suggested(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_CATALOG_REFRESH", "1")  # the error waits for the list
    listed = hubmix("models", "embedded/extrac-t")
    assert (listed.code, listed.out) == (0, "")
    assert "Did you mean embedded/extract" in listed.err
    assert "in all 14 chat, 2 embedding, 1 rerank" in listed.err or "rerank" in listed.err
    asked = hubmix("chat", "hi", "-m", "embedded/extrat")
    assert asked.code == 1
    assert "'embedded/extract'" in asked.err


def test_rerank_shows_no_more_than_top_n(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubmix import Hub

    whole = Hub.rerank
    monkeypatch.setattr(Hub, "rerank", lambda hub, payload, options: whole(hub, {**payload, "top_n": 3}))
    done = hubmix("rerank", "red", "red", "red cat", "dog", "--model", "embedded/rerank", "--top-n", "1")
    assert len(done.out.splitlines()) == 2  # the heading and one row


def test_budget_refuses_before_anything_is_sent(hubmix: Command, server: object) -> None:
    refused = hubmix("chat", "hi", "-m", "embedded/extract", "--budget", "0.0000001")
    assert refused.code == 1
    assert "the budget of 0.0000001 USD" in refused.err
    assert not [request for request in server.requests if request.method == "POST"]  # type: ignore[attr-defined]
    assert hubmix("chat", "hi", "-m", "embedded/extract", "--budget", "1").code == 0


def test_api_and_preference_reach_the_call() -> None:
    from hubmix.cli.chat import options_of

    options = options_of(["a"], 2.0, "responses", "price", "0.5")
    assert (options.api, options.prefer, options.fallbacks) == ("responses", "price", ("a",))
    assert options_of(None, None, "auto", "order", None).budget is None
