"""Starting and stopping: fast, complete, and nothing left behind."""

from __future__ import annotations

import asyncio
import pickle
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Any

import pytest

from hubmix.embedded import EmbeddedHub, Fault, refused_url
from hubmix.embedded.http import STREAM_TYPE, Response
from hubmix.embedded.http import send as put_on_wire
from tests.embedded.client import chat, send


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("embedded-hub")}


def test_it_starts_and_stops_fast_and_leaves_no_thread() -> None:
    before = _threads()
    took: list[float] = []
    while len(took) < 5 and min(took, default=1.0) >= 0.3:  # however busy the machine, one of five is fast
        started = time.perf_counter()
        with EmbeddedHub() as hub:
            ready = time.perf_counter()
            assert chat(hub).status == 200
            stopping = time.perf_counter()
        took.append(max(ready - started, time.perf_counter() - stopping))
        assert _threads() == before
    assert min(took) < 0.3


def test_what_it_says_of_itself() -> None:
    hub = EmbeddedHub()
    assert "closed" in repr(hub)
    with hub:
        assert hub.base_url == f"{hub.root_url}/v1"
        assert hub.root_url.startswith("http://127.0.0.1:")
        assert hub.base_url in repr(hub)
        assert hub.api_key == "sk-embedded"
        assert hub.api_key not in repr(hub)
        assert hub.dialect == "new-api"


def test_several_run_side_by_side() -> None:
    with EmbeddedHub() as one, EmbeddedHub("one-api") as other:
        assert one.base_url != other.base_url
        assert chat(one).status == chat(other).status == 200
        assert len(one.requests) == len(other.requests) == 1


@pytest.mark.parametrize("spec", ["stall", "stall:0", "stall:2"])
def test_it_stops_at_once_while_a_client_waits(spec: str) -> None:
    hub = EmbeddedHub().start()
    ended = threading.Event()

    def wait() -> None:
        try:
            chat(hub, "one two three", stream=True, headers={"x-embedded-fault": spec}, timeout=30)
        except OSError:
            pass
        ended.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not hub.requests:
        time.sleep(0.001)
    stopping = time.perf_counter()
    hub.close()
    assert time.perf_counter() - stopping < 5  # and not when the client's patience ends
    assert ended.wait(5)
    waiting.join()


def test_a_stall_ends_when_the_client_leaves() -> None:
    with EmbeddedHub() as hub:
        with pytest.raises(TimeoutError):
            chat(hub, headers={"x-embedded-fault": "stall"}, timeout=0.03)
        assert chat(hub).status == 200


def test_client_that_leaves_within_its_request_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"
    with EmbeddedHub() as hub:
        port = int(hub.base_url.split(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as left:
            left.sendall(head.encode())
        assert chat(hub).status == 200
        assert len(hub.requests) == 1
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_nothing_more_is_written_once_the_client_is_gone() -> None:
    """The server learns of it one turn later; asyncio warns of writes until then."""
    sent: list[bytes] = []

    class Transport:
        def is_closing(self) -> bool:
            return b"two" in sent

    async def write(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    response = Response(200, (b"one", b"two", b"three", b"four"), STREAM_TYPE)
    scope: Any = {"state": {"transport": Transport()}}
    await put_on_wire(response, scope, receive, write, asyncio.Event())
    assert sent == [b"", b"one", b"two"]


def test_starting_twice_is_an_error_and_closing_twice_is_not() -> None:
    hub = EmbeddedHub().start()
    with pytest.raises(RuntimeError, match="runs already"):
        hub.start()
    hub.close()
    hub.close()


def test_it_starts_again_on_its_port() -> None:
    hub = EmbeddedHub()
    with hub:
        url = hub.base_url
    with hub:
        assert hub.base_url == url
        assert chat(hub).status == 200


def test_a_taken_port_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            EmbeddedHub(port=taken.getsockname()[1]).start()


def test_wrong_settings_are_errors_that_name_the_right_ones() -> None:
    with pytest.raises(ValueError, match="new-api"):
        EmbeddedHub("openrouter")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match="spent"):
        EmbeddedHub(keys={"sk-test": "poor"})
    with pytest.raises(ValueError, match="extract"):
        EmbeddedHub(models={"gpt-4o": "genius"})
    with pytest.raises(ValueError, match="contextlength"):
        EmbeddedHub(models={"gpt-4o": {"contextlength": 3}})
    with pytest.raises(ValueError, match="vendor_429"):
        EmbeddedHub(faults={"*": "vendor_418"})


def test_requests_are_recorded_without_the_key(hub: EmbeddedHub) -> None:
    chat(hub, "Hello", stream=True, headers={"Accept-Language": "en", "x-api-key": "sk-test"})
    (request,) = hub.requests
    assert (request.method, request.path, request.model, request.stream) == (
        "POST",
        "/v1/chat/completions",
        "embedded/extract",
        True,
    )
    assert request.headers["accept-language"] == "en"
    assert "sk-" not in str(request)
    assert request.at <= time.monotonic()
    hub.clear()
    assert hub.requests == []


def test_clear_forgets_faults_spending_and_limits() -> None:
    with EmbeddedHub(rate_limit=1, keys={"sk-test": 0.5}) as hub:
        hub.fault("*", Fault.answer(503), times=None)
        assert chat(hub, key="sk-test").status == 503
        hub.clear()
        assert chat(hub, key="sk-test").status == 200
        assert chat(hub, key="sk-test").status == 429
        hub.clear()
        assert chat(hub, key="sk-test").status == 200


def test_nobody_listens_at_a_refused_url() -> None:
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(refused_url(), timeout=1)


def test_a_request_id_is_on_every_answer_and_never_twice(hub: EmbeddedHub) -> None:
    answers = [chat(hub), chat(hub, model="nobody"), send(hub, "GET", "/v1/nothing"), send(hub, "GET", "/")]
    ids = [answer.headers["x-oneapi-request-id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    assert ids[1] in answers[1].error["message"]


def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "hubmix.embedded", "--port", "0", "--dialect", "one-api", "--api-key", "sk-test"]
    with subprocess.Popen([*command, "--model", "gpt-4o"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url, key = process.stdout.readline().split()
            request = urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {key}"})
            with urllib.request.urlopen(request, timeout=5) as response:
                assert b'"gpt-4o"' in response.read()
        finally:
            process.terminate()


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_only_the_server_is_missing(missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
from hubmix.embedded import Fault
try:
    from hubmix.embedded import EmbeddedHub
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert "pip install 'hubmix[embedded]'" in run.stdout


def test_importing_the_package_does_not_import_the_server() -> None:
    code = "import sys, hubmix.embedded; print({'uvicorn', 'starlette', 'openai'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert run.stdout.strip() == "set()"


def test_a_fault_can_be_pickled() -> None:
    fault = Fault.cut(3, polite=False)
    assert pickle.loads(pickle.dumps(fault)) == fault
