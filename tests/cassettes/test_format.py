"""Cassettes are read back byte for byte, hold no secret, and are played in full."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import http.server
import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
import vcr

from tests.cassettes import format as cassette_format
from tests.cassettes import matchers
from tests.cassettes.format import CassetteDamagedError, Interaction, Recording, Serializer, dump, load
from tests.cassettes.playback import ROOT, CassetteMismatchError, configure, note_misses, play, record, verify
from tests.cassettes.scan import SecretFoundError, findings
from tests.support.processes import Child

OURS = sorted(path for kind in ("embedded", "live") for path in (ROOT / kind).rglob("*.yaml"))
GATEWAY = sorted((ROOT / "gateway").rglob("*.yaml"))
PROVENANCE = {"kind": "embedded", "test": "tests/embedded_cassettes/test_x.py::test_x", "recorded": "2026-11-21"}
LONG = "a1B2c3D4e5" * 3
SSE = b'data: {"a": 1}\n\n: PING\n\ndata: [DONE]\n\n'


def interaction(request: bytes = b'{"model":"m"}', response: bytes = SSE, **changes) -> Interaction:
    plain = Interaction(
        method="POST",
        uri="http://127.0.0.1:8000/v1/chat/completions",
        request_headers={"accept": ["application/json"], "content-type": ["application/json"]},
        request_body=request,
        status=200,
        reason="OK",
        response_headers={"content-type": ["text/event-stream"], "x-oneapi-request-id": ["20261121053627"]},
        response_body=response,
    )
    return replace(plain, **changes)


# ------------------------------------------------------------------------------------------------ the format


@pytest.mark.parametrize(
    "body",
    [
        b"",
        SSE,
        b'data: {"a":1}\r\n\r\ndata: [DONE]\r\n\r\n',
        b"data: x \n\n\n",
        b"  leading\n",
        '{"text":"Süß\\n冬 \\u0000"}'.encode(),
        b'{"a":1,"b":[null,true,1.5,1e-07,"on","2026-11-21","# no comment"],"model":"m"}',
        b'{"a": 1}',
        b'{"a":1,"a":2}',
        b'{"a":0.10}',
        b'{"a":"\\ud83d"}',
        b'{"a":NaN}',
        b"<html>\n\t<body>\x85\xe2\x80\xa8</body>",
        "NEL \x85, separator \u2028, bell \x07, emoji 🌍\n".encode(),
        b"\x1f\x8b\xff\x00 no text",
        b"[" * 20000,
    ],
)
def test_bodies_come_back_byte_for_byte(body):
    recording = Recording(PROVENANCE, [interaction(body, body)])
    assert load(dump(recording)) == recording


def test_json_body_is_kept_as_fields_and_stream_as_text():
    text = dump(
        Recording(PROVENANCE, [interaction(b'{"model":"m","messages":[{"role":"user","content":"Hi\\nyou"}]}')])
    )
    assert "        model: m\n        messages:\n        - role: user\n          content: |-\n            Hi\n" in text
    assert '      text: |+\n        data: {"a": 1}\n\n        : PING\n\n        data: [DONE]\n\n' in text


def test_only_listed_headers_are_kept():
    sent = {"accept": ["*/*"], "authorization": ["Bearer " + LONG], "user-agent": ["x"], "x-stainless-os": ["Linux"]}
    came = {"content-type": ["text/html"], "set-cookie": ["session=" + LONG], "server": ["x"], "retry-after": ["3"]}
    [kept] = load(dump(Recording(PROVENANCE, [interaction(request_headers=sent, response_headers=came)]))).interactions
    assert kept.request_headers == {"accept": ["*/*"]}
    assert kept.response_headers == {"content-type": ["text/html"], "retry-after": ["3"]}


def test_a_compressed_body_is_kept_as_what_was_compressed():
    came = {"content-type": ["application/json"], "content-encoding": ["gzip"]}
    packed = interaction(response=gzip.compress(b'{"a":1}'), response_headers=came)
    [kept] = load(dump(Recording(PROVENANCE, [packed]))).interactions
    assert kept.response_body == b'{"a":1}'
    assert "content-encoding" not in kept.response_headers


def test_any_changed_byte_is_noticed():
    content = dump(Recording(PROVENANCE, [interaction()])).encode()
    unnoticed = []
    for position, byte in enumerate(content):
        damaged = content[:position] + bytes([byte ^ 1]) + content[position + 1 :]
        try:
            load(damaged.decode())
        except CassetteDamagedError:
            continue
        unnoticed.append(position)
    assert unnoticed == []


def test_body_changed_under_a_new_checksum_is_noticed():
    text = dump(Recording(PROVENANCE, [interaction()])).replace('{"a": 1}', '{"a": 2}').partition("\n")[2]
    with pytest.raises(CassetteDamagedError, match="the body was changed"):
        load(f"checksum: {hashlib.sha256(text.encode()).hexdigest()}\n{text}")


@pytest.mark.parametrize("text", ["", "- a\n- list\n", "provenance: {}\n", "a: [1\n", "provenance: {kind: embedded}\n"])
def test_what_is_no_cassette_is_said_to_be_none(text):
    with pytest.raises(CassetteDamagedError):
        load(text)


# ------------------------------------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    "secret",
    [
        "sk-" + LONG,
        "sk-or-v1-" + LONG,
        "fd_" + LONG,
        "AIza" + LONG,
        "AKIA" + "QWERTZUIOPASDF",
        "Bearer " + LONG,
        "bearer abcdef",
        "Cookie: session=" + LONG,
        '"set-cookie": "a=b"',
        '"x-api-key": "short"',
        "APP-Code: ABCD1234",
        "https://hub.invalid/v1beta/models?key=" + LONG,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----",
        "jane.doe@mail.company.com",
        "203.0.113.7",
        "http://192.168.0.1:3000/v1",
        "2001:db8::8a2e:370:7334",
        "/home/jane/project",
    ],
)
def test_a_secret_is_found_and_never_saved(secret):
    assert list(findings(f"some text\n{secret}\nmore text"))
    with pytest.raises(SecretFoundError, match="not saved") as caught:
        dump(Recording(PROVENANCE, [interaction(response=json.dumps({"message": secret}).encode())]), "x.yaml")
    assert secret not in str(caught.value)


def test_a_secret_split_by_escapes_is_found():
    hidden = ("\\u0073k-" + LONG).encode()
    with pytest.raises(SecretFoundError):
        dump(Recording(PROVENANCE, [interaction(b'{"model":"' + hidden + b'"}')]))


@pytest.mark.parametrize(
    "harmless",
    [
        *("sk-test", "[sk-abc***xyz] is spent", "127.0.0.1:3000", "::1", "0.0.0.0", "v1.2.3.4.5", "12:30:45", "a::b"),
        *("@tool", "gpt-4o-mini-2024-07-18", "task-decomposition-of-long-problems", "use a bearer token", "Keys: all"),
    ],
)
def test_what_is_no_secret_is_left_alone(harmless):
    assert list(findings(f"some text\n{harmless}\nmore text")) == []


@pytest.mark.parametrize("paths", [GATEWAY, OURS], ids=["gateway", "ours"])
def test_no_committed_cassette_holds_a_secret(paths):
    assert {path.name: found for path in paths if (found := secrets_in(path))} == {}


def secrets_in(path: Path) -> list[Any]:
    text = path.read_bytes().decode("utf-8")
    bodies = [body for each in load(text).interactions for body in (each.request_body, each.response_body)]
    return list(findings("\n".join([text, *(body.decode("utf-8", "replace") for body in bodies)])))


# ------------------------------------------------------------------------------------------------ what is committed


def test_gateway_recordings_are_those_that_were_made():
    sums = (ROOT / "gateway" / "SHA256SUMS").read_text("utf-8").splitlines()
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in sums)}
    actual = {
        str(path.relative_to(ROOT / "gateway").as_posix()): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in GATEWAY
    }
    assert len(actual) == 1110
    assert actual == expected


@pytest.mark.parametrize("path", GATEWAY[::40], ids=lambda path: path.stem)
def test_gateway_recordings_are_called_by_their_name(path):
    provenance = load(path.read_text("utf-8")).provenance
    assert (provenance["kind"], provenance["case"]) == ("gateway", path.stem)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_own_recordings_belong_to_a_test_and_to_their_folder(path):
    provenance = load(path.read_bytes().decode("utf-8"), path.name).provenance
    assert provenance["kind"] == path.relative_to(ROOT).parts[0]
    file, _, name = provenance["test"].partition("::")
    assert f"def {name.rpartition('::')[2]}(" in (ROOT.parent / file).read_text("utf-8")


# ------------------------------------------------------------------------------------------------ playing


def client(port: int = 3002) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-test", max_retries=0)


def ask(sender: openai.OpenAI, model: str = "gpt-4o-mini", **more):
    return sender.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], **more)


CASE = ROOT / "gateway" / "new-api" / "ok.yaml"


def test_a_recorded_answer_is_played():
    with play(CASE):
        assert ask(client()).choices[0].message.content


def test_a_recorded_answer_is_played_to_an_async_client():
    async def run() -> str | None:
        sender = openai.AsyncOpenAI(base_url="http://127.0.0.1:3002/v1", api_key="sk-test", max_retries=0)
        messages = [{"role": "user", "content": "Hi"}]
        return (await sender.chat.completions.create(model="gpt-4o-mini", messages=messages)).choices[0].message.content

    with play(CASE):
        assert asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": "gpt-4o"}, r"recorded \(model, stream\) \('gpt-4o-mini', False\), sent \('gpt-4o', False\)"),
        ({"stream": True}, "sent .*True"),
        ({"port": 3000}, "3000"),
    ],
)
def test_other_request_fails_even_as_a_lost_connection(change, why):
    with pytest.raises(CassetteMismatchError, match=why):
        play_but_ask(change.pop("port", 3002), **change)


def test_an_interaction_that_nobody_asked_for_fails():
    with pytest.raises(CassetteMismatchError, match=r"never asked for: 1\. POST"), play(CASE):
        pass


def play_but_ask(port: int, times: int = 1, **change) -> None:
    """Ask for something, and swallow what comes of it as an application might."""
    with play(CASE):
        for _ in range(times):
            with contextlib.suppress(Exception):
                ask(client(port), **change)


def test_more_requests_than_recorded_fail_without_repeats():
    with pytest.raises(CassetteMismatchError, match="asked for more often"):
        play_but_ask(3002, times=2)
    with play(CASE, repeats=True):
        assert ask(client()) == ask(client())


def test_a_spare_answer_is_there_and_need_not_be_asked_for():
    spare = [ROOT / "gateway" / "new-api" / "claude.yaml"]
    with play(CASE, spare=spare):
        ask(client())
    with play(CASE, spare=spare):
        ask(client())
        assert ask(client(), model="claude-3-7-sonnet-20250219").choices[0].message.content == "Sunny."
    with pytest.raises(CassetteMismatchError, match="never asked for: 1"), play(CASE, spare=spare):
        ask(client(), model="claude-3-7-sonnet-20250219")
    assert load(CASE.read_text("utf-8")).provenance["case"] == "ok"


def test_a_failure_inside_is_not_hidden_by_what_was_not_played():
    with pytest.raises(ZeroDivisionError), play(CASE):
        raise ZeroDivisionError


def test_whole_bodies_are_compared_with_a_readable_difference():
    def request(body: str) -> vcr.request.Request:
        return vcr.request.Request("POST", "http://127.0.0.1:8000/v1/x", body, {})

    matchers.whole_body(request('{"a":1,"b":2}'), request('{"a": 1, "b": 2}'))
    with pytest.raises(AssertionError, match=r"(?s)- \"temperature\": 0.*\+ \"temperature\": 1"):
        matchers.whole_body(request('{"temperature":1,"a":1}'), request('{"temperature":0,"a":1}'))
    for other in ('{"a":true,"b":2}', '{"b":2,"a":1}', '{"a":1}', "a=1", ""):
        with pytest.raises(AssertionError):
            matchers.whole_body(request('{"a":1,"b":2}'), request(other))


# ------------------------------------------------------------------------------------------------ recording


class _Hub(http.server.BaseHTTPRequestHandler):
    """Answers compressed, sets a cookie, and echoes the key if the path asks for it."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        said = self.headers["authorization"].split()[1] if "leak" in self.path else "Hi"
        answer = {"id": "1", "object": "chat.completion", "created": time.time_ns(), "model": "m"}
        message = {"role": "assistant", "content": said}
        answer["choices"] = [{"index": 0, "finish_reason": "stop", "message": message}]
        body = gzip.compress(json.dumps(answer).encode())
        self.send_response(200)
        for name, value in [("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("Set-Cookie", "a=b")]:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub_port():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_what_is_recorded_is_readable_and_holds_no_key(tmp_path, hub_port):
    path = tmp_path / "plain.yaml"
    key = "sk-" + LONG
    sender = openai.OpenAI(base_url=f"http://127.0.0.1:{hub_port}/v1", api_key=key, max_retries=0)
    with record(path, PROVENANCE):
        assert ask(sender).choices[0].message.content == "Hi"
    text = path.read_text("utf-8")
    assert key not in text
    assert "a=b" not in text
    assert "content: Hi" in text
    with play(path, match_on=matchers.OWN):
        assert ask(sender).choices[0].message.content == "Hi"


@pytest.mark.parametrize("key", ["sk-" + LONG, "0123456789ab"], ids=["a key by its looks", "only by its use"])
def test_answer_with_the_key_is_not_saved_and_unpatches(tmp_path, hub_port, key):
    path = tmp_path / "leak.yaml"
    sender = openai.OpenAI(base_url=f"http://127.0.0.1:{hub_port}/leak/v1", api_key=key, max_retries=0)
    send = type(sender._client._transport).handle_request
    with pytest.raises(SecretFoundError), record(path, PROVENANCE):
        ask(sender)
    assert not path.exists()
    assert type(sender._client._transport).handle_request is send


def test_a_recording_that_says_nothing_new_leaves_the_file_alone(tmp_path, hub_port):
    path = tmp_path / "again.yaml"
    for day in ("2026-01-01", "2026-02-02"):
        with record(path, {**PROVENANCE, "recorded": day}):
            ask(client(hub_port))
    assert load(path.read_text("utf-8")).provenance["recorded"] == "2026-01-01"
    assert len(load(path.read_text("utf-8")).interactions) == 1


def test_a_cassette_played_is_never_written(tmp_path):
    path = tmp_path / "ok.yaml"
    path.write_bytes(CASE.read_bytes())
    with play(path):
        ask(client())
    assert path.read_bytes() == CASE.read_bytes()
    with pytest.raises(ValueError, match="read-only"):
        Serializer().serialize({"interactions": []})


def test_a_missing_cassette_says_how_to_record_it(tmp_path):
    made = vcr.VCR(record_mode=vcr.mode.NONE)
    configure(made, Serializer())
    with made.use_cassette(str(tmp_path / "none.yaml")) as cassette:
        misses = note_misses(cassette)
    with pytest.raises(CassetteMismatchError, match="make record"):
        verify(cassette, misses)


MISBEHAVING = """
import contextlib, urllib.request
import pytest
from langchain_hubmix import ChatHubmix

@pytest.mark.vcr
def test_never_recorded(embedded_hub):
    with contextlib.suppress(Exception):
        ChatHubmix(model="m", base_url=embedded_hub.base_url, api_key=embedded_hub.api_key, max_retries=0).invoke("Hi")

def test_forgot_its_mock():
    with contextlib.suppress(Exception):
        urllib.request.urlopen("https://hub.internal/v1/models")

def test_behaves():
    assert True
"""


def test_a_test_that_swallows_its_failure_fails_all_the_same(tmp_path):
    folder = tmp_path / "embedded_cassettes"
    folder.mkdir()
    (folder / "conftest.py").write_text("from tests.conftest import *\n", "utf-8")
    (folder / "test_misbehaving.py").write_text(MISBEHAVING, "utf-8")
    _, out, _ = run_pytest(str(folder), "-p", "tests.cassettes.plugin", "--rootdir", str(tmp_path))
    assert re.search(r"3 passed.* 2 errors", out)
    assert "not in the cassette: POST http://127.0.0.1:8000/v1/chat/completions" in out
    assert "`make record` records those of the embedded hub" in out
    assert "reached for the network: socket.getaddrinfo 'hub.internal'" in out


def run_pytest(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Return the exit code and the output of a run of its own."""
    command = ["-p", "no:cacheprovider", "-q", *arguments]
    child = Child(pytest.main, command, env={"PYTHONDONTWRITEBYTECODE": "1", **environment})
    out, err = child.communicate()
    return child.wait(), out.decode(), err.decode()


def test_ci_records_nothing():
    code, _, err = run_pytest("--collect-only", "--record-mode=all", __file__, CI="1")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "CI plays cassettes and records none" in err


def test_the_format_reads_what_plain_vcrpy_wrote():
    plain = vcr.serialize.deserialize(CASE.read_text("utf-8"), vcr.serializers.yamlserializer)
    ours = vcr.serialize.deserialize(CASE.read_text("utf-8"), cassette_format.Serializer())
    assert [each.body for each in ours[0]] == [each.body for each in plain[0]]
    assert ours[1] == plain[1]
