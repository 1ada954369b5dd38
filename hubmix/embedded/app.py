"""The embedded hub as an ASGI application, which checks as gateways do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from hubmix.embedded import pages, vectors
from hubmix.embedded.accounts import Accounts
from hubmix.embedded.call import Answered, ModelCall, Settings
from hubmix.embedded.cases import UNREADABLE, VENDOR
from hubmix.embedded.chat.answer import answer as answer_chat
from hubmix.embedded.checks import RefusedError
from hubmix.embedded.dialects import Dialect
from hubmix.embedded.faults import HEADER, Fault, FaultQueue
from hubmix.embedded.http import STREAM_TYPE, Response, json_response
from hubmix.embedded.http import send as put_on_the_wire
from hubmix.embedded.messages.answer import answer_messages
from hubmix.embedded.messages.body import refusal_response
from hubmix.embedded.models import EmbeddedModel, Registry
from hubmix.embedded.responses.answer import answer_responses
from hubmix.embedded.streams import on_the_wire

_SECRET_HEADERS = frozenset(
    {"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"}
)
MESSAGES = "/v1/messages"
_MODEL_PATHS: Mapping[str, Callable[[ModelCall], Answered]] = {
    "/v1/chat/completions": answer_chat,
    "/v1/responses": answer_responses,
    MESSAGES: answer_messages,
    "/v1/embeddings": vectors.answer_embeddings,
    "/v1/rerank": vectors.answer_rerank,
}
MAX_REQUESTS = 10_000  # kept for tests to look at; a hub that serves for days must not fill the memory
MAX_STORED = 1_000  # responses and their items
_ANSWER_FAULTS = frozenset({"status", "vendor", "error"})


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it arrived, without its key.

    Args:
        headers: By lower-case name.
        json: The body, parsed; None where it is none.
        at: Seconds of a monotonic clock.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    json: Any
    at: float

    @property
    def model(self) -> str | None:
        """The model that the body names."""
        return self.json.get("model") if isinstance(self.json, dict) else None

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""
        return isinstance(self.json, dict) and bool(self.json.get("stream"))


@dataclass(frozen=True, slots=True)
class _Call:
    """One request on its way through the hub."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    key: str | None
    raw: bytes
    body: Any
    request_id: str

    @property
    def language(self) -> str:
        return self.headers.get("accept-language", "")

    @property
    def model(self) -> str:
        return str(self.body.get("model") or "") if isinstance(self.body, dict) else ""


