"""Every row of the failure table on real sockets, in every mode."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from hubmix import FailoverPolicy, Hub, HubmixError, errors
from hubmix._compat import http
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.embedded.faults import refused_url
from hubmix.failover import failures
from hubmix.failover.limits import Deadline
from hubmix.presets import CUSTOM
from hubmix.transport.exchange import Attempt
from tests.failover.ways import EVERY, FIRST, SECOND, STREAMS, WHOLE, Way


@dataclass(frozen=True)
class Row:
    """A fault of the first of two models.

    Args:
        fault: what the embedded hub does with every request for the first model.
        kind: what the trace calls it.
        requests: how often the first model is asked.
        error: what is raised; None where the second model answers.
        ways: the ways to ask in which it can happen.
        options: of the model.
    """

    fault: Fault
    kind: str
    requests: int = 1
    error: type[HubmixError] | None = None
    ways: tuple[Way, ...] = tuple(EVERY)
    options: tuple[tuple[str, Any], ...] = ()


def said(status: int, message: str, **error: Any) -> Fault:
    return Fault.answer(status, {"error": {"message": message, **error}})


@contextmanager
def resetting_server() -> Iterator[int]:
    """A server that resets every connection as soon as it has taken it; its port."""

    def reset() -> None:
        while (connection := listening.accept()[0]) and not ended:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        connection.close()

    ended: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=reset)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.append(True)
            socket.create_connection(listening.getsockname()).close()
            thread.join()


def silent(finish_reason: str, *, stream: bool) -> Fault:
    """A whole answer without a word."""
    choice = {"index": 0, "finish_reason": finish_reason}
    if not stream:
        return Fault.answer(200, {"choices": [{**choice, "message": {"role": "assistant", "content": ""}}]})
    return Fault.answer(200, text=f"data: {json.dumps({'choices': [{**choice, 'delta': {}}]})}\n\ndata: [DONE]\n\n")


HUB = "new_api_error"
# Seconds. In the longer time the second model must answer too, on a busy machine as well.
QUICK, PATIENT = 1.0, 2.0
OPTED_IN = ("failover", FailoverPolicy(fallback_on_content_filter=True))
ROWS = {
    "context": Row(Fault.error("vendor_400_context"), "context"),
    "capability": Row(Fault.error("vendor_400_max_tokens"), "capability"),
    "policy": Row(Fault.error("vendor_400_filter"), "policy", error=errors.ContentFilterError),
    "policy, opted in": Row(
        Fault.error("vendor_400_filter"), "policy", options=(OPTED_IN,)
    ),
    "policy, empty, opted in": Row(
        silent("content_filter", stream=False), "policy", ways=tuple(WHOLE), options=(OPTED_IN,)
    ),
    "policy, empty stream, opted in": Row(
        silent("content_filter", stream=True), "policy", ways=tuple(STREAMS), options=(OPTED_IN,)
    ),
    "sensitive words": Row(
        said(500, "sensitive words detected", type=HUB, code="sensitive_words_detected"),
        "policy",
        error=errors.ContentFilterError,
        options=(OPTED_IN,),
    ),
    "bad request": Row(said(400, "no", type=HUB), "bad_request", error=errors.BadRequestError),
    "refused": Row(said(400, "no", type="invalid_request_error"), "refused"),
    "refused, 405": Row(said(405, "no", type="x", code="x"), "refused"),
    "413": Row(Fault.error("vendor_413"), "unreadable"),
    "retired": Row(said(404, "The model `x` has been retired.", code="model_retired"), "retired"),
    "410": Row(said(410, "gone"), "retired"),
    "no endpoints": Row(said(404, "No endpoints found for x.", code=404), "not_found"),
    "no price": Row(said(400, "no price", type=HUB, code="model_price_error"), "no_channel"),
    "a malformed call": Row(said(400, "x", code="tool_use_failed"), "malformed", requests=2),
    "invalid_request as 500": Row(Fault.error("invalid_request"), "bad_request", error=errors.BadRequestError),
    "wrong key": Row(Fault.error("bad_key"), "auth", error=errors.AuthenticationError),
    "the hub's key at the vendor": Row(Fault.error("channel_auth"), "channel_auth"),
    "the same from Gemini": Row(Fault.error("gemini_400"), "channel_auth"),
    "any other 401": Row(said(401, "no", type="vendor_error"), "channel_auth"),
    "empty account": Row(Fault.error("account_empty"), "quota", error=errors.QuotaExceededError),
    "402": Row(said(402, "Payment required", type=HUB), "quota", error=errors.QuotaExceededError),
    "key spent": Row(said(401, "[sk-abc***xyz] 该令牌额度已用尽", type=HUB), "quota", error=errors.QuotaExceededError),
    "the hub's wallet at the vendor": Row(Fault.error("vendor_429_quota"), "channel_quota"),
    "banned": Row(Fault.error("account_banned"), "account", error=errors.PermissionDeniedError),
    "IP": Row(Fault.error("key_ip_denied"), "account", error=errors.PermissionDeniedError),
    "access denied": Row(
        said(403, "no", type=HUB, code="access_denied"), "account", error=errors.PermissionDeniedError
    ),
    "channel suffix": Row(Fault.error("key_with_channel"), "account", error=errors.PermissionDeniedError),
    "no access to the model": Row(Fault.error("key_model_denied"), "permission"),
    "country": Row(Fault.error("vendor_403"), "permission"),
    "unreadable": Row(Fault.error("vendor_error_detail"), "unreadable"),
    "not found": Row(said(404, "The model `x` does not exist", code="model_not_found"), "not_found"),
    "404 model_not_found": Row(said(404, "no", type="invalid_request_error", code="model_not_found"), "not_found"),
    "no model named": Row(
        said(400, "Model name not specified", type=HUB), "bad_request", error=errors.BadRequestError
    ),
    "Incorrect model ID": Row(said(503, "Incorrect model ID.", type="Aihubmix_api_error"), "not_found"),
    "Invalid URL": Row(
        said(404, "Invalid URL (POST /x)", type="invalid_request_error"), "endpoint", error=errors.EndpointError
    ),
    "no channel": Row(Fault.error("model_unknown"), "no_channel"),
    "no channel, older": Row(said(503, "当前分组 default 下对于模型 x 无可用渠道", type=HUB), "no_channel"),
    "408": Row(Fault.error("vendor_408"), "transient", requests=2),
    "409": Row(said(409, "conflict", type="vendor"), "transient", requests=2),
    "the user's rate limit": Row(Fault.answer(429, text=""), "rate_account", 3, errors.RateLimitedError),
    "the same in words": Row(said(429, "slower, please", type=HUB), "rate_account", 3, errors.RateLimitedError),
    "the same in Chinese": Row(
        said(429, "您已达到请求数限制：1分钟内最多请求10次", code="x"), "rate_account", 3, errors.RateLimitedError
    ),
    "busy": Row(Fault.error("vendor_429"), "rate_model"),
    "529": Row(Fault.error("vendor_529"), "rate_model"),
    "500": Row(Fault.error("vendor_500"), "server", requests=2),
    "502": Row(Fault.html(502), "server", requests=2),
    "503": Row(Fault.error("vendor_503"), "server", requests=2),
    "504": Row(said(504, "late", type="vendor"), "timeout"),
    "524": Row(Fault.html(524), "timeout"),
    "reset": Row(Fault.reset(), "reset", requests=2),
    "HTML": Row(Fault.html(), "garbled", requests=2),
    "half a document": Row(Fault.garbled(), "garbled", requests=2, ways=tuple(WHOLE)),
    "an error under 200": Row(Fault.error_event(0), "server", requests=2),
    "an error under 200 with its code": Row(
        Fault.error_event(0, body={"message": "no", "type": HUB, "code": "insufficient_user_quota"}),
        "quota",
        error=errors.QuotaExceededError,
    ),
    "a bare error after comments": Row(
        Fault.error_event(0, style="bare", seconds=0.02, every=0.01, code=429), "rate_model", ways=tuple(STREAMS)
    ),
    "an empty answer": Row(Fault.parse("empty_answer"), "empty", requests=2),
    "an empty body": Row(Fault.parse("empty_body"), "garbled", requests=2),
    "no event": Row(Fault.parse("empty_stream"), "garbled", requests=2, ways=tuple(STREAMS)),
    "[DONE] alone": Row(Fault.parse("only_done"), "garbled", requests=2, ways=tuple(STREAMS)),
    "a usage chunk alone": Row(Fault.parse("only_usage"), "garbled", requests=2, ways=tuple(STREAMS)),
    "cut before the first word": Row(Fault.cut(1, polite=False), "reset", requests=2, ways=tuple(STREAMS)),
}  # fmt: skip
SILENT = {
    "silence": Row(Fault.stall(), "timeout", options=(("timeout", PATIENT),)),
    "silence for the time of the whole call": Row(
        Fault.stall(), "timeout", error=errors.HubTimeoutError, options=(("total_timeout", QUICK),)
    ),
    "no first token, but comments": Row(
        Fault.stall(every=0.05),
        "timeout",
        ways=tuple(STREAMS),
        options=(("failover", FailoverPolicy(first_token_timeout=PATIENT)),),
    ),
}

CASES = [pytest.param(row, way, id=f"{name}-{way}") for name, row in ROWS.items() for way in row.ways]


def check_chain(error: BaseException) -> None:
    """No error of the SDK hangs on ours: it would hold the request and its key."""
    chain: BaseException | None = error
    while chain is not None:
        assert not hasattr(chain, "request")
        assert not hasattr(chain, "response")
        chain = chain.__cause__ or chain.__context__


def ask_at_once(ways: Sequence[Way], ask: Callable[[Way, EmbeddedHub, Hub], Awaitable[None]]) -> None:
    """Ask in all ways at once, each with a server and a thread of its own."""

    async def ask_alone(way: Way) -> None:
        with EmbeddedHub() as server, Hub(base_url=server.base_url, api_key=server.api_key) as hub:
            try:
                await ask(way, server, hub)
            except BaseException as error:
                raise AssertionError(f"{way}: {error!r}") from error
            finally:
                await hub.aclose()

    with ThreadPoolExecutor(len(ways)) as pool:
        list(pool.map(lambda way: asyncio.run(ask_alone(way)), ways))


@pytest.mark.parametrize("row", SILENT.values(), ids=SILENT)
def test_a_silence_of_the_first_model(row: Row) -> None:
    ask_at_once(row.ways, partial(check_fault, row))


@pytest.mark.parametrize(("row", "way"), CASES)
async def test_a_fault_of_the_first_model(row: Row, way: Way, server: EmbeddedHub, hub: Hub) -> None:
    await check_fault(row, way, server, hub)


async def check_fault(row: Row, way: Way, server: EmbeddedHub, hub: Hub) -> None:
    server.fault(FIRST, row.fault, times=None)
    pieces: list[str] = []
    try:
        answer = await way.ask(hub, FIRST, SECOND, pieces=pieces, **dict(row.options))
    except HubmixError as error:
        # Which error it is decides below; where none is due, this raises it.
        if row.error is None:
            raise
        raised: HubmixError | None = error
        asked = [(attempt.model, attempt.kind) for attempt in error.attempts]
    else:
        raised, asked = None, answer.asked
    sent = [request.model for request in server.requests]
    assert asked[: row.requests] == [(FIRST, row.kind)] * row.requests
    if row.error is not None:
        assert isinstance(raised, row.error)
        check_chain(raised)
        assert not isinstance(raised, errors.AllModelsFailedError)
        assert FIRST in str(raised)
        assert sent == [FIRST] * row.requests
        assert "".join(pieces) == ""
        return
    assert asked[row.requests :] == [(SECOND, None)]
    assert sent == [FIRST] * row.requests + [SECOND]
    assert answer.trace["served"] == SECOND
    assert "sky" in answer.text
    if way.stream:
        assert "".join(pieces) == answer.text


BROKEN = {
    "cut as the hubs end it": (Fault.cut(4), "no finish"),
    "cut with the connection": (Fault.cut(4, polite=False), "cut"),
    "reset": (Fault.reset(4), "cut"),
    "an error event": (Fault.error_event(4), ""),
    "an error event, swallowed style": (Fault.error_event(4, style="event"), ""),
    "silence": (Fault.stall(4), "idle timeout"),
    "silence with comments": (Fault.stall(4, every=0.01), "idle timeout"),
}


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "cut as the hubs end it"])
def test_stream_that_breaks_after_its_start_is_not_restarted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine notices a silence late, which does not count against the model: here it is always punctual.
    is_own = Deadline.is_own
    monkeypatch.setattr(Deadline, "is_own", lambda deadline, now: is_own(deadline, min(now, deadline.at)))
    ask_at_once(STREAMS, partial(check_broken, *BROKEN[name]))


async def check_broken(fault: Fault, seen: str, way: Way, server: EmbeddedHub, hub: Hub) -> None:
    idle = 1.0 if seen == "idle timeout" else 60.0
    server.fault(FIRST, fault)
    pieces: list[str] = []
    with pytest.raises(errors.StreamInterruptedError) as caught:
        await way.ask(hub, FIRST, SECOND, pieces=pieces, failover=FailoverPolicy(idle_timeout=idle))
    assert [request.model for request in server.requests] == [FIRST]
    assert caught.value.partial.text == "".join(pieces) != ""
    assert seen in str(caught.value)
    check_chain(caught.value)
    assert caught.value.is_retryable
    assert [state.failures for state in hub.health()] == [1]
    assert [(attempt.outcome, attempt.kind) for attempt in caught.value.attempts] == [("error", "interrupted")]


def test_the_end_of_the_callers_time_is_no_fault_of_the_model() -> None:
    ask_at_once(STREAMS, check_end_of_time)


async def check_end_of_time(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    server.fault(FIRST, Fault.stall(4))
    pieces: list[str] = []
    with pytest.raises(errors.StreamInterruptedError, match="total_timeout") as caught:
        await way.ask(hub, FIRST, SECOND, pieces=pieces, total_timeout=QUICK)
    assert caught.value.partial.text == "".join(pieces) != ""
    assert caught.value.scope.value == "request"
    assert hub.health() == []


@pytest.mark.parametrize("way", STREAMS, ids=str)
async def test_stream_options_are_left_out_if_the_vendor_refuses_them(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    server.fault(FIRST, said(400, "Unrecognized: stream_options", param="stream_options"), times=1)
    answer = await way.ask(hub, FIRST, SECOND)
    assert answer.asked == [(FIRST, "amended"), (FIRST, None)]
    assert ["stream_options" in request.json for request in server.requests] == [True, False]


@pytest.mark.parametrize("way", STREAMS, ids=str)
async def test_broken_stream_of_second_model_reports_the_first_too(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    server.fault(FIRST, "model_unknown")
    server.fault(SECOND, Fault.cut(4, polite=False))
    with pytest.raises(errors.StreamInterruptedError) as caught:
        await way.ask(hub, FIRST, SECOND)
    assert [(attempt.model, attempt.kind) for attempt in caught.value.attempts] == [
        (FIRST, "no_channel"),
        (SECOND, "interrupted"),
    ]
    assert all(attempt.request_id in str(caught.value) for attempt in caught.value.attempts)
    assert caught.value.partial.served == SECOND


@pytest.mark.parametrize("way", STREAMS, ids=str)
@pytest.mark.parametrize("fault", [Fault.cut(4), Fault.parse("no_finish_reason")], ids=["cut", "no finish reason"])
async def test_a_text_without_a_finish_reason_is_whole_but_marked(
    fault: Fault, way: Way, server: EmbeddedHub, hub: Hub
) -> None:
    server.fault(FIRST, fault)
    answer = await way.ask(hub, FIRST, SECOND)
    assert answer.incomplete
    assert answer.text
    assert [request.model for request in server.requests] == [FIRST]
    assert [(state.model, state.failures, state.kind) for state in hub.health()] == [(FIRST, 1, "interrupted")]
    await way.ask(hub, FIRST)
    assert hub.health() == []


@pytest.mark.parametrize("way", STREAMS, ids=str)
async def test_only_model_without_finish_reasons_is_still_asked(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    server.fault(FIRST, "no_finish_reason", times=None)
    for _ in range(5):
        answer = await way.ask(hub, FIRST)
        assert answer.text
        assert answer.incomplete
    assert [(state.model, state.state) for state in hub.health()] == [(FIRST, "open")]
    answer = await way.ask(hub, FIRST, SECOND)
    assert not answer.incomplete
    assert [request.model for request in server.requests] == [FIRST] * 5 + [SECOND]


@pytest.mark.parametrize("way", STREAMS, ids=str)
async def test_a_user_whose_hub_never_sends_finish_reasons_can_say_so(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    def forgive(evidence: errors.Evidence, failure: errors.Failure) -> errors.Failure | None:
        return replace(failure, cooldown=failures.NONE) if evidence.cause == "no_finish" else None

    server.fault(FIRST, "no_finish_reason")
    answer = await way.ask(hub, FIRST, failover=FailoverPolicy(classify=forgive))
    assert answer.incomplete
    assert hub.health() == []


@pytest.mark.parametrize("way", STREAMS, ids=str)
async def test_broken_stream_is_not_classified_by_the_user(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    asked: list[errors.Evidence] = []
    server.fault(FIRST, Fault.cut(4, polite=False))
    with pytest.raises(errors.StreamInterruptedError):
        await way.ask(hub, FIRST, failover=FailoverPolicy(classify=lambda evidence, _: asked.append(evidence)))
    assert asked == []


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_where_nobody_listens_no_other_model_is_burnt(way: Way) -> None:
    hub = Hub(base_url=refused_url(), api_key="sk-test")
    with pytest.raises(errors.HubConnectionError) as caught:
        await way.ask(hub, FIRST, SECOND)
    assert [attempt.model for attempt in caught.value.attempts] == [FIRST] * 3
    assert "fault is" in str(caught.value)
    check_chain(caught.value)


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_a_reset_while_connecting_burns_no_other_model(way: Way) -> None:
    with resetting_server() as port:
        hub = Hub(base_url=f"https://127.0.0.1:{port}/v1", api_key="sk-test")
        with pytest.raises(errors.HubConnectionError) as caught:
            await way.ask(hub, FIRST, SECOND)
    assert [(attempt.model, attempt.kind) for attempt in caught.value.attempts] == [(FIRST, "connect")] * 3


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_a_full_pool_of_the_caller_is_no_fault_of_the_hub(
    way: Way, server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = http().Limits(max_connections=1)
    busy = {"model": "embedded/lorem:40", "messages": [{"role": "user", "content": "hello"}]}
    with http().Client(limits=limits) as client:
        async with http().AsyncClient(limits=limits) as async_client:
            hub = Hub(
                base_url=server.base_url, api_key=server.api_key, http_client=client, http_async_client=async_client
            )
            with closing(hub.stream_chat(busy)) as held:
                next(held)
                async with aclosing(hub.astream_chat(busy)) as async_held:
                    await async_held.__anext__()
                    # Only the wait for a connection is short: a busy machine must not run into the limit on the answer.
                    short = http().Timeout(600.0, pool=0.05)
                    monkeypatch.setattr(Attempt, "http_timeout", lambda _: short)
                    with pytest.raises(errors.HubConnectionError, match="connection") as caught:
                        await way.ask(hub, FIRST, SECOND)
    assert [(attempt.model, attempt.kind) for attempt in caught.value.attempts] == [(FIRST, "connect")] * 3
    assert {request.model for request in server.requests} == {busy["model"]}
    assert hub.health() == []


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_empty_account_at_a_url_that_is_no_hub_is_the_callers(
    way: Way, server: EmbeddedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubmix.presets.CUSTOM", replace(CUSTOM, own_error_types=frozenset()))
    hub = Hub(base_url=server.base_url, api_key=server.api_key)
    server.fault(FIRST, said(429, "no money", type="insufficient_quota", code="insufficient_quota"))
    with pytest.raises(errors.QuotaExceededError) as caught:
        await way.ask(hub, FIRST, SECOND)
    assert [(attempt.model, attempt.kind) for attempt in caught.value.attempts] == [(FIRST, "quota")]


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_an_empty_answer_of_the_only_model_is_returned(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    server.fault(FIRST, "empty_answer", times=None)
    answer = await way.ask(hub, FIRST)
    assert answer.text == ""
    assert answer.asked == [(FIRST, "empty")] * 2


@pytest.mark.parametrize("way", EVERY, ids=str)
@pytest.mark.parametrize("finish_reason", ["length", "content_filter"])
async def test_empty_answer_by_length_or_filter_is_returned_at_once(
    finish_reason: str, way: Way, server: EmbeddedHub, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault(FIRST, silent(finish_reason, stream=way.stream))
    answer = await way.ask(hub, FIRST, SECOND)
    assert answer.text == ""
    assert answer.trace["served"] == FIRST
    assert [request.model for request in server.requests] == [FIRST]
    assert [record.levelname for record in caplog.records if record.name.startswith("hubmix")] == ["WARNING"]


@pytest.mark.parametrize("way", EVERY, ids=str)
async def test_all_failed_lists_every_attempt(way: Way, server: EmbeddedHub, hub: Hub) -> None:
    server.fault(FIRST, "vendor_500", times=None)
    server.fault(SECOND, "model_unknown", times=None)
    with pytest.raises(errors.AllModelsFailedError) as caught:
        await way.ask(hub, FIRST, SECOND)
    assert [attempt.model for attempt in caught.value.attempts] == [FIRST, FIRST, SECOND]
    assert all(attempt.request_id and attempt.request_id in str(caught.value) for attempt in caught.value.attempts)
    check_chain(caught.value)
    assert server.api_key not in str(caught.value) + repr(caught.value.__dict__)
