"""The errors of the recordings by name: `Fault.error("vendor_429")`.

A case is either the hub's own (a row of its dialect) or a vendor's answer that each hub hands on in its own way. The
names are those of the recordings in `cassettes/gateway`; the aliases are the words a person would think of first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HTML_502 = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Vendor:
    """What a vendor answers the hub: a status, and a body that is JSON or text."""

    status: int
    body: object


def _error(status: int, message: str, type_: str | None, code: object = None, param: str | None = None) -> Vendor:
    return Vendor(status, {"error": {"message": message, "type": type_, "param": param, "code": code}})


VENDOR: Mapping[str, Vendor] = {
    "channel_auth": _error(
        401, "Incorrect API key provided: ****. You can find your API key at your account page.",
        "invalid_request_error", "invalid_api_key",
    ),
    "gemini_400": _error(400, "API key not valid. Please pass a valid API key.", None, 400),
    "gemini_429": _error(429, "Resource has been exhausted (e.g. check quota).", None, 429),
    "vendor_400_context": _error(
        400, "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens. "
        "Please reduce the length of the messages.",
        "invalid_request_error", "context_length_exceeded", "messages",
    ),
    "vendor_400_filter": _error(
        400, "The response was filtered due to the prompt triggering content management policy.",
        None, "content_filter", "prompt",
    ),
    "vendor_400_max_tokens": _error(
        400, "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
        "invalid_request_error", "unsupported_parameter", "max_tokens",
    ),
    "vendor_403": _error(
        403, "Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory",
    ),
    "vendor_404": _error(
        404, "The model does not exist or you do not have access to it.", "invalid_request_error", "model_not_found",
    ),
    "vendor_408": _error(408, "Request timeout", "timeout"),
    "vendor_413": Vendor(413, ""),
    "vendor_429": _error(
        429, "Rate limit reached for gpt-4o-mini in organization org on requests per min (RPM): Limit 3, Used 3, "
        "Requested 1. Please try again in 20s.",
        "requests", "rate_limit_exceeded",
    ),
    "vendor_429_quota": _error(
        429, "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota", "insufficient_quota",
    ),
    "vendor_500": _error(
        500, "The server had an error while processing your request. Sorry about that!", "server_error",
    ),
    "vendor_502_html": Vendor(502, HTML_502),
    "vendor_503": _error(
        503, "The engine is currently overloaded, please try again later", "server_error", "overloaded",
    ),
    "vendor_529": _error(529, "Overloaded", "overloaded_error"),
    "vendor_error_detail": Vendor(422, {"detail": [{"loc": ["body"], "msg": "field required"}]}),
    "vendor_error_message": Vendor(400, {"message": "bad request"}),
    "vendor_error_string": Vendor(400, {"error": "model is warming up"}),
    "server_retry_all_fail": _error(500, "boom", "server_error"),
    "stream_429": _error(429, "Rate limit reached", "requests", "rate_limit_exceeded"),
}  # fmt: skip

# What a hub says when a vendor's 200 cannot be read: kind of fault -> message and the codes of the newer and older
# hubs.
UNREADABLE: Mapping[str, tuple[str, str, str]] = {
    "vendor_200_empty": ("unexpected end of JSON input", "bad_response_body", "unmarshal_response_body_failed"),
    "vendor_200_garbled": ("unexpected end of JSON input", "bad_response_body", "unmarshal_response_body_failed"),
    "vendor_200_html": (
        "invalid character '<' looking for beginning of value",
        "bad_response_body",
        "unmarshal_response_body_failed",
    ),
    "vendor_200_short": ("unexpected EOF", "read_response_body_failed", "read_response_body_failed"),
}

# The other names of the hubs' own rows in `dialects`.
ALIASES: Mapping[str, str] = {
    **dict.fromkeys(("model_not_found", "no_channel", "model_alias", "model_case"), "model_unknown"),
    **dict.fromkeys(("embeddings_unknown", "rerank_unserved"), "model_unknown"),
    **dict.fromkeys(("account_short", "account_empty_stream", "insufficient_user_quota"), "account_empty"),
    "banned": "account_banned",
    "expired": "key_expired",
    "disabled": "key_disabled",
    "spent": "key_spent",
    "short": "key_short",
    "ip_denied": "key_ip_denied",
    "model_denied": "key_model_denied",
    "channel_suffix": "key_with_channel",
    **dict.fromkeys(("limit_account_stream", "rate_limit"), "limit_account"),
    **dict.fromkeys(("vendor_refused", "vendor_reset", "do_request_failed"), "vendor_unreachable"),
    **dict.fromkeys(("channel_auto_off", "vendor_401"), "channel_auth"),
    "context": "vendor_400_context",
    "content_filter": "vendor_400_filter",
}


def canonical(case: str) -> str:
    """The name of a case in the tables, whatever alias was used."""
    return ALIASES.get(case, case)
