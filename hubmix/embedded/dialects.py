"""How each hub words its own errors, as data.

`new-api` (New API, August 2026) and `one-api` (February 2025) are taken from recordings of the running programs:
the status, the keys and their order, the code, the language. `aihubmix` is read from AIHubMix's public documentation
and from bug reports that quote its errors; nobody measured it here, and where its pages are silent it does as one-api
does, from which it descends.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hubmix.embedded.http import HTML_TYPE, Response, json_response

DialectName = Literal["new-api", "one-api", "one-hub", "aihubmix"]


@dataclass(frozen=True, slots=True)
class Own:
    """An error of the hub itself.

    `relay` errors come from behind the distributor and have `param` and `code`; a `type` of its own bears no label.
    """

    status: int
    english: str
    chinese: str = ""
    code: str | None = None
    relay: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """One hub's way of speaking.

    Args:
        own_type: The `type` of its own errors.
        id_headers: Where the request id is, on every answer.
        id_label: How the id is called inside messages.
        counts_usage: Whether the hub adds a usage chunk counted by itself where the vendor gave none.
        asks_usage: Whether it asks the vendor for usage even if the client did not.
        english: Whether `Accept-Language` chooses the language (older hubs speak Chinese only).
        cut_line: what stands where the vendor broke a stream off, in place of an end that the hub invents.
        routers: whether `auto` is a model, and headers tell which model answered in place of another.
    """

    name: DialectName
    title: str
    own_type: str
    own: Mapping[str, Own]
    id_headers: tuple[str, ...] = ("X-Oneapi-Request-Id",)
    id_label: str = "request id"
    version: str | None = None
    counts_usage: bool = False
    asks_usage: bool = False
    english: bool = False
    cut_line: str | None = None
    routers: bool = False
    paths: frozenset[str] = frozenset()

    def new_request_id(self) -> str:
        """A request id in the form of this hub."""
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime()) + f"{time.time_ns() % 1_000_000_000:09d}"
        if self.name == "new-api":
            return f"{stamp}8268d9d6{secrets.token_hex(4)}"
        return f"{stamp}{next(_COUNTER) % 100_000_000:08d}"

    def headers(self, request_id: str) -> dict[str, str]:
        """What this hub puts on every answer."""
        headers = dict.fromkeys(self.id_headers, request_id)
        if self.version is not None:
            headers["X-New-Api-Version"] = self.version
        return headers

    def label(self, message: str, request_id: str) -> str:
        """A message with the request id, as the hub writes it."""
        return f"{message} ({self.id_label}: {request_id})"

    def own_error(self, case: str, request_id: str, language: str = "", **words: object) -> Response:
        """The hub's own error of this case; `words` fill the placeholders of its message.

        Raises:
            KeyError: the hub has no such error.
        """
        own = self.own[case]
        if own.english == "" and own.code is None:
            return Response(own.status, content_type=None, headers=own.headers)
        chinese = own.chinese and (not self.english or language.lower().startswith("zh"))
        message = (own.chinese if chinese else own.english).format(**words)
        message = message if own.type else self.label(message, request_id)
        return json_response(own.status, {"error": self._own_body(own, message)}, headers=own.headers)

    def _own_body(self, own: Own, message: str) -> dict[str, Any]:
        if own.relay:
            return {"message": message, "type": self.own_type, "param": "", "code": own.code}
        if self.name == "one-hub":
            code = {"code": own.code} if own.code else {}
            return {**code, "message": message, "type": own.type or self.own_type}
        if self.name == "new-api":
            return {"code": own.code or "", "message": message, "type": self.own_type}
        body: dict[str, Any] = {"message": message, "type": self.own_type}
        if self.name == "aihubmix" and own.code:
            body |= {"param": "", "code": own.code}
        return body

    def vendor_error(self, status: int, body: object, request_id: str) -> Response:
        """Return what the client sees of a vendor's error; `body` is JSON or text."""
        if self.name == "new-api":
            return json_response(status, {"error": _relayed_by_new_api(body)})
        error = _relayed_by_one_api(status, body)
        if status == 429 and self.name in ("one-api", "one-hub"):
            error["message"] = "当前分组上游负载已饱和，请稍后再试"
        elif self.name == "one-hub":
            error["message"] = f"Provider API error: {error['message']}"
        if self.name == "one-hub":
            error = {name: value for name, value in error.items() if value not in (None, "")}
        error["message"] = self.label(str(error["message"]), request_id)
        return json_response(status, {"error": error})

    def unknown_path(self, method: str, path: str) -> Response:
        """Return 404 for a path of the API, and the hub's web page for any other."""
        if not path.startswith(("/v1", "/api", "/dashboard", "/assets")):
            head = f"<head><title>{self.title}</title></head>"
            page = f'<!doctype html><html>{head}<body><div id="root"></div></body></html>\n'
            return Response(200, (page.encode(),), HTML_TYPE)
        error = {"message": f"Invalid URL ({method} {path})", "type": "invalid_request_error", "param": "", "code": ""}
        if self.name == "one-hub":
            del error["param"]
        return json_response(404, {"error": error})


