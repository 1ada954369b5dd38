"""Reading a request to `/v1/messages` as strictly as Anthropic documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hubmix.embedded.call import ModelCall
from hubmix.embedded.chat.request import read_chat
from hubmix.embedded.checks import refused
from hubmix.embedded.conversation import ChatRequest
from hubmix.embedded.messages.turns import chat_messages, check_blocks, text_blocks
from hubmix.embedded.words import word_set

MIN_BUDGET = 1_024
MAX_MARKS = 4
MAX_STRICT_TOOLS = 20
_PARAMETERS = word_set(
    """
    model messages system max_tokens metadata stop_sequences stream temperature top_k top_p tools tool_choice thinking
    output_config output_format service_tier container context_management mcp_servers cache_control inference_geo
    """
)
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A request that passed the checks.

    Args:
        chat: the same request as a chat completion, which the rules answer.
        thinks: whether thinking is on.
        shows: whether the words of the thinking are shown; else it is empty, with a signature.
    """

    chat: ChatRequest
    thinks: bool = False
    shows: bool = True


def read_messages(call: ModelCall) -> MessagesRequest:
    """Check a request's body and return it as the rules read it.

    Raises:
        RefusedError: the vendor would not answer it.
    """
    body = call.body
    for name in body:
        if name not in _PARAMETERS:
            raise refused(f"{name}: Extra inputs are not permitted")
    _check_numbers(body)
    tools = [_tool(at, tool) for at, tool in enumerate(body.get("tools") or ())]
    functions = [tool for tool in tools if tool is not None]
    if sum(bool(tool.get("strict")) for tool in body.get("tools") or ()) > MAX_STRICT_TOOLS:
        raise refused(f"tools: at most {MAX_STRICT_TOOLS} strict tools may be specified")
    system = text_blocks("system", body.get("system") or [])
    turns = body.get("messages")
    if not isinstance(turns, list) or not turns:
        raise refused("messages: at least one message is required")
    check_blocks(call, turns)
    _check_marks(body)
    thinking = _thinking(call, turns)
    messages = chat_messages(turns)
    if system:
        messages = [{"role": "system", "content": "\n\n".join(system)}, *messages]
    return MessagesRequest(
        chat=_chat_request(body, messages, functions),
        thinks=thinking is not None,
        shows=thinking != "adaptive" or (body["thinking"].get("display") == "summarized"),
    )


def _check_numbers(body: Mapping[str, Any]) -> None:
    limit = body.get("max_tokens")
    if limit is None:
        raise refused("max_tokens: Field required")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise refused("max_tokens: Input should be greater than or equal to 1")
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int | float) or not 0 <= value <= 1):
            raise refused(f"{name}: range: 0..1")
    for stop in body.get("stop_sequences") or ():
        if not isinstance(stop, str) or not stop.strip():
            raise refused("stop_sequences: each stop sequence must contain non-whitespace")


def _tool(at: int, tool: Any) -> dict[str, Any] | None:
    """Return a tool in chat's form; None if it runs on the server."""
    where = f"tools.{at}.custom"
    if not isinstance(tool, dict):
        raise refused(f"tools.{at}: Input should be an object")
    if tool.get("type") not in (None, "custom"):
        return None
    if not tool.get("name"):
        raise refused(f"{where}.name: Field required")
    schema = tool.get("input_schema")
    if not isinstance(schema, dict) or "type" not in schema:
        raise refused(f"{where}.input_schema.type: Field required")
    if schema["type"] != "object":
        raise refused(f"{where}.input_schema.type: Input should be 'object'")
    function = {"name": tool["name"], "description": tool.get("description"), "parameters": schema}
    return {"type": "function", "function": function}


def _choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choice = body.get("tool_choice") or {}
    if not isinstance(choice, Mapping):
        raise refused("tool_choice: Input should be an object")
    return choice


def _check_marks(body: Mapping[str, Any]) -> None:
    found = marks(body)
    if found > MAX_MARKS:
        raise refused(f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {found}.")


def marks(value: object) -> int:
    """Return how many cache marks there are in a part of a body."""
    if isinstance(value, Mapping):
        return bool(value.get("cache_control")) + sum(map(marks, value.values()))
    return sum(map(marks, value)) if isinstance(value, list) else 0


def _thinking(call: ModelCall, turns: Sequence[Mapping[str, Any]]) -> str | None:
    """Return how the model is to think: `enabled`, `adaptive`, or None."""
    body, given = call.body, call.body.get("thinking") or {}
    kind = given.get("type")
    if kind in (None, "disabled"):
        return None
    if kind not in ("enabled", "adaptive"):
        raise refused("thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'")
    if not call.model.thinks or f"no_{kind}_thinking" in call.model.features:
        raise refused(
            "adaptive thinking is not supported on this model"
            if kind == "adaptive"
            else '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    if body.get("temperature") not in (None, 1):
        raise refused("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        raise refused("`top_k` must be unset when thinking is enabled.")
    if body.get("top_p") is not None and body["top_p"] < 0.95:
        raise refused("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if kind == "enabled":
        _check_budget(body, given, turns)
    return str(kind)


def _check_budget(body: Mapping[str, Any], given: Mapping[str, Any], turns: Sequence[Mapping[str, Any]]) -> None:
    budget = given.get("budget_tokens")
    if not isinstance(budget, int) or budget < MIN_BUDGET:
        raise refused(f"thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_BUDGET}")
    if budget >= body["max_tokens"]:
        raise refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if _choice(body).get("type") in ("any", "tool"):
        raise refused("Thinking may not be enabled when tool_choice forces tool use.")
    at = max((i for i, turn in enumerate(turns) if turn.get("role") == "assistant"), default=-1)
    content = turns[at].get("content") if at >= 0 else ()
    kinds = [block.get("type") for block in content] if isinstance(content, list) else []
    if "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
        raise refused(
            f"messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kinds[0]}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block."
        )


def _chat_request(
    body: Mapping[str, Any], messages: list[Mapping[str, Any]], functions: list[dict[str, Any]]
) -> ChatRequest:
    choice = _choice(body)
    if choice and not body.get("tools"):
        raise refused("tool_choice may only be specified while providing tools.")
    kind = choice.get("type")
    if kind not in (None, "tool", *_CHOICES):
        raise refused("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    names = [tool["function"]["name"] for tool in functions]
    if kind == "tool" and choice.get("name") not in names:
        raise refused(f"Tool '{choice.get('name')}' not found in provided tools")
    named = {"type": "function", "function": {"name": choice.get("name")}}
    form = (body.get("output_config") or {}).get("format") or body.get("output_format")
    schema = {"type": "json_schema", "json_schema": {"name": "output", "schema": form.get("schema")}} if form else None
    chat = {
        "model": body["model"],
        "messages": [{"role": "user", "content": "json"}],
        "tools": functions or None,
        "tool_choice": (named if kind == "tool" else _CHOICES.get(kind or "auto")) if functions else None,
        "parallel_tool_calls": not choice.get("disable_parallel_tool_use"),
        "response_format": schema,
        "max_tokens": body["max_tokens"],
        "stop": list(body.get("stop_sequences") or ()) or None,
        "stream": body.get("stream"),
    }
    return replace(read_chat(chat), messages=tuple(messages))