class HubApp:
    """The application.

    Args:
        dialect: Whose words it speaks.
        registry: What it serves.
        accounts: Who may call.
        faults: What goes wrong next.
        settings: What it does to every stream.
    """

    def __init__(
        self, dialect: Dialect, registry: Registry, accounts: Accounts, faults: FaultQueue, settings: Settings
    ) -> None:
        self.dialect = dialect
        self.registry = registry
        self.accounts = accounts
        self.faults = faults
        self.settings = settings
        self.requests: list[RecordedRequest] = []
        self.memory: dict[str, Any] = {}
        self.closing: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.closing is None:
            self.closing = asyncio.Event()
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:  # it left in the middle of its request: nobody waits for an answer
            return
        call = _read(request, body, self.dialect.new_request_id())
        self.requests.append(_record(request, call))
        del self.requests[:-MAX_REQUESTS]
        response = self.response(call)
        if response.status != 301:  # the router redirects before anything else has seen the request
            response = response.with_headers(self.dialect.headers(call.request_id))
        await put_on_the_wire(response, scope, receive, send, self.closing)

    def response(self, call: _Call) -> Response:
        """The response to one request, with the fault that waits for it."""
        try:
            fault = self._fault(call)
        except ValueError as error:
            return json_response(
                400, {"error": {"message": f"{HEADER}: {error}", "type": "embedded_hub", "code": "bad_fault"}}
            )
        if fault is not None and fault.kind in _ANSWER_FAULTS:
            return self._answer_fault(call, fault)
        if call.method == "POST" and call.path in _MODEL_PATHS and call.path in self.dialect.paths:
            return self._post(call, fault)
        response = self._page(call)
        return response if fault is None else on_the_wire(response, fault)

    def _fault(self, call: _Call) -> Fault | None:
        if HEADER in call.headers:
            return Fault.parse(call.headers[HEADER])
        return self.faults.take([call.model, call.path] if call.model else [call.path])

    def _own(self, case: str, call: _Call, **words: object) -> Response:
        return self.dialect.own_error(case, call.request_id, call.language, **words)

    def _answer_fault(self, call: _Call, fault: Fault) -> Response:
        if fault.kind == "status":
            return _literal(fault)
        if fault.kind == "vendor":
            return self._vendor(call, fault.status, fault.body)
        case = fault.case or ""
        if case in UNREADABLE:
            message, newer, older = UNREADABLE[case]
            if self.dialect.name == "new-api":
                return json_response(500, {"error": {"message": message, "type": newer, "param": "", "code": newer}})
            error = {"message": self.dialect.label(message, call.request_id), "type": self.dialect.own_type}
            return json_response(500, {"error": {**error, "param": "", "code": older}})
        if case in VENDOR:
            return self._vendor(call, VENDOR[case].status, VENDOR[case].body)
        if case not in self.dialect.own:
            return json_response(
                500, {"error": {"message": f"{self.dialect.name} has no error {case}", "type": "embedded_hub"}}
            )
        return self._own(case, call, model=call.model, message="field messages is required", successor="none")

    def _vendor(self, call: _Call, status: int, body: object) -> Response:
        if call.path == MESSAGES:
            return refusal_response(call.request_id, status, body)
        response = self.dialect.vendor_error(status, body, call.request_id)
        asked_for_stream = isinstance(call.body, dict) and call.body.get("stream") is True
        if asked_for_stream and self.dialect.name == "new-api":
            # Measured: the header of the stream is set before the vendor has answered.
            return replace(response, content_type=STREAM_TYPE, length=len(response.body))
        return response

    # The models -----------------------------------------------------------------------------------------------------

    def _post(self, call: _Call, fault: Fault | None) -> Response:
        """A call of a model: key, limit, body, model, key again, request, money."""
        case = self.accounts.refuse_at_door(call.key)
        if case is not None:
            return self._own(case, call, model=call.model)
        key = call.key or ""
        if self.accounts.over_limit(key):
            return self._own("limit_account", call)
        if not isinstance(call.body, dict):
            return self._own("not_json" if call.raw.strip() else "body_empty", call)
        if not call.model:
            return self._own("model_missing", call)
        late = self.accounts.refuse_call(key)
        if late == "key_model_denied":
            return self._own(late, call, model=call.model)
        model, told = self._serving(call.model)
        if model is None:
            return self._own("model_unknown", call, model=call.model)
        if model.retired:
            case = "model_retired" if "model_retired" in self.dialect.own else "model_unknown"
            return self._own(case, call, model=call.model, successor=model.successor or "none")
        try:
            response = self._answer(call, model, fault, late if late in self.dialect.own else None)
            return response.with_headers(told)
        except RefusedError as refused:
            if refused.by == "vendor":
                return self._vendor(call, refused.status, refused.vendor_body)
            return self._own(refused.case, call, message=refused.message, model=call.model)

    def _serving(self, model_id: str) -> tuple[EmbeddedModel | None, dict[str, str]]:
        """Return the model that answers, and headers if another was asked for."""
        model = self.registry.find(model_id)
        if model is None and self.dialect.routers and model_id.partition(":")[0] == "auto":
            chat = [one for one in self.registry if one.kind == "llm" and not one.retired and one.rule == "extract"]
            model = min(chat, key=lambda one: one.price[0])
            policy = model_id.partition(":")[2] or "cost"
            name = "X-Aihubmix-Router"
            return model, {f"{name}-Resolved-Model": model.id, f"{name}-Policy": policy, f"{name}-Fallback": "false"}
        if model is None or model.served_by is None:
            return model, {}
        served = self.registry.find(model.served_by)
        told = {"X-Aihubmix-Fallback": "true", "X-Aihubmix-Model": model.served_by}
        return served, told if self.dialect.routers else {}

    def _answer(self, call: _Call, model: EmbeddedModel, fault: Fault | None, no_money: str | None) -> Response:
        asked = ModelCall(
            self.dialect, model, call.body, call.key or "", call.request_id, fault, self.settings, self.memory
        )
        response, usage = _MODEL_PATHS[call.path](asked)
        for name in list(self.memory)[:-MAX_STORED]:
            del self.memory[name]
        if no_money is not None:
            return self._own(no_money, call, model=call.model)
        cost = model.cost(usage["prompt_tokens"], usage.get("completion_tokens", 0))
        self.accounts.charge(asked.key, cost * self.settings.group_ratio)
        return response

    # The pages ------------------------------------------------------------------------------------------------------

    def _page(self, call: _Call) -> Response:
        path = call.path
        if call.method != "GET":
            return self.dialect.unknown_path(call.method, path)
        public = self._public_page(call)
        if public is not None:
            return public
        page = self._keyed_page(path)
        if page is None:
            return self.dialect.unknown_path(call.method, path)
        case = self.accounts.refuse_at_door(call.key)
        return page(call.key or "") if case is None else self._own(case, call, model="")

    def _public_page(self, call: _Call) -> Response | None:
        path, dialect = call.path, self.dialect
        if path == "/api/status":
            return pages.status(dialect)
        if path == "/api/pricing" and path in dialect.paths:
            return pages.pricing(self.registry, self.settings.groups)
        if path == "/api/available_model" and path in dialect.paths:
            return pages.available_models(self.registry, self.settings.groups)
        if path == "/api/user_group_map" and path in dialect.paths:
            return pages.group_map(self.settings.groups)
        if path == "/api/v1/models" and path in dialect.paths:
            return pages.rich_catalog(self.registry, call.query, call.headers.get("if-none-match"))
        if path == "/v1/models" and dialect.name == "aihubmix" and not call.key:
            return pages.models(dialect, self.registry)
        if path == "/api/usage/token" and path in dialect.paths:
            return pages.moved(path)
        if path == "/api/user/self":
            return pages.user_self(dialect)
        return None

    def _keyed_page(self, path: str) -> Callable[[str], Response] | None:
        """The page of a path that wants a key, as a function of the key."""
        accounts, dialect = self.accounts, self.dialect
        if path == "/v1/models":
            return lambda key: pages.models(dialect, self.registry)
        if path.startswith("/v1/models/"):
            return lambda key: pages.one_model(dialect, self.registry, path.removeprefix("/v1/models/"))
        if path == "/api/usage/token/" and path in dialect.paths:
            return lambda key: pages.token_usage(accounts.account(key), accounts.balance)
        name = path.removeprefix("/v1").removeprefix("/dashboard/billing/")
        if name == "subscription":
            return lambda key: pages.subscription(accounts.account(key))
        if name == "usage":
            return lambda key: pages.usage(accounts.account(key))
        if name == "remain" and path in dialect.paths:
            return lambda key: pages.remain(accounts.left(key))
        return None


def _read(request: Request, raw: bytes, request_id: str) -> _Call:
    try:
        body = json.loads(raw) if raw.strip() else None
    except ValueError:
        body = None
    headers = {name.lower(): value for name, value in request.headers.items()}
    key = headers.get("authorization", "").removeprefix("Bearer ").strip() or headers.get("x-api-key")
    return _Call(request.method, request.url.path, dict(request.query_params), headers, key, raw, body, request_id)


def _record(request: Request, call: _Call) -> RecordedRequest:
    headers = {name: value for name, value in call.headers.items() if name not in _SECRET_HEADERS}
    return RecordedRequest(call.method, call.path, request.url.query, headers, call.body, time.monotonic())


def _literal(fault: Fault) -> Response:
    headers = fault.headers or {}
    if fault.text is not None:
        kind = "text/plain; charset=utf-8" if fault.text else None
        return Response(fault.status, (fault.text.encode(),) if fault.text else (), kind, headers)
    body = fault.body
    if body is None:
        body = {
            "error": {
                "message": f"status {fault.status} on request",
                "type": "server_error",
                "param": None,
                "code": None,
            }
        }
    return json_response(fault.status, body, headers=headers)