_COUNTER = itertools.count(1)


def _relayed_by_new_api(body: object) -> dict[str, Any]:
    if isinstance(body, Mapping):
        error = body.get("error")
        if isinstance(error, Mapping) and error.get("message"):
            return _relayed(error, "upstream_error")
        text = error if isinstance(error, str) else body.get("message")
        if isinstance(text, str) and text:
            return _unreadable(text)
    return _unreadable("openai_error")


def _relayed(error: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return a vendor's error as a hub hands it on; `kind` if it names none."""
    return {
        "message": error["message"],
        "type": error.get("type") or kind,
        "param": error.get("param") or "",
        "code": error.get("code"),
    }


def _unreadable(message: str) -> dict[str, Any]:
    kind = "bad_response_status_code"
    return {"message": message, "type": kind, "param": "", "code": kind}


def _relayed_by_one_api(status: int, body: object) -> dict[str, Any]:
    message = ""
    if isinstance(body, Mapping) and not isinstance(body.get("error"), str):
        error = body.get("error")
        if isinstance(error, Mapping) and error.get("message"):
            return _relayed(error, "")
        text = body.get("message")
        message = text if isinstance(text, str) else f"bad response status code {status}"
    return {"message": message, "type": "upstream_error", "param": str(status), "code": "bad_response_status_code"}


_EMPTY = Own(429, "")  # the limit of a user: measured on both, no body and no Content-Type

_NEW_API: dict[str, Own] = {
    **dict.fromkeys(
        ("no_key", "bad_key", "key_expired", "key_disabled", "key_spent"), Own(401, "Invalid token", "无效的令牌"),
    ),
    "key_short": Own(
        403, "token quota is not enough, token remain quota: ＄0.000002, need quota: ＄0.000074",
        code="pre_consume_token_quota_failed", relay=True,
    ),
    "account_empty": Own(
        403, "用户额度不足, 剩余额度: ＄0.000000", "用户额度不足, 剩余额度: ＄0.000000",
        "insufficient_user_quota", relay=True,
    ),
    "account_banned": Own(403, "User has been banned", "用户已被封禁"),
    "key_ip_denied": Own(403, "您的 IP 不在令牌允许访问的列表中", "您的 IP 不在令牌允许访问的列表中", "access_denied"),
    "key_model_denied": Own(403, "This token has no access to model {model}", "该令牌无权访问模型 {model}"),
    "key_with_channel": Own(400, "Invalid channel ID", "无效的渠道 Id"),
    "limit_account": _EMPTY,
    "limit_ip": Own(429, "", headers={"Retry-After": "180"}),
    "model_unknown": Own(
        503, "No available channel for model {model} under group default (distributor)",
        "分组 default 下模型 {model} 无可用渠道（distributor）", "model_not_found",
    ),
    "model_missing": Own(
        400, "Model name not specified, model name cannot be empty", "未指定模型名称，模型名称不能为空",
    ),
    **dict.fromkeys(
        ("not_json", "body_empty"),
        Own(
            400, "Invalid request: Invalid request: invalid JSON request body",
            "无效的请求: invalid JSON request body",
        ),
    ),
    **dict.fromkeys(
        ("invalid_request", "invalid_embedding", "invalid_documents", "invalid_query"),
        Own(500, "{message}", code="invalid_request", relay=True),
    ),
    "sensitive_words": Own(500, "user sensitive words detected", code="sensitive_words_detected", relay=True),
    "gemini_blocked_prompt": Own(400, "request blocked by Gemini API: SAFETY", code="prompt_blocked", relay=True),
    "vendor_unreachable": Own(500, "upstream error: do request failed", code="do_request_failed", relay=True),
    "api_not_served": Own(500, "not implemented", code="convert_request_failed", relay=True),
    "model_price_error": Own(
        400,
        "模型 {model} 的价格未配置；Model {model} price not configured. Configure the model price in System Settings.",
        code="model_price_error", relay=True,
    ),
    "key_group_gone": Own(403, "无权访问 dear 分组", "无权访问 dear 分组"),
    **{
        # Its guard refuses before anything else has seen the request, so the message has no request ID.
        f"system_{what}_overloaded": Own(
            503, f"system {what} overloaded (current: 99.4%, threshold: 90%)",
            code=f"system_{what}_overloaded", relay=True, type="new_api_error",
        )
        for what in ("cpu", "memory", "disk")
    },
}  # fmt: skip

_DIAL = (
    'do request failed: Post "http://127.0.0.1:9/v1/chat/completions": '
    "dial tcp 127.0.0.1:9: connect: connection refused"
)
_NOT_JSON = "common.UnmarshalBodyReusable failed: invalid character 'n' looking for beginning of object key string"
_NO_MODEL = "Incorrect model ID. Please request to view the model page or you do not have permission to use this model"


def _one_api(english: Mapping[str, str]) -> dict[str, Own]:
    rows = {
        "no_key": Own(401, "未提供令牌"),
        "bad_key": Own(401, "无效的令牌"),
        "key_expired": Own(401, "该令牌已过期"),
        "key_disabled": Own(401, "该令牌状态不可用"),
        "key_spent": Own(401, "该令牌额度已用尽"),
        "account_empty": Own(403, "user quota is not enough", code="insufficient_user_quota", relay=True),
        "key_short": Own(403, "token quota is not enough", code="pre_consume_token_quota_failed", relay=True),
        "account_banned": Own(403, "用户已被封禁"),
        "key_ip_denied": Own(403, "该令牌只能在指定网段使用：10.1.2.0/24，当前 ip：127.0.0.1"),
        "key_model_denied": Own(403, "该令牌无权使用模型：{model}"),
        "key_with_channel": Own(400, "无效的渠道 Id"),
        "limit_account": _EMPTY,
        "limit_ip": _EMPTY,
        "model_unknown": Own(503, "当前分组 default 下对于模型 {model} 无可用渠道"),
        "model_missing": Own(503, "当前分组 default 下对于模型  无可用渠道"),
        "not_json": Own(400, _NOT_JSON),
        "body_empty": Own(400, "common.UnmarshalBodyReusable failed: unexpected end of JSON input"),
        "invalid_request": Own(400, "{message}", code="invalid_text_request", relay=True),
        "invalid_embedding": Own(400, "{message}", code="invalid_embedding_request", relay=True),
        "invalid_documents": Own(400, "{message}", code="invalid_documents", relay=True),
        "invalid_query": Own(400, "{message}", code="invalid_query", relay=True),
        "sensitive_words": Own(400, "user sensitive words detected", code="sensitive_words_detected", relay=True),
        "vendor_unreachable": Own(500, _DIAL, code="do_request_failed", relay=True),
        "api_not_served": Own(500, "not implemented", code="convert_request_failed", relay=True),
    }  # fmt: skip
    for case, message in english.items():
        old = rows[case]
        rows[case] = Own(old.status, message, code=old.code, relay=old.relay)
    return rows


_AIHUBMIX_WORDS = {
    "no_key": "Unauthorized - no access token supplied",
    "bad_key": "Unauthorized - access token is invalid or expired.",
    "key_expired": "Unauthorized - access token is invalid or expired.",
    "key_disabled": "Unauthorized - access token is invalid or expired.",
    "key_spent": "Unauthorized - access token is invalid or expired.",
    "account_empty": "Your account balance is insufficient. Please recharge and try again.",
    "key_short": "Your account balance is insufficient. Please recharge and try again.",
    "account_banned": "Your account has been suspended.",
    "key_ip_denied": "Your IP is not allowed to use this key.",
    "key_model_denied": "This key is not authorised to use the model {model}.",
    "key_with_channel": "Key error; ordinary users do not support specifying a channel.",
    "model_unknown": _NO_MODEL,
    "model_missing": _NO_MODEL,
}


def _one_api_as_measured() -> dict[str, Own]:
    rows = _one_api({})
    del rows["key_short"]  # one-api of February 2025 answers such a call
    return rows


def _aihubmix() -> dict[str, Own]:
    rows = _one_api(_AIHUBMIX_WORDS)
    rows["model_unknown"] = Own(400, _AIHUBMIX_WORDS["model_unknown"])
    rows["model_missing"] = Own(400, _AIHUBMIX_WORDS["model_missing"])
    gone = "The model {model} has been retired. Its successor is: {successor}."
    rows["model_retired"] = Own(404, gone, code="model_retired")
    rows["key_short"] = Own(403, _AIHUBMIX_WORDS["key_short"], code="insufficient_user_quota", relay=True)
    return rows


def _one_hub() -> dict[str, Own]:
    """Return one-hub's errors as recorded in November 2026."""
    busy = "上游负载已饱和，请稍后再试"
    rows = {
        **dict.fromkeys(("no_key", "bad_key", "account_banned"), Own(401, "无效的令牌")),
        "key_expired": Own(401, "令牌已过期"),
        "key_disabled": Own(401, "令牌状态不可用"),
        "key_spent": Own(401, "令牌额度已用尽"),
        "key_ip_denied": Own(403, "IP 127.0.0.1 is not allowed to access"),
        "key_with_channel": Own(503, "无效的渠道 Id", code="one_hub_error"),
        "key_model_denied": Own(404, "Model {model} is not supported for current token", code="one_hub_error"),
        "account_empty": Own(429, busy, code="insufficient_user_quota", type="system_error"),
        **dict.fromkeys(("limit_account", "limit_ip"), Own(429, "您的速率达到上限")),
        "model_unknown": Own(503, "当前分组 default 下对于模型 {model} 无可用渠道", code="one_hub_error"),
        "model_missing": Own(400, "field Model is required", code="one_hub_error"),
        "api_not_served": Own(500, "not implemented", code="convert_request_failed"),
        "vendor_unreachable": Own(500, _DIAL, code="do_request_failed"),
    }
    broken = ("not_json", "body_empty")
    no_json = "invalid character 'n' looking for beginning of object key string"
    rows |= dict.fromkeys(broken, Own(400, no_json, code="one_hub_error"))
    said = ("invalid_request", "invalid_embedding", "invalid_documents", "invalid_query")
    return rows | dict.fromkeys(said, Own(400, "{message}", code="one_hub_error"))


_REMAIN = ("/dashboard/billing/remain", "/v1/dashboard/billing/remain")
_COMMON = {"/v1/models", "/v1/chat/completions", "/v1/embeddings", "/api/status"}
_NEWER = {*_COMMON, "/v1/responses", "/v1/messages", "/v1/rerank"}

DIALECTS: Mapping[str, Dialect] = {
    "new-api": Dialect(
        "new-api", "New API", "new_api_error", _NEW_API,
        version="v0.0.0", counts_usage=True, asks_usage=True, english=True,
        paths=frozenset({*_NEWER, "/api/pricing", "/api/usage/token", "/api/usage/token/"}),
    ),
    "one-api": Dialect("one-api", "One API", "one_api_error", _one_api_as_measured(), paths=frozenset(_COMMON)),
    "one-hub": Dialect(
        "one-hub", "One Hub", "one_hub_error", _one_hub(), counts_usage=True, cut_line="unexpected EOF",
        paths=frozenset({*_NEWER, "/api/available_model", "/api/user_group_map"} - {"/v1/messages"}),
    ),
    "aihubmix": Dialect(
        "aihubmix", "AIHubMix", "Aihubmix_api_error", _aihubmix(),
        id_headers=("X-Request-Id", "x-aihubmix-request-id"), id_label="tid", routers=True,
        paths=frozenset({*_NEWER, "/api/v1/models", *_REMAIN}),
    ),
}  # fmt: skip
