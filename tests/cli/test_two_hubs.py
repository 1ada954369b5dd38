"""`--fallback NAME/MODEL`: a model of another known hub, with that hub's own key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hubmix.embedded import EmbeddedHub
from hubmix.presets import AIHUBAPI, PRESETS
from tests.cli.conftest import Command
from tests.support.answers import Answer, ranking, text_stream, vectors
from tests.support.scripted_hub import Request, ScriptedHub

KEY = "sk-test-spare"


def well(request: Request) -> Answer:
    if request.path.endswith("/embeddings"):
        return vectors(request.body["input"])
    return ranking(0.1, 0.9) if request.path.endswith("/rerank") else text_stream("from the spare")


@pytest.fixture
def spare(serve: Callable[..., ScriptedHub], monkeypatch: pytest.MonkeyPatch) -> ScriptedHub:
    """A healthy hub in the place of AIHubAPI."""
    hub = serve(well)
    monkeypatch.setitem(PRESETS, "aihubapi", replace(AIHUBAPI, base_url=hub.base_url))
    monkeypatch.setenv("AIHUBAPI_API_KEY", KEY)
    return hub


@pytest.mark.parametrize(
    ("command", "model"),
    [
        (("chat", "Hi", "-m", "embedded/echo", "--fallback", "aihubapi/b"), "b"),
        (("embed", "a cat", "-m", "embedded/embed", "--fallback", "aihubapi/embedded/embed"), "embedded/embed"),
        (("rerank", "q", "one", "two", "-m", "embedded/rerank", "-f", "aihubapi/b", "--json"), "b"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_empty_wallet_goes_on_at_the_other_hub(
    hubmix: Command, server: EmbeddedHub, spare: ScriptedHub, command: tuple[str, ...], model: str
) -> None:
    server.fault("*", "account_empty", times=None)
    done = hubmix(*command)
    assert done.code == 0
    assert "quota" in done.err
    assert spare.models == [model]
    assert [request.headers["authorization"] for request in spare.requests] == [f"Bearer {KEY}"]
    assert server.api_key not in str(spare.requests)


def test_vectors_of_another_model_are_refused(hubmix: Command, spare: ScriptedHub) -> None:
    done = hubmix("embed", "a cat", "-m", "embedded/embed", "--fallback", "aihubapi/other")
    assert (done.code, spare.requests) == (2, [])
    assert "do not mix" in done.err


def test_key_of_the_first_hub_is_not_sent_to_another(
    hubmix: Command, server: EmbeddedHub, spare: ScriptedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIHUBAPI_API_KEY")
    done = hubmix("chat", "Hi", "-m", "embedded/echo", "--fallback", "aihubapi/b")
    assert (done.code, spare.requests) == (2, [])
    assert not [request for request in server.requests if request.method == "POST"]
    assert "AIHUBAPI_API_KEY" in done.err
