"""Reading a chat request as strictly as hubs and their vendors do.

The hub's own checks (types, empty messages, max_tokens) are those of the recordings; what it lets through, an OpenAI
vendor refuses: an empty `tools`, a tool message that answers no call, a content part of another framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hubmix.embedded.checks import RefusedError, fault_of, refused
from hubmix.embedded.conversation import ChatRequest, Message

# Measured: New API refuses 2**40 and takes ordinary numbers; the exact border was not looked for.
MAX_TOKENS_LIMIT = 1 << 30

_NUMBERS = {
    "temperature": "float64", "top_p": "float64", "presence_penalty": "float64", "frequency_penalty": "float64",
    "seed": "float64", "n": "int", "top_logprobs": "int",
}  # fmt: skip
_SHAPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "stream": (bool, "bool"),
    "logprobs": (bool, "bool"),
    "parallel_tool_calls": (bool, "bool"),
    "model": (str, "string"),
    "messages": (list, "[]dto.Message"),
    "tools": (list, "[]dto.ToolCallRequest"),
    "stream_options": (dict, "dto.StreamOptions"),
    "response_format": (dict, "dto.ResponseFormat"),
}
_GO_KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
_PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file", "video_url")


def read_chat(body: Mapping[str, Any]) -> ChatRequest:
    """Check a chat request's body.

    Raises:
        RefusedError: the hub or the vendor would not answer it.
    """
    _check_types(body)
    max_tokens = _max_tokens(body)
    messages = body.get("messages")
    if not messages:
        raise RefusedError("field messages is required")
    tools = _tools(body)
    _check_messages(messages)
    choice = _tool_choice(body, tools)
    stop = body.get("stop")
    n = body.get("n") or 1
    if not 1 <= n <= 128:
        raise refused(f"Invalid 'n': expected a value between 1 and 128, but got {n} instead.", "n")
    if body.get("top_logprobs") and not body.get("logprobs"):
        raise refused("'top_logprobs' is only allowed when 'logprobs' is true.", "top_logprobs")
    return ChatRequest(
        model=str(body["model"]),
        messages=tuple(messages),
        tools=tools,
        tool_choice=choice,
        parallel=body.get("parallel_tool_calls") is not False,
        response_format=_response_format(body),
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        max_tokens=max_tokens,
        n=n,
        stream=bool(body.get("stream")),
        usage_asked=bool((body.get("stream_options") or {}).get("include_usage")),
        logprobs=bool(body.get("logprobs")),
        top_logprobs=body.get("top_logprobs") or 0,
    )


def _check_types(body: Mapping[str, Any]) -> None:
    for name, kind in _NUMBERS.items():
        value = body.get(name)
        allowed = int if kind == "int" else (int, float)
        if value is not None and (isinstance(value, bool) or not isinstance(value, allowed)):
            raise _wrong_type(name, value, kind)
    for name, (types, kind) in _SHAPES.items():
        value = body.get(name)
        if value is not None and not isinstance(value, types):
            raise _wrong_type(name, value, kind)
    stop = body.get("stop")
    if stop is not None and not isinstance(stop, str) and not _all(stop, str):
        raise refused("Invalid type for 'stop': expected a string or an array of strings.", "stop", "invalid_type")
    for message in body.get("messages") or ():
        if not isinstance(message, dict):
            raise _wrong_type("messages", message, "dto.Message")
        if not isinstance(message.get("role") or "", str):
            raise _wrong_type("messages.role", message["role"], "string")


def _wrong_type(name: str, value: Any, kind: str) -> RefusedError:
    return RefusedError(
        f"json: cannot unmarshal {go_kind(value)} into Go struct field GeneralOpenAIRequest.{name} of type {kind}"
    )


def go_kind(value: Any) -> str:
    """Return what Go calls the kind of a JSON value."""
    return _GO_KINDS.get(type(value), "value")


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    found: int | None = None
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(name, value, "uint")
        if value < 0 or int(value) != value:
            raise RefusedError(
                f"json: cannot unmarshal number {value} into Go struct field GeneralOpenAIRequest.{name} of type uint"
            )
        if value > MAX_TOKENS_LIMIT:
            raise RefusedError("max_tokens is invalid")
        found = int(value)
    return found or None


def _empty(where: str) -> RefusedError:
    words = "Expected an array with minimum length 1, but got an empty array instead."
    return refused(f"Invalid '{where}': empty array. {words}", where, "empty_array")


def _tools(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    tools = body.get("tools")
    if tools is None:
        return ()
    if not tools:
        raise _empty("tools")
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise _wrong_type("tools", tool, "dto.ToolCallRequest")
        function = tool.get("function")
        named = isinstance(function, dict) and isinstance(function.get("name"), str)
        if function is None or tool.get("type") != "function" or not named:
            raise refused(f"Missing required parameter: 'tools[{index}].function'.", f"tools[{index}].function")
        if not function["name"]:
            raise refused(f"Invalid 'tools[{index}].function.name': empty string.", f"tools[{index}].function.name")
        wrong = fault_of(function.get("parameters") or {})
        if wrong:
            message = f"Invalid schema for function '{function['name']}': {wrong}."
            raise refused(message, f"tools[{index}].function.parameters", "invalid_function_parameters")
    return tuple(tools)


def _tool_choice(body: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> str | Mapping[str, Any]:
    choice = body.get("tool_choice")
    if choice is None:
        return "auto"
    if not tools:
        if choice == "none":
            return "none"
        raise refused(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice"
        )
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            words = "Supported values are: 'none', 'auto', and 'required'."
            raise refused(f"Invalid value: '{choice}'. {words}", "tool_choice", "invalid_value")
        return choice
    name = (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    if name not in {tool["function"]["name"] for tool in tools}:
        raise refused(
            f"Invalid value for 'tool_choice': no function named '{name}' was specified in 'tools'.", "tool_choice"
        )
    return choice if isinstance(choice, dict) else "auto"


def _response_format(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted: Mapping[str, Any] | None = body.get("response_format")
    if not wanted or wanted.get("type") == "text":
        return None
    if wanted.get("type") == "json_schema":
        given = wanted.get("json_schema")
        if not isinstance(given, dict) or not isinstance(given.get("schema"), dict):
            raise refused("Missing required parameter: 'response_format.json_schema'.", "response_format.json_schema")
        if not given.get("name"):
            where = "response_format.json_schema.name"
            raise refused(f"Missing required parameter: '{where}'.", where)
        wrong = fault_of(given["schema"])
        if wrong:
            raise refused(f"Invalid schema for response_format '{given['name']}': {wrong}.", "response_format")
        return wanted
    if wanted.get("type") != "json_object":
        words = "Supported values are: 'json_object', 'json_schema', and 'text'."
        raise refused(f"Invalid value: '{wanted.get('type')}'. {words}", "response_format.type", "invalid_value")
    if "json" not in str(body.get("messages")).lower():
        raise refused(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            "messages",
        )
    return wanted


def _check_messages(messages: Sequence[Message]) -> None:
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        role = message.get("role")
        if open_calls and role != "tool":
            raise _unanswered(open_calls, index)
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
                    "with 'tool_calls'.",
                    f"messages.[{index}].role",
                )
            open_calls.discard(str(message.get("tool_call_id")))
        if role == "assistant" and message.get("tool_calls") is not None:
            open_calls = _call_ids(message["tool_calls"], index)
        _check_content(message, index)
    if open_calls:
        raise _unanswered(open_calls, len(messages))


def _unanswered(ids: set[str], index: int) -> RefusedError:
    return refused(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(sorted(ids))}",
        f"messages.[{index}].role",
    )


def _call_ids(calls: Any, index: int) -> set[str]:
    where = f"messages[{index}].tool_calls"
    if not isinstance(calls, list) or not calls:
        raise _empty(where)
    ids = set()
    for position, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not call.get("id"):
            raise refused(f"Missing required parameter: '{where}[{position}].function'.", f"{where}[{position}]")
        if not isinstance(function.get("arguments"), str):
            inside = f"{where}[{position}].function.arguments"
            raise refused(f"Invalid type for '{inside}': expected a string.", inside, "invalid_type")
        ids.add(str(call["id"]))
    return ids


def _check_content(message: Message, index: int) -> None:
    content = message.get("content")
    if content is None and message.get("role") in ("system", "user", "tool"):
        raise refused(
            "Invalid value for 'content': expected a string, got null.", f"messages.[{index}].content", "invalid_type"
        )
    if content is not None and not isinstance(content, str | list):
        where = f"messages[{index}].content"
        raise refused(f"Invalid type for '{where}': expected a string or an array.", where, "invalid_type")
    for position, part in enumerate(content if isinstance(content, list) else ()):
        kind = part.get("type") if isinstance(part, dict) else go_kind(part)
        if kind not in _PARTS or not isinstance(part.get(kind), str if kind in ("text", "refusal") else dict):
            supported = ", ".join(f"'{name}'" for name in _PARTS)
            where = f"messages[{index}].content[{position}].type"
            raise refused(f"Invalid value: '{kind}'. Supported values are: {supported}.", where, "invalid_value")
