"""hubmix doctor: what it finds, and what it says to do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from hubmix import Hub
from hubmix.cli.checks import Check, Outcome, Surroundings, examine
from hubmix.cli.connection import connect_each
from hubmix.cli.doctor import _show
from hubmix.embedded import EmbeddedHub
from tests.cli.conftest import Command, Done
from tests.support.answers import Answer, body, completion, error
from tests.support.scripted_hub import ScriptedHub

if TYPE_CHECKING:
    import typer

STEPS = ["settings", "dns", "tcp", "tls", "key", "catalog", "call"]


def outcomes(done: Done) -> dict[str, str]:
    return {check["name"]: check["outcome"] for check in json.loads(done.out)["checks"]}


def advice(done: Done) -> dict[str, str]:
    return {check["name"]: check["advice"] for check in json.loads(done.out)["checks"] if check["advice"]}


def test_all_is_well(hubmix: Command) -> None:
    done = hubmix("doctor")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[1] for line in lines if line and line[0] != " " and not line.startswith("All")] == STEPS
    assert lines[-1] == "All is well."
    assert "FAILED" not in done.out
    assert done.err == ""


def test_the_same_as_json(hubmix: Command) -> None:
    done = hubmix("doctor", "--json")
    assert json.loads(done.out)["ok"] is True
    assert outcomes(done) == {step: "skipped" if step == "tls" else "ok" for step in STEPS}


def test_the_call_can_be_left_out_or_sent_to_a_model(hubmix: Command, server: EmbeddedHub) -> None:
    assert outcomes(hubmix("doctor", "--no-call", "--json"))["call"] == "skipped"
    assert not [one for one in server.requests if one.path.endswith("/chat/completions")]
    assert "embedded/extract answered" in hubmix("doctor", "-m", "embedded/extract").out


def test_it_says_which_variable_named_the_hub(
    hubmix: Command, server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(*arguments: str) -> str:
        return str(json.loads(hubmix("doctor", "--no-call", "--json", *arguments).out)["checks"][0]["found"])

    assert settings() == f"{server.base_url} (from HUBMIX_BASE_URL)"
    given = settings("--base-url", server.base_url)
    assert given == f"{server.base_url} (named on the command line; HUBMIX_BASE_URL not used)"
    monkeypatch.delenv("HUBMIX_BASE_URL")
    assert settings("--base-url", server.base_url) == server.base_url
    monkeypatch.setenv("AIHUBMIX_BASE_URL", server.base_url)
    assert settings().endswith(f"{server.base_url} (from AIHUBMIX_BASE_URL)")


def test_nothing_listens(hubmix: Command) -> None:
    done = hubmix("doctor", "--base-url", "http://127.0.0.1:1/v1", "--json")
    assert done.code == 1
    assert outcomes(done) == {
        "settings": "ok",
        "dns": "ok",
        "tcp": "failed",
        "tls": "skipped",
        "key": "ok",
        "catalog": "skipped",
        "call": "skipped",
    }
    assert "start the hub" in advice(done)["tcp"]
    text = hubmix("doctor", "--base-url", "http://127.0.0.1:1/v1").out
    assert "-> Nothing listens there" in text
    assert "1 problem; begin with the first: tcp." in text


def test_no_such_host(hubmix: Command) -> None:
    done = hubmix("doctor", "--base-url", "https://hub.invalid/v1", "--json")
    assert outcomes(done)["dns"] == "failed"
    assert outcomes(done)["tcp"] == "skipped"
    assert "spelling" in advice(done)["dns"]


def test_no_key(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBMIX_API_KEY")
    done = hubmix("doctor", "--json")
    assert done.code == 1
    assert (outcomes(done)["key"], outcomes(done)["call"]) == ("failed", "skipped")
    assert advice(done) == {"key": "export HUBMIX_API_KEY=<your key>"}


def test_a_wrong_key(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", "sk-test-wrong")
    done = hubmix("doctor", "--json")
    assert (outcomes(done)["catalog"], outcomes(done)["call"]) == ("failed", "failed")
    assert "new key" in advice(done)["call"]
    assert "new key" in advice(done)["catalog"]
    assert "sk-test-wrong" not in done.out + done.err


def test_half_a_catalog_is_no_reason_for_a_new_key(hubmix: Command, server: EmbeddedHub) -> None:
    server.fault("/v1/models", "html", times=None)
    done = hubmix("doctor", "-m", "embedded/echo", "--json")
    assert (outcomes(done)["catalog"], outcomes(done)["call"]) == ("failed", "ok")
    assert advice(done) == {"catalog": "The list in hand may be old or lack models; calls do not need it."}


def test_a_wrong_model(hubmix: Command) -> None:
    done = hubmix("doctor", "-m", "embedded/extrct", "--json")
    assert outcomes(done)["call"] == "failed"
    assert "hubmix models" in advice(done)["call"]


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port that accepts connections and says something that is not TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_no_tls_where_it_is_due(hubmix: Command, deaf: int) -> None:
    done = hubmix("doctor", "--base-url", f"https://127.0.0.1:{deaf}/v1", "--json")
    assert outcomes(done)["tcp"] == "ok"
    assert outcomes(done)["tls"] == "failed"
    assert "speaks https" in advice(done)["tls"]


def test_proxy_is_named_without_password_and_connects_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.example:3128")
    found = list(examine(Surroundings(Hub(base_url="https://hub.example/v1"), None, call=False)))
    by_name = {check.name: check for check in found}
    assert by_name["tcp"] == Check("tcp", Outcome.SKIPPED, "requests go through the proxy proxy.example:3128")
    assert "secret" not in str(found)


def test_a_hub_without_a_catalog_can_still_be_called(hubmix: Command, server: EmbeddedHub) -> None:
    for path in ("/v1/models", "/api/pricing"):
        server.fault(path, "html", times=None)
    done = hubmix("doctor", "-m", "embedded/echo", "--json")
    assert (outcomes(done)["catalog"], outcomes(done)["call"]) == ("failed", "ok")
    assert "without a catalog" in advice(done)["catalog"]


def doctor_of(hubmix: Command, serve: Callable[..., ScriptedHub], pages: dict[str, Answer]) -> Done:
    answered = serve(completion("OK"), pages=pages)
    return hubmix("doctor", "--json", "--base-url", answered.base_url)


def test_key_that_works_is_not_to_be_replaced(hubmix: Command, serve: Callable[..., ScriptedHub]) -> None:
    """Some hubs keep their list from a key that is good for calls."""
    prices = {"success": True, "data": [{"model_name": "gpt-4o-mini", "quota_type": 0, "model_ratio": 1}]}
    done = doctor_of(hubmix, serve, {"/v1/models": error(401, "no"), "/api/pricing": body(prices)})
    assert (outcomes(done)["catalog"], outcomes(done)["call"]) == ("failed", "ok")
    assert "new key" not in str(advice(done))
    assert "good for calls" in advice(done)["catalog"]


@pytest.mark.parametrize("dialect", ["new-api", "one-hub"])
@pytest.mark.parametrize("state", ["expired", "spent", "banned"])
def test_refused_key_has_one_advice(hubmix: Command, dialect: Any, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list says less of a key than a call does."""
    monkeypatch.setenv("HUBMIX_API_KEY", "sk-own")
    with EmbeddedHub(dialect, keys={"sk-own": state}) as hub:
        done = hubmix("doctor", "--json", "--base-url", hub.base_url)
    assert (outcomes(done)["catalog"], outcomes(done)["call"]) == ("failed", "failed")
    assert advice(done)["catalog"] == advice(done)["call"] != ""


