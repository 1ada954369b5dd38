"""The turns of `/v1/messages`: their checks, and their chat messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.checks import RefusedError, refused

Block = Mapping[str, Any]
Turn = Mapping[str, Any]

_USER = {"text", "image", "document", "tool_result", "search_result", "container_upload"}
_ASSISTANT = {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use", "compaction"}
REDACTED = "redacted"  # what the data of a redacted thinking block is the signature of
_MEDIA = {"image": "image_url", "document": "file"}


def sign(call: ModelCall, thinking: str) -> str:
    """Return the signature of a model's thinking block."""
    return "EqQB" + hashlib.sha256(f"{call.model.id}|{thinking}".encode()).hexdigest()


def text_blocks(where: str, content: Any) -> list[str]:
    """Return the texts of a system prompt.

    Raises:
        RefusedError: a block is no text, or blank.
    """
    if isinstance(content, str):
        return [content]
    for at, block in enumerate(content):
        if block.get("type") != "text":
            raise refused(f"{where}.{at}.type: Input should be 'text'")
        if not block.get("text", "").strip():
            raise refused(f"{where}: text content blocks must contain non-whitespace text")
    return [block["text"] for block in content]


def blocks_of(turn: Turn) -> list[Block]:
    """Return the blocks of a turn; a string is one text block."""
    content = turn.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def check_blocks(call: ModelCall, turns: Sequence[Turn]) -> None:
    """Refuse turns whose blocks are none, blank, changed, or not answered.

    Raises:
        RefusedError: with the place, as the vendor names it.
    """
    if turns[0].get("role") != "user":
        raise refused('messages: first message must use the "user" role')
    open_ids: list[str] = []
    for at, turn in enumerate(turns):
        role = turn.get("role")
        if role not in ("user", "assistant"):
            raise refused(f"messages.{at}.role: Input should be 'user' or 'assistant'")
        blocks = blocks_of(turn)
        if not blocks:
            raise refused(f"messages.{at}: all messages must have non-empty content")
        for position, block in enumerate(blocks):
            _check_block(call, f"messages.{at}.content.{position}", str(role), block)
        _check_results(at, blocks, open_ids)
        open_ids = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
    if open_ids:
        raise _unanswered(len(turns) - 1, open_ids)


def _check_block(call: ModelCall, where: str, role: str, block: Block) -> None:
    kind = str(block.get("type"))
    allowed = kind in (_USER if role == "user" else _ASSISTANT) or kind.endswith("_tool_result")
    if not allowed:
        raise refused(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    if kind == "text" and not str(block.get("text") or "").strip():
        raise refused("messages: text content blocks must contain non-whitespace text")
    if kind in ("thinking", "redacted_thinking") and "cache_control" in block:
        raise refused(f"{where}.{kind}.cache_control: Extra inputs are not permitted")
    if kind == "thinking" and block.get("signature") != sign(call, str(block.get("thinking"))):
        raise refused(f"{where}: Invalid `signature` in `thinking` block")
    if kind == "redacted_thinking" and block.get("data") != sign(call, REDACTED):
        raise refused(f"{where}: Invalid `data` in `redacted_thinking` block")
    if kind == "tool_use" and not isinstance(block.get("input"), dict):
        raise refused(f"{where}.tool_use.input: Input should be a valid dictionary")
    if kind == "tool_result" and isinstance(block.get("content"), list):
        for position, part in enumerate(block["content"]):
            inner = f"{where}.tool_result.content.{position}"
            if "cache_control" in part:
                raise refused(f"{inner}.{part.get('type')}.cache_control: Extra inputs are not permitted")


def _check_results(at: int, blocks: Sequence[Block], open_ids: Sequence[str]) -> None:
    """The results of a turn's calls stand first in the next turn, and there alone."""
    results = [str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"]
    for position, tool_use_id in enumerate(results):
        if tool_use_id not in open_ids:
            raise refused(
                f"messages.{at}.content.{position}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{tool_use_id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
    leading = [block.get("tool_use_id") for block in blocks[: len(results)] if block.get("type") == "tool_result"]
    missing = [one for one in open_ids if one not in leading]
    if missing:
        raise _unanswered(at - 1, missing)


def _unanswered(at: int, ids: Sequence[str]) -> RefusedError:
    return refused(
        f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}. "
        "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def chat_messages(turns: Sequence[Turn]) -> list[Mapping[str, Any]]:
    """Return the turns as chat messages."""
    found: list[Mapping[str, Any]] = []
    for turn in turns:
        found += _assistant(blocks_of(turn)) if turn["role"] == "assistant" else _user(blocks_of(turn))
    return found


def _user(blocks: Sequence[Block]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    parts = []
    for block in blocks:
        kind = block["type"]
        if kind == "tool_result":
            content = block.get("content") or ""
            text = content if isinstance(content, str) else "\n".join(str(part.get("text") or "") for part in content)
            found.append({"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text})
        elif kind in _MEDIA:
            parts.append({"type": _MEDIA[kind], _MEDIA[kind]: {}})
            source = block.get("source") or {}
            if source.get("type") == "text":
                parts.append({"type": "text", "text": str(source.get("data"))})
        elif kind == "text":
            parts.append({"type": "text", "text": block["text"]})
    return [*found, {"role": "user", "content": parts}] if parts else found


def _assistant(blocks: Sequence[Block]) -> list[Mapping[str, Any]]:
    text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [
        {
            "id": block.get("id"),
            "type": "function",
            "function": {"name": block.get("name"), "arguments": json.dumps(block.get("input"))},
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return [{"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}]
