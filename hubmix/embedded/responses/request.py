"""Reading a request to `/v1/responses` as strictly as OpenAI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.chat.request import go_kind, read_chat
from hubmix.embedded.checks import RefusedError, refused
from hubmix.embedded.conversation import ChatRequest
from hubmix.embedded.responses.input import Message, messages_of
from hubmix.embedded.words import word_set

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
MIN_OUTPUT_TOKENS = 16
_PARAMETERS = word_set(
    """
    model input instructions stream store include tools tool_choice parallel_tool_calls text reasoning metadata user
    max_output_tokens max_tool_calls temperature top_p top_logprobs truncation safety_identifier prompt_cache_key
    prompt_cache_retention previous_response_id conversation background service_tier prompt stream_options
    context_management
    """
)
_NUMBERS = {"temperature": "float64", "top_p": "float64", "max_output_tokens": "uint", "top_logprobs": "int"}
_SEARCHES = {"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"}


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A request that passed the checks.

    Args:
        chat: the same request as a chat completion, which the rules answer.
        encrypted: whether reasoning is sent as encrypted content.
        summary: whether a summary of the reasoning is wanted.
        custom: the names of tools that take free text.
        searches: whether the hosted web search may be used.
    """

    chat: ChatRequest
    encrypted: bool = False
    summary: bool = False
    custom: frozenset[str] = frozenset()
    searches: bool = False


def read_responses(call: ModelCall, earlier: tuple[Message, ...] = ()) -> ResponsesRequest:
    """Check a request's body and return it as the rules read it.

    Args:
        call: the request.
        earlier: the messages of the response that `previous_response_id` names.

    Raises:
        RefusedError: the hub or the vendor would not answer it.
    """
    body = call.body
    _check_types(body)
    for name in body:
        if name not in _PARAMETERS:
            raise refused(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    include = body.get("include") or ()
    if ENCRYPTED in include and not call.model.thinks:
        raise refused("Encrypted content is not supported with this model.", param="include")
    reasoning = body.get("reasoning") or {}
    tools = [_tool(at, tool) for at, tool in enumerate(body.get("tools") or ())]
    messages = messages_of(call, earlier)
    if body.get("instructions"):
        messages = [{"role": "developer", "content": str(body["instructions"])}, *messages]
    return ResponsesRequest(
        chat=_chat_request(body, messages, [tool for tool in tools if tool["type"] == "function"]),
        encrypted=ENCRYPTED in include,
        summary=bool(reasoning.get("summary") or reasoning.get("generate_summary")),
        custom=frozenset(tool["name"] for tool in body.get("tools") or () if tool.get("type") == "custom"),
        searches=any(tool["type"] in _SEARCHES for tool in tools),
    )


def _check_types(body: Mapping[str, Any]) -> None:
    if body.get("input") is None and not body.get("prompt"):
        raise RefusedError("input is required")
    for name, kind in _NUMBERS.items():
        value = body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RefusedError(
                f"json: cannot unmarshal {go_kind(value)} into Go struct field ***.{name} of type {kind}"
            )
    limit = body.get("max_output_tokens")
    if limit is not None and (limit < 0 or int(limit) != limit):
        where = "OpenAIResponsesRequest.max_output_tokens"
        raise RefusedError(f"json: cannot unmarshal number {limit} into Go struct field {where} of type uint")
    if limit is not None and limit < MIN_OUTPUT_TOKENS:
        words = f"Expected a value >= {MIN_OUTPUT_TOKENS}, but got {limit} instead."
        raise refused(
            f"Invalid 'max_output_tokens': integer below minimum value. {words}",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    for name in ("tools", "include"):
        if not isinstance(body.get(name) or [], list):
            raise refused(f"Invalid type for '{name}': expected an array.", param=name)


def _tool(at: int, tool: Any) -> dict[str, Any]:
    """Return a tool as chat completions write it; a hosted one as it is."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):
        raise refused(f"Missing required parameter: 'tools[{at}].type'.", param=f"tools[{at}].type")
    if kind not in ("function", "custom"):
        return dict(tool)
    if not tool.get("name"):
        where = f"tools[{at}].name"
        raise refused(f"Missing required parameter: '{where}'.", param=where, code="missing_required_parameter")
    if kind == "custom":
        text = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
        function = {"name": tool["name"], "description": tool.get("description"), "parameters": text}
        return {"type": "function", "function": function}
    schema = tool.get("parameters") or {}
    if tool.get("strict", True):
        _check_strict(at, tool["name"], schema)
    return {"type": "function", "function": {**tool, "parameters": schema}}


def _check_strict(at: int, name: str, schema: Mapping[str, Any]) -> None:
    """Refuse a schema that is not strict; a missing `strict` means true."""
    properties, required = set(schema.get("properties") or ()), set(schema.get("required") or ())
    missing = sorted(properties - required)
    words = ""
    if missing:
        words = (
            "'required' is required to be supplied and to be an array including every key in properties. "
            f"Missing '{missing[0]}'."
        )
    elif schema.get("additionalProperties") is not False:
        words = "'additionalProperties' is required to be supplied and to be false."
    if words:
        raise refused(
            f"Invalid schema for function '{name}': In context=(), {words}",
            param=f"tools[{at}].parameters",
            code="invalid_function_parameters",
        )


def _chat_request(body: Mapping[str, Any], messages: list[Message], functions: list[dict[str, Any]]) -> ChatRequest:
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_object" and "json" not in str(body.get("input")).lower():
        raise refused(
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'.",
            param="input",
        )
    if form.get("type") == "json_schema":
        form = {"type": "json_schema", "json_schema": form}
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    elif isinstance(choice, dict):
        choice = None  # a hosted tool, or a list of allowed ones
    chat = {
        "model": body["model"],
        "messages": [{"role": "user", "content": "json"}],
        "tools": functions or None,
        "tool_choice": choice if functions else None,
        "parallel_tool_calls": body.get("parallel_tool_calls"),
        "response_format": form or None,
        "max_tokens": body.get("max_output_tokens"),
        "stream": body.get("stream"),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "logprobs": LOGPROBS in (body.get("include") or ()),
        "top_logprobs": body.get("top_logprobs") if LOGPROBS in (body.get("include") or ()) else None,
    }
    return replace(read_chat(chat), messages=tuple(messages))
