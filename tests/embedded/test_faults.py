"""Every fault, seen from the other side of a real socket."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from hubmix.embedded import EmbeddedHub, Fault
from hubmix.embedded.cases import UNREADABLE, VENDOR
from hubmix.embedded.dialects import DIALECTS
from tests.embedded.client import Response, chat, send

FOUR = "one two three four"


def _stream(hub: EmbeddedHub, fault: Fault | str, **extra: object) -> Response:
    hub.fault("embedded/echo", fault)
    return chat(hub, FOUR, model="embedded/echo", stream=True, **extra)


def _whole(hub: EmbeddedHub, fault: Fault | str) -> Response:
    hub.fault("embedded/echo", fault)
    return chat(hub, FOUR, model="embedded/echo")


# Statuses and bodies ------------------------------------------------------------------------------------------------


def test_a_status_with_a_body_and_retry_after(hub: EmbeddedHub) -> None:
    answer = _whole(hub, Fault.answer(429, {"error": "slow"}, retry_after=7))
    assert (answer.status, answer.json, answer.headers["retry-after"]) == (429, {"error": "slow"}, "7")


def test_an_empty_body_has_no_content_type(hub: EmbeddedHub) -> None:
    answer = _whole(hub, Fault.answer(502, text=""))
    assert (answer.status, answer.text) == (502, "")
    assert "content-type" not in answer.headers


def test_a_status_alone_has_an_error_object(hub: EmbeddedHub) -> None:
    assert _whole(hub, "503").error["type"] == "server_error"


def test_a_vendors_error_is_handed_on_in_each_hubs_way(hub: EmbeddedHub, one_api: EmbeddedHub) -> None:
    body = {"error": {"message": "Busy", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
    newer, older = _whole(hub, Fault.vendor(429, body)), _whole(one_api, Fault.vendor(429, body))
    assert newer.error == {"message": "Busy", "type": "requests", "param": "", "code": "rate_limit_exceeded"}
    assert "负载已饱和" in older.error["message"]
    assert older.headers["x-oneapi-request-id"] in older.error["message"]
    assert "retry-after" not in newer.headers


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_recorded_error_can_be_asked_for(dialect: str) -> None:
    with EmbeddedHub(dialect) as hub:  # type: ignore[arg-type]  # a key of the table
        for case in sorted({*VENDOR, *UNREADABLE, *DIALECTS[dialect].own}):
            answer = _whole(hub, Fault.error(case))
            assert answer.status >= 400, case
            assert not answer.text or answer.error["message"], case


def test_error_of_another_hub_is_said_to_be_missing(one_api: EmbeddedHub) -> None:
    answer = _whole(one_api, Fault.error("gemini_blocked_prompt"))
    assert answer.error["type"] == "embedded_hub"
    assert "one-api" in answer.error["message"]


# Connections --------------------------------------------------------------------------------------------------------


def test_reset_before_the_headers(hub: EmbeddedHub) -> None:
    with pytest.raises(ConnectionResetError):
        _whole(hub, Fault.reset())


def test_reset_after_two_events(hub: EmbeddedHub) -> None:
    answer = _stream(hub, Fault.reset(2))
    assert isinstance(answer.broken, ConnectionResetError)
    assert len(answer.events) == 2


def test_a_rude_cut_is_a_stream_without_its_end(hub: EmbeddedHub) -> None:
    answer = _stream(hub, Fault.cut(3, polite=False))
    assert isinstance(answer.broken, http.client.IncompleteRead)
    assert answer.streamed == "one two"


def test_a_polite_cut_looks_whole_but_for_its_finish_reason(hub: EmbeddedHub, one_api: EmbeddedHub) -> None:
    newer, older = _stream(hub, Fault.cut(3)), _stream(one_api, Fault.cut(3))
    assert newer.streamed == older.streamed == "one two"
    assert newer.finish_reasons == older.finish_reasons == []
    assert newer.broken is None
    assert newer.events[-1] == older.events[-1] == "[DONE]"
    assert newer.events[-2]["usage"]["completion_tokens"] == 2
    assert newer.events[-2]["id"] == newer.events[0]["id"]
    assert "usage" not in older.events[-2]


def test_half_a_body(hub: EmbeddedHub) -> None:
    answer = _whole(hub, Fault.cut())
    assert isinstance(answer.broken, http.client.IncompleteRead)
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(_whole(hub, Fault.garbled()).text)


@pytest.mark.parametrize("spec", ["stall", "stall:0", "stall:2"])
def test_a_stall_is_silence(hub: EmbeddedHub, spec: str) -> None:
    hub.fault("*", spec)
    if spec == "stall":
        with pytest.raises(TimeoutError):
            chat(hub, FOUR, timeout=0.03)
        return
    answer = chat(hub, FOUR, model="embedded/echo", stream=True, timeout=0.2)  # enough for two events
    assert isinstance(answer.broken, TimeoutError)
    assert len(answer.events) == int(spec[-1])


def test_comments_go_on_through_a_stall(hub: EmbeddedHub) -> None:
    hub.fault("*", Fault.stall(1, every=0.004))
    connection = http.client.HTTPConnection(hub.root_url.removeprefix("http://"), timeout=1)
    body = json.dumps({"model": "embedded/echo", "messages": [{"role": "user", "content": "x"}], "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": "Bearer sk-embedded"})
    response = connection.getresponse()
    text = b""
    while text.count(b": PING\n\n") < 3:
        text += response.read1(4096)
    connection.close()
    assert text.count(b"data: ") == 1


def test_a_slow_first_token_comes_after_comments_and_the_role(hub: EmbeddedHub) -> None:
    started = time.perf_counter()
    answer = _stream(hub, Fault.slow(0.02, every=0.005, role=True))
    assert time.perf_counter() - started >= 0.02
    head, _, tail = answer.text.partition(": PING")
    assert '"role": "assistant"' in head
    assert tail.count(": PING") >= 2
    assert answer.streamed == FOUR
    assert answer.finish_reasons == ["stop"]


def test_slow_headers(hub: EmbeddedHub) -> None:
    started = time.perf_counter()
    assert _whole(hub, "slow:0.02").content == FOUR
    assert time.perf_counter() - started >= 0.02


# What is in a stream ------------------------------------------------------------------------------------------------


def test_html_with_status_200(hub: EmbeddedHub) -> None:
    for answer in (_whole(hub, "html"), _stream(hub, "html")):
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/html")


def test_a_garbled_line_stands_between_good_ones(hub: EmbeddedHub) -> None:
    answer = _stream(hub, Fault.garbled_line(2))
    assert [type(event) for event in answer.events[:4]] == [dict, dict, str, dict]
    assert answer.streamed == FOUR


def test_error_events_in_three_styles(hub: EmbeddedHub) -> None:
    data = _stream(hub, Fault.error_event(2, code="overloaded"))
    assert data.events[2]["error"]["code"] == "overloaded"
    assert data.events[-1] == "[DONE]"
    named = _stream(hub, Fault.error_event(2, style="event", polite=False))
    assert named.text.rstrip().split("\n")[-2] == "event: error"
    assert named.events[-1]["error"]
    bare = _stream(hub, Fault.error_event(2, style="bare"))
    assert json.loads(bare.text.split("\n\n")[-1])["error"]["type"] == "server_error"
    assert len(bare.events) == 2


def test_one_api_swallows_a_vendors_error_event(one_api: EmbeddedHub) -> None:
    answer = _stream(one_api, Fault.error_event(2))
    assert answer.events[-1] == "[DONE]"
    assert "error" not in answer.text


def test_an_error_under_status_200(hub: EmbeddedHub) -> None:
    answer = _whole(hub, Fault.error_event())
    assert (answer.status, answer.error["type"]) == (200, "server_error")


@pytest.mark.parametrize(
    ("spec", "events"),
    [("empty_stream", []), ("empty_body", []), ("only_done", ["[DONE]"]), ("only_usage", [0, "[DONE]"])],
)
def test_streams_with_nothing_in_them(hub: EmbeddedHub, spec: str, events: list[object]) -> None:
    answer = _stream(hub, spec)
    assert answer.status == 200
    seen = [event["usage"]["completion_tokens"] if isinstance(event, dict) else event for event in answer.events]
    assert seen == events


def test_finish_reasons_that_are_missing_or_blank(hub: EmbeddedHub) -> None:
    missing, blank = _stream(hub, "no_finish_reason"), _stream(hub, "blank_finish_reason")
    assert missing.streamed == blank.streamed == FOUR
    assert missing.finish_reasons == []
    assert set(blank.finish_reasons) == {""}
    assert _whole(hub, "no_finish_reason").json["choices"][0]["finish_reason"] is None
    assert "[DONE]" not in _stream(hub, "no_done").text


def test_usage_gone_wrong(hub: EmbeddedHub, one_api: EmbeddedHub) -> None:
    counts = {spec: _usages(_stream(hub, f"usage:{spec}")) for spec in ("wrong", "absent", "cumulative", "in_last")}
    assert counts["wrong"][-1]["total_tokens"] == 7
    assert "usage_semantic" not in counts["absent"][-1]
    assert counts["absent"][-1]["input_tokens"] == 0
    assert [usage["completion_tokens"] for usage in counts["cumulative"]] == [0, 1, 2, 3, 4, 4]
    assert len(counts["in_last"]) == 1
    assert _usages(_stream(one_api, "usage:absent")) == []
    assert len(_usages(_stream(one_api, "usage:unasked"))) == 1
    assert "usage" not in _whole(one_api, "usage:absent").json


def _usages(answer: Response) -> list[dict[str, int]]:
    return [event["usage"] for event in answer.events if isinstance(event, dict) and event.get("usage")]


def test_json_where_events_were_due(hub: EmbeddedHub) -> None:
    answer = _stream(hub, "json_for_stream")
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == FOUR


def test_stop_without_content(hub: EmbeddedHub) -> None:
    assert _whole(hub, "empty_answer").message["content"] is None
    answer = _stream(hub, "empty_answer")
    assert (answer.streamed, answer.finish_reasons) == ("", ["stop"])


# Which request meets which fault ------------------------------------------------------------------------------------


def test_faults_are_used_up_in_order(hub: EmbeddedHub) -> None:
    hub.fault("embedded/*", "500", times=2)
    hub.fault("embedded/echo", "502")
    assert [chat(hub, model="embedded/echo").status for _ in range(4)] == [500, 500, 502, 200]


def test_a_lasting_fault_lasts_and_other_models_do_not_meet_it(hub: EmbeddedHub) -> None:
    hub.fault("embedded/echo", "503", times=None)
    assert [chat(hub, model="embedded/echo").status for _ in range(3)] == [503] * 3
    assert chat(hub, model="embedded/extract").status == 200


def test_a_path_is_a_pattern_too(hub: EmbeddedHub) -> None:
    hub.fault("/v1/models", "500")
    hub.fault("/dashboard/*", "limit_ip")
    assert send(hub, "GET", "/v1/models").status == 500
    assert send(hub, "GET", "/dashboard/billing/usage").headers["retry-after"] == "180"
    assert send(hub, "GET", "/v1/models").status == 200


def test_faults_given_when_the_hub_is_made() -> None:
    with EmbeddedHub(faults={"embedded/echo": "503", "embedded/text": ["500", Fault.answer(501)]}) as hub:
        assert [chat(hub, model="embedded/echo").status for _ in range(3)] == [503] * 3
        assert [chat(hub, model="embedded/text").status for _ in range(3)] == [500, 501, 200]


def test_a_header_asks_for_a_fault_and_leaves_the_queue_alone(hub: EmbeddedHub) -> None:
    hub.fault("*", "500")
    assert chat(hub, headers={"X-Embedded-Fault": '{"kind": "status", "status": 418}'}).status == 418
    assert chat(hub).status == 500


def test_a_header_that_names_no_fault_is_an_error_that_says_so(hub: EmbeddedHub) -> None:
    for spec in ("nonsense", '{"kind": "cut", "often": 3}', "{"):
        answer = chat(hub, headers={"X-Embedded-Fault": spec})
        assert (answer.status, answer.error["code"]) == (400, "bad_fault")


def test_faults_of_embeddings_and_pages(hub: EmbeddedHub) -> None:
    hub.fault("embedded/embed", "garbled")
    answer = send(hub, "POST", "/v1/embeddings", {"model": "embedded/embed", "input": "a"})
    with pytest.raises(ValueError, match=r"line 1"):
        json.loads(answer.text)
    hub.fault("/v1/models", "html")
    assert send(hub, "GET", "/v1/models").text.startswith("<html>")


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("503", Fault.answer(503)),
        ("503:later", Fault.answer(503, text="later")),
        ("cut:3", Fault.cut(3)),
        ("cut", Fault.cut(1)),
        ("rude:2", Fault.cut(2, polite=False)),
        ("reset", Fault.reset()),
        ("stall:2", Fault.stall(2)),
        ("slow:0.5", Fault.slow(0.5)),
        ("html:502", Fault.html(502)),
        ("garbled_line", Fault.garbled_line()),
        ("error_event:2", Fault.error_event(2)),
        ("usage:absent", Fault.wrong_usage("absent")),
        ("vendor_429", Fault.error("vendor_429")),
        ("error:banned", Fault.error("account_banned")),
        ('{"kind": "cut", "after": 3}', Fault.cut(3)),
    ],
)
def test_short_texts(spec: str, fault: Fault) -> None:
    assert Fault.parse(spec) == fault


@pytest.mark.parametrize(
    "spec", ["", "cut:x", "usage:strange", "error:", "vendor_1", '{"kind": "nothing"}', "[]", '"cut"']
)
def test_texts_that_name_no_fault(spec: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Fault.parse(spec)