def test_model_that_the_key_may_not_call_is_not_called(hubmix: Command, serve: Callable[..., ScriptedHub]) -> None:
    rows = [{"model_name": name, "quota_type": 0, "model_ratio": 1} for name in ("gpt-4o-mini", "mine")]
    pages = {
        "/v1/models": body({"object": "list", "data": [{"id": "mine"}]}),
        "/api/pricing": body({"success": True, "data": rows}),
    }
    done = doctor_of(hubmix, serve, pages)
    told = {check["name"]: check["found"] for check in json.loads(done.out)["checks"]}
    assert "2 models from new-api + openai, 1 of them for this key" in told["catalog"]
    assert told["call"].startswith("mine answered")


@pytest.mark.parametrize("terminal", [True, False])
def test_hubs_words_are_shown_not_obeyed(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hubmix.cli.screen.on_terminal", lambda stream: terminal)
    _show(Check("call", Outcome.OK, "\x1b]0;pwned\x07\x1b[2Jevil\n2026-01-01 CRITICAL forged line answered"))
    out = capsys.readouterr().out
    assert "pwned" in out
    assert "\x1b]0;" not in out
    assert "\x1b[2J" not in out
    assert "\n2026" not in out


# -- several hubs -----------------------------------------------------------------------------------------------------


def test_each_of_several_hubs_is_checked(hubmix: Command, server: EmbeddedHub) -> None:
    done = hubmix("doctor", "--no-call", "--base-url", server.base_url, "--base-url", "http://127.0.0.1:1/v1", "--json")
    told = json.loads(done.out)
    assert (done.code, told["ok"]) == (1, False)
    assert [(one["hub"], one["ok"]) for one in told["hubs"]] == [
        (server.base_url, True),
        ("http://127.0.0.1:1/v1", False),
    ]
    assert [check["name"] for check in told["hubs"][1]["checks"]] == STEPS


def test_several_hubs_are_told_apart_on_paper(hubmix: Command, server: EmbeddedHub) -> None:
    done = hubmix("doctor", "--no-call", "--base-url", server.base_url, "--base-url", "http://127.0.0.1:1/v1")
    lines = done.out.splitlines()
    assert lines[0] == server.base_url
    assert "http://127.0.0.1:1/v1" in lines
    assert lines[-1] == "1 problem; begin with the first: tcp at http://127.0.0.1:1/v1."


def test_one_key_for_two_hubs_is_told(hubmix: Command, serve: Callable[..., ScriptedHub]) -> None:
    """`HUBMIX_API_KEY` stands for every hub that is named."""
    hubs = [serve(completion("OK")), serve(completion("OK"))]
    given = [part for hub in hubs for part in ("--base-url", hub.base_url)]
    first, second = json.loads(hubmix("doctor", "--json", *given).out)["hubs"]
    keys = [check for report in (first, second) for check in report["checks"] if check["name"] == "key"]
    assert keys[0]["advice"] == ""
    assert keys[1]["found"].endswith(f"the same as for {hubs[0].base_url}")
    assert "key of its own" in keys[1]["advice"]


def test_hubs_known_by_name_are_each_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIHUBMIX_API_KEY", "sk-test")
    monkeypatch.setenv("AIHUBAPI_API_KEY", "sk-test-2")
    hubs = connect_each(cast("typer.Context", SimpleNamespace(obj=None)), ["aihubmix", "aihubapi", "aihubmix"], None)
    assert [hub.name for hub in hubs] == ["aihubmix", "aihubapi"]
    assert [hub.key_source for hub in hubs] == ["AIHUBMIX_API_KEY", "AIHUBAPI_API_KEY"]


def test_a_name_and_a_url_are_one_hub() -> None:
    context = cast("typer.Context", SimpleNamespace(obj=None))
    [hub] = connect_each(context, ["aihubmix"], ["http://127.0.0.1:1/v1"])
    assert (hub.name, hub.base_url) == ("aihubmix", "http://127.0.0.1:1/v1")
