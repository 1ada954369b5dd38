"""A chat payload as the body of `POST /v1/responses`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hubmix.wire.api import BodyOptions, Payload
from hubmix.wire.responses.items import input_items

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

# What is translated below, or has no meaning here; every other parameter keeps its name.
_TRANSLATED = frozenset({
    "messages", "functions", "function_call", "tools", "tool_choice", "parallel_tool_calls", "response_format",
    "verbosity", "text", "reasoning_effort", "reasoning", "max_tokens", "max_completion_tokens", "logprobs",
    "include", "stream_options", "web_search_options", "n", "stop", "logit_bias", "modalities", "audio", "seed",
    "prediction", "frequency_penalty", "presence_penalty",
})  # fmt: skip


def responses_body(payload: Payload, options: BodyOptions) -> dict[str, Any]:
    """Return the body that asks one route over the Responses API.

    Nothing is stored and reasoning comes encrypted unless the caller says otherwise: chat completions store nothing,
    so a change of API must not switch storage on.
    """
    body = {name: value for name, value in payload.items() if name not in _TRANSLATED}
    body["model"] = options.model_id
    body.setdefault("store", False)
    own = partial(options.made, api="responses")
    body["input"] = input_items(payload.get("messages", ()), own, stored=bool(body["store"]))
    for part in (_limits(payload), _tools(payload), _text(payload), _reasoning(payload), _include(payload, body)):
        body.update(part)
    stream_options = {k: v for k, v in (payload.get("stream_options") or {}).items() if k != "include_usage"}
    if stream_options:
        body["stream_options"] = stream_options
    for name, value in (options.extra_body or {}).items():
        # `model_kwargs={"text": {"verbosity": "low"}}` must not take the response format out.
        body[name] = {**body[name], **value} if _are_settings(name, body.get(name), value) else value
    if options.stream:
        body["stream"] = True
    return body


def _are_settings(name: str, *values: Any) -> bool:
    return name in ("text", "reasoning") and all(isinstance(value, Mapping) for value in values)


def _limits(payload: Payload) -> dict[str, Any]:
    limit = payload.get("max_completion_tokens", payload.get("max_tokens"))
    return {} if limit is None or payload.get("max_output_tokens") is not None else {"max_output_tokens": limit}


def _tools(payload: Payload) -> dict[str, Any]:
    given = payload.get("tools") or [{"type": "function", "function": f} for f in payload.get("functions") or ()]
    tools = [_tool(tool) for tool in given]
    if (options := payload.get("web_search_options")) is not None:
        tools.append({"type": "web_search", **_search_options(options)})
    if not tools:  # gateways refuse an empty list, and a tool_choice without tools
        return {}
    found: dict[str, Any] = {"tools": tools}
    choice = payload.get("tool_choice", payload.get("function_call"))
    if choice is not None:
        found["tool_choice"] = _choice(choice)
    if payload.get("parallel_tool_calls") is not None:
        found["parallel_tool_calls"] = payload["parallel_tool_calls"]
    return found


def _tool(tool: Any) -> Any:
    if not isinstance(tool, Mapping):
        return tool
    function, custom = tool.get("function"), tool.get("custom")
    if isinstance(function, Mapping):
        # OpenAI takes a missing `strict` as true, and then refuses schemas that chat completions take.
        outer = {name: value for name, value in tool.items() if name not in ("type", "function", "cache_control")}
        return {"type": "function", **outer, **function, "strict": bool(function.get("strict"))}
    if isinstance(custom, Mapping):
        flat = {"type": "custom", **custom}
        grammar = (custom.get("format") or {}).get("grammar")
        return {**flat, "format": {"type": "grammar", **grammar}} if grammar else flat
    return tool


def _choice(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    kind = choice.get("type", "function")
    if kind == "allowed_tools" and isinstance(choice.get("allowed_tools"), Mapping):
        allowed = choice["allowed_tools"]
        return {"type": kind, **allowed, "tools": [_choice(tool) for tool in allowed.get("tools") or ()]}
    named = choice.get(kind)
    if isinstance(named, Mapping):
        return {"type": kind, "name": named.get("name")}
    return {"type": kind, **choice}


def _search_options(options: Mapping[str, Any]) -> dict[str, Any]:
    place = options.get("user_location")
    if isinstance(place, Mapping) and isinstance(place.get("approximate"), Mapping):
        return {**options, "user_location": {"type": "approximate", **place["approximate"]}}
    return dict(options)


def _text(payload: Payload) -> dict[str, Any]:
    text: dict[str, Any] = {}
    wanted = payload.get("response_format")
    if isinstance(wanted, Mapping):
        schema = wanted.get("json_schema")
        text["format"] = {"type": wanted.get("type"), **schema} if isinstance(schema, Mapping) else dict(wanted)
    if payload.get("verbosity") is not None:
        text["verbosity"] = payload["verbosity"]
    text.update(payload.get("text") or {})
    return {"text": text} if text else {}


def _reasoning(payload: Payload) -> dict[str, Any]:
    effort = payload.get("reasoning_effort")
    reasoning = {**({"effort": effort} if effort is not None else {}), **(payload.get("reasoning") or {})}
    return {"reasoning": reasoning} if reasoning else {}


def _include(payload: Payload, body: Mapping[str, Any]) -> dict[str, Any]:
    given: Sequence[str] | None = payload.get("include")
    include = list(given) if given is not None else [] if body["store"] else [ENCRYPTED]
    if (payload.get("logprobs") or payload.get("top_logprobs")) and LOGPROBS not in include:
        include.append(LOGPROBS)
    return {"include": include} if include else {}
