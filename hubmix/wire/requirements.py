"""What a model must be able to do to answer a request, read from its payload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# A rule of thumb of the tokenizers in use: some four characters of English to a token, and three bytes of UTF-8 (one
# Chinese character) to somewhat less than one. It decides only whether a known window is too small, so it errs low.
_BYTES_PER_TOKEN = 4
_TOKENS_PER_IMAGE = 85  # OpenAI's price of an image in low detail, the least any vendor counts


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a model must be able to do to answer a request.

    Args:
        tools: the request offers tools.
        forced_tool: it demands that one be called.
        images, audio, files: it holds such input, or asks for audio.
        structured_output: it demands an answer under a JSON schema.
        tokens: a low estimate of the length of the messages and tools.
    """

    tools: bool = False
    forced_tool: bool = False
    images: bool = False
    audio: bool = False
    files: bool = False
    structured_output: bool = False
    tokens: int = 0


def requirements_of(payload: Mapping[str, Any]) -> Requirements:
    """Read the requirements of a chat payload (an OpenAI chat.completions body).

    The messages are read once, without a tokenizer.

    Example:
        >>> requirements_of({"messages": [{"role": "user", "content": "Hello, how are you?"}]}).tokens
        4
    """
    tools = payload.get("tools") or payload.get("functions") or []
    choice = payload.get("tool_choice") or payload.get("function_call")
    response_format = payload.get("response_format")
    kinds: set[str] = set()
    size = _size(tools)
    images = 0
    for message in payload.get("messages") or ():
        if not isinstance(message, Mapping):
            continue
        size += _size(message.get("tool_calls"))
        for part in _parts(message.get("content")):
            kind = "text" if isinstance(part, str) else str(part.get("type", ""))
            kinds.add(kind)
            images += kind in ("image_url", "input_image", "image")
            size += _size(part if isinstance(part, str) else part.get("text"))
    return Requirements(
        tools=bool(tools),
        forced_tool=bool(tools) and (choice in ("required", "any") or isinstance(choice, Mapping)),
        images=images > 0,
        audio="input_audio" in kinds or "audio" in (payload.get("modalities") or ()),
        files=bool(kinds & {"file", "input_file"}),
        structured_output=isinstance(response_format, Mapping) and response_format.get("type") == "json_schema",
        tokens=size // _BYTES_PER_TOKEN + images * _TOKENS_PER_IMAGE,
    )


def estimate_tokens(payload: Mapping[str, Any]) -> int:
    """Return about how many tokens the input of any request has."""
    documents = payload.get("documents") or ()
    ranked = _size(documents) + _size(payload.get("query")) * len(documents)
    return requirements_of(payload).tokens + (_size(payload.get("input")) + ranked) // _BYTES_PER_TOKEN


def _parts(content: Any) -> Iterator[str | Mapping[str, Any]]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (part for part in content if isinstance(part, (str, Mapping)))


def _size(value: Any) -> int:
    """Bytes of the text in a JSON value, keys included, without writing it out."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Mapping):
        return sum(len(key) + _size(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return sum(_size(item) for item in value)
    return 0
