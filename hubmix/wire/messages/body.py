"""A chat payload as the body of `POST /v1/messages`. Pure.

Anthropic refuses unknown parameters with a 400; `wire.expressible` names those before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubmix.wire.api import BodyOptions, Payload
from hubmix.wire.expressible import HINTS
from hubmix.wire.fields import CITABLE
from hubmix.wire.messages.blocks import MARK, Block, assistant_blocks, content_blocks, marked, tool_result
from hubmix.wire.messages.thinking import apply_effort

DEFAULT_MAX_TOKENS = 8192  # the API wants a limit; long enough for an answer, and every Claude since 3.5 allows it

# What is translated below or has no place here; every other parameter keeps its name.
_TRANSLATED = frozenset(HINTS["messages"]) | {
    "messages", "tools", "functions", "function_call", "tool_choice", "parallel_tool_calls", "response_format",
    "reasoning_effort", "max_tokens", "max_completion_tokens", "stop", "user", "n", "logprobs", "top_logprobs",
    "logit_bias", "modalities", "audio", "stream_options", "web_search_options", "frequency_penalty",
    "presence_penalty",
}  # fmt: skip


def messages_body(payload: Payload, options: BodyOptions) -> dict[str, Any]:
    """Return the body that asks one route over the Messages API."""
    body = {name: value for name, value in payload.items() if name not in _TRANSLATED}
    body["model"] = options.model_id
    system, body["messages"] = _turns(payload.get("messages") or (), options)
    if system:
        body["system"] = system
    limit = payload.get("max_completion_tokens", payload.get("max_tokens"))
    body["max_tokens"] = DEFAULT_MAX_TOKENS if limit is None else limit
    if stops := _stops(payload.get("stop")):
        body["stop_sequences"] = stops
    if payload.get("user"):
        body["metadata"] = {"user_id": payload["user"], **(body.get("metadata") or {})}
    body.update(_tools(payload))
    _write_format(body, payload.get("response_format"))
    if options.extra_body:
        body.update(options.extra_body)
    apply_effort(body, payload.get("reasoning_effort"))
    if options.stream:
        body["stream"] = True
    return body


def _turns(messages: Any, options: BodyOptions) -> tuple[list[Block], list[dict[str, Any]]]:
    """Return the system blocks and the turns.

    Neighbours of one role are one turn; results of tools stand first in it."""
    system: list[Block] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            system += marked(content_blocks(message.get("content")), message.get(MARK))
        elif role == "assistant":
            _add(turns, "assistant", assistant_blocks(message, _is_own(message, options)))
        elif role in ("tool", "function"):
            _add_result(turns, tool_result(message))
        else:
            content = message.get(CITABLE) or message.get("content")
            _add(turns, "user", marked(content_blocks(content), message.get(MARK)))
    return system, turns


def _is_own(message: Mapping[str, Any], options: BodyOptions) -> bool:
    origin = message.get("hubmix_reasoning")
    return isinstance(origin, Mapping) and options.made(origin, "messages")


def _add(turns: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"].extend(blocks)
    else:
        turns.append({"role": role, "content": blocks})


def _add_result(turns: list[dict[str, Any]], result: Block) -> None:
    if not turns or turns[-1]["role"] != "user":
        turns.append({"role": "user", "content": []})
    content = turns[-1]["content"]
    results = sum(block["type"] == "tool_result" for block in content)
    content.insert(results, result)


def _stops(stop: Any) -> list[str]:
    stops = [stop] if isinstance(stop, str) else list(stop or ())
    return [text for text in stops if isinstance(text, str) and text.strip()]


def _tools(payload: Mapping[str, Any]) -> dict[str, Any]:
    given = payload.get("tools") or [{"function": function} for function in payload.get("functions") or ()]
    tools = [_tool(tool) for tool in given]
    if (search := payload.get("web_search_options")) is not None:
        place = (search.get("user_location") or {}).get("approximate") if isinstance(search, Mapping) else None
        location = {"user_location": {"type": "approximate", **place}} if place else {}
        tools.append({"type": "web_search_20250305", "name": "web_search", **location})
    if not tools:
        return {}
    choice = _choice(payload.get("tool_choice", payload.get("function_call")))
    if payload.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return {"tools": tools, **({"tool_choice": choice} if choice else {})}


def _tool(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping):
        return tool  # a server tool, or one in Anthropic's own form
    schema = function.get("parameters") or {"properties": {}}
    made: dict[str, Any] = {"name": function.get("name"), "input_schema": {"type": "object", **schema}}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("strict"):
        made["strict"] = True
    return {**made, **{key: value for key, value in tool.items() if key not in ("type", "function")}}


_CHOICES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}


def _choice(choice: Any) -> dict[str, Any] | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return {"type": _CHOICES[choice]} if choice in _CHOICES else {"type": "tool", "name": choice}
    named = choice.get("function")
    name = named.get("name") if isinstance(named, Mapping) else None
    if name or choice.get("type") not in ("auto", "any", "none", "tool"):
        return {"type": "tool", "name": name or choice.get("name")}
    return dict(choice)


def _write_format(body: dict[str, Any], wanted: Any) -> None:
    schema = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    if isinstance(schema, Mapping):
        form = {"type": "json_schema", "schema": schema.get("schema")}
        body["output_config"] = {"format": form, **(body.get("output_config") or {})}
