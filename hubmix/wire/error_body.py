"""What an error body says: code, type, parameter, message. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from hubmix.wire.json_text import loads

SHOWN = 65_536
"""Characters at the beginning of a page in which its words are looked for."""


def read_error_body(body: bytes | str | Any) -> dict[str, str | None]:
    """Get code, type, param and message out of an error body, whatever its shape.

    Reads the shapes of OpenAI, Anthropic, Gemini (a list), Mistral, SiliconFlow, Baidu (flat), MiniMax (`base_resp`),
    `success: false`, FastAPI's `detail`, a bare string, plain text and HTML (its title).

    Args:
        body: the raw body, or the JSON value in it.

    Returns:
        `code`, `type`, `param` (None where absent or empty; numbers as text) and `message` ("" where absent).

    Example:
        >>> read_error_body(b'{"error": {"message": "busy", "code": 429}}')
        {'code': '429', 'type': None, 'param': None, 'message': 'busy'}
    """
    value = decode_error_body(body)
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return _described(message=plain_text(value))
    if not isinstance(value, Mapping):
        return _described()
    return _read_object(value)


def holds_error(data: Any) -> bool:
    """Return whether a decoded 200 body is an error, in any known shape."""
    if not isinstance(data, Mapping):
        return False
    if data.get("error") or data.get("success") is False or data.get("object") == "error":
        return True
    said = _read_object(data)
    code = said["code"]
    return code not in _FINE if code else bool(said["message"])


_FINE = ("0", "200", "ok", "success", "OK", "SUCCESS")


def decode_error_body(body: Any) -> Any:
    """Return the JSON value of a body; its text if it is no JSON."""
    if isinstance(body, (bytes, bytearray)):
        body = bytes(body).decode("utf-8", "replace")
    if not isinstance(body, str):
        return body
    try:
        return loads(body)
    except ValueError:
        return body


def _read_object(value: Mapping[str, Any]) -> dict[str, str | None]:
    error = value.get("error")
    if error is None and isinstance(value.get("errors"), list) and value["errors"]:  # Cloudflare
        error = value["errors"][0]
    if isinstance(error, str):
        described = _described(message=plain_text(error))
    elif isinstance(error, Mapping):
        described = _described(
            code=_text(error.get("code")),
            # Gemini has the name of the status where others have a type.
            type=_text(error.get("type")) or _text(error.get("status")),
            param=_text(error.get("param")),
            message=_message(error),
        )
        inner = error.get("innererror")  # Azure puts the telling code there
        if isinstance(inner, Mapping) and not described["code"]:
            described["code"] = _text(inner.get("code"))
    else:
        described = _described(param=_text(value.get("param")), message=_message(value))
    # A `type` next to the error object: "error" says nothing (Anthropic, AIHubMix), anything else fills a gap.
    outer = _text(value.get("type"))
    described["type"] = described["type"] or (outer if outer != "error" else None)
    described["code"] = described["code"] or _text(value.get("code")) or _text(value.get("error_code"))
    described["message"] = described["message"] or _message(value) or _nested_words(value)
    about = value.get("base_resp")  # MiniMax
    if isinstance(about, Mapping) and about.get("status_code"):
        described["code"] = described["code"] or _text(about["status_code"])
        described["message"] = described["message"] or _message(about)
    return described


def _described(
    *, code: str | None = None, type: str | None = None, param: str | None = None, message: str = ""
) -> dict[str, str | None]:
    return {"code": code, "type": type, "param": param, "message": message}


def _text(value: Any) -> str | None:
    # "<nil>" is what a Go gateway prints for a missing value.
    if value is None or isinstance(value, (bool, Mapping, list)) or value in ("", "<nil>"):
        return None
    return str(value)


_WORDS = (
    "message", "msg", "error_msg", "error_message", "errorMessage", "status_msg", "detail", "faultstring", "reason",
    "html-message",
)  # fmt: skip


def _message(error: Mapping[str, Any]) -> str:
    message = next((error[name] for name in _WORDS if error.get(name)), "")
    if isinstance(message, Mapping):
        message = _message(message) or json.dumps(message, ensure_ascii=False)
    elif not isinstance(message, str):
        message = json.dumps(message, ensure_ascii=False)
    metadata = error.get("metadata")
    # OpenRouter says "Provider returned error" and keeps the vendor's words in metadata.raw.
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    if isinstance(raw, str) and raw and raw not in message:
        message = f"{message}: {raw}" if message else raw
    return plain_text(message) if message.lstrip()[:1] == "<" else message


def _nested_words(value: Any) -> str:
    """Return the words of an inner object, such as `fault.faultstring`."""
    if isinstance(value, list):
        return next((words for item in value if (words := _nested_words(item))), "")
    if not isinstance(value, Mapping):
        return ""
    inner = (part for part in value.values() if isinstance(part, (Mapping, list)))
    words = next((found for part in inner if (found := _nested_words(part))), "")
    return words or _message({name.lower(): said for name, said in value.items() if isinstance(said, str)})


def plain_text(text: str) -> str:
    """The title of an HTML page, or the text itself; one line, at most 500 characters."""
    text = text[:SHOWN]
    if re.match(r"\s*<(!doctype|html|head|body)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = title.group(1) if title else "an HTML page"
    return " ".join(text.split())[:500]


_REQUEST_ID_HEADERS = ("x-oneapi-request-id", "x-request-id", "x-aihubmix-request-id", "request-id", "cf-ray")


_REQUEST_ID_IN_TEXT = re.compile(r"\((?:request id|tid): *([^\s)]+)\)", re.IGNORECASE)


def find_request_id(headers: Mapping[str, str], message: str = "") -> str | None:
    """Return the hub's request id, from the headers or the message.

    In a message it is "(request id: ...)" or "(tid: ...)".
    """
    for name in _REQUEST_ID_HEADERS:
        if value := headers.get(name):
            return value
    found = _REQUEST_ID_IN_TEXT.search(message)
    return found.group(1) if found else None
