"""A chat payload as the body of `POST /v1/responses`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hubmix.wire.responses.items import input_items

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

# Parameters that only this API has: a call that uses one can go nowhere else.
RESPONSES_ONLY = frozenset(
    {
        "previous_response_id",
        "conversation",
        "background",
        "prompt",
        "include",
        "truncation",
        "max_tool_calls",
        "context_management",
        "instructions",
        "text",
    }
)
# Hints that the API has no place for and that change no answer's meaning.
HINTS = ("seed", "prediction")
_NEUTRAL_AT_ZERO = ("frequency_penalty", "presence_penalty")
_UNSAYABLE_PARTS = frozenset({"input_audio", "audio_url", "video_url"})
# What is translated below, or has no meaning here; every other parameter keeps its name.
_TRANSLATED = frozenset(
    {
        "messages",
        "functions",
        "function_call",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "verbosity",
        "text",
        "reasoning_effort",
        "reasoning",
        "max_tokens",
        "max_completion_tokens",
        "logprobs",
        "include",
        "stream_options",
        "web_search_options",
        "n",
        "stop",
        "logit_bias",
        "modalities",
        "audio",
        *HINTS,
        *_NEUTRAL_AT_ZERO,
    }
)


def shape(
    payload: Mapping[str, Any], model: str, *, hub: str | None = None, extra_body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the body that asks one route over the Responses API.

    Nothing is stored and reasoning comes encrypted unless the user says otherwise: chat completions store nothing, so
    a change of API must not switch storage on.

    Args:
        payload: the chat payload that the framework's converter made.
        model: the route's model ID.
        hub: the route's hub; reasoning goes back only to the hub and model that made it.
        extra_body: fields of the user's, merged last.
    """
    body = {name: value for name, value in payload.items() if name not in _TRANSLATED}
    body["model"] = model
    body.setdefault("store", False)

    def own(origin: Mapping[str, Any]) -> bool:
        made = (origin.get("model"), origin.get("hub"), origin.get("api"))
        return all(theirs in (None, ours) for theirs, ours in zip(made, (model, hub, "responses"), strict=True))

    body["input"] = input_items(payload.get("messages", ()), own, stored=bool(body["store"]))
    parts = (_limits(payload), _tools(payload), _text(payload), _reasoning(payload), _include(payload, body))
    for part in parts:
        body.update(part)
    options = {k: v for k, v in (payload.get("stream_options") or {}).items() if k != "include_usage"}
    if options:
        body["stream_options"] = options
    return {**body, **extra_body} if extra_body else body


def unsayable(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what the payload asks for and this API cannot say; neutral values (`n=1`, `stop=[]`, 0) ask for nothing."""
    return tuple(dict.fromkeys(_unsayable(payload)))


def _unsayable(payload: Mapping[str, Any]) -> Iterator[str]:
    if (payload.get("n") or 1) != 1:
        yield "n"
    for name in ("stop", "logit_bias", "audio", *_NEUTRAL_AT_ZERO):
        if payload.get(name):
            yield name
    if set(payload.get("modalities") or ()) - {"text"}:
        yield "modalities"
    for message in payload.get("messages") or ():
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, Mapping) and part.get("type") in _UNSAYABLE_PARTS:
                yield f"{part['type']} content"
        if message.get("role") == "assistant" and message.get("audio"):
            yield "audio"


def _limits(payload: Mapping[str, Any]) -> dict[str, Any]:
    limit = payload.get("max_completion_tokens", payload.get("max_tokens"))
    return {} if limit is None or payload.get("max_output_tokens") is not None else {"max_output_tokens": limit}


def _tools(payload: Mapping[str, Any]) -> dict[str, Any]:
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
        return {"type": "function", **function, "strict": bool(function.get("strict"))}
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


def _text(payload: Mapping[str, Any]) -> dict[str, Any]:
    text: dict[str, Any] = {}
    wanted = payload.get("response_format")
    if isinstance(wanted, Mapping):
        schema = wanted.get("json_schema")
        text["format"] = {"type": wanted.get("type"), **schema} if isinstance(schema, Mapping) else dict(wanted)
    if payload.get("verbosity") is not None:
        text["verbosity"] = payload["verbosity"]
    text.update(payload.get("text") or {})
    return {"text": text} if text else {}


def _reasoning(payload: Mapping[str, Any]) -> dict[str, Any]:
    effort = payload.get("reasoning_effort")
    reasoning = {**({"effort": effort} if effort is not None else {}), **(payload.get("reasoning") or {})}
    return {"reasoning": reasoning} if reasoning else {}


def _include(payload: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    given: Sequence[str] | None = payload.get("include")
    include = list(given) if given is not None else [] if body["store"] else [ENCRYPTED]
    if (payload.get("logprobs") or payload.get("top_logprobs")) and LOGPROBS not in include:
        include.append(LOGPROBS)
    return {"include": include} if include else {}
