"""Tools to the wire, and the calls that may be executed back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools.types import BaseTool
from pydantic_core import from_json

from hubmix.errors import ConfigurationError, MalformedAnswerError
from llamaindex_hubmix._messages import INVALID_CALLS


def wire_tools(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """The `tools` of a body; a dict is taken for one in the wire's form already.

    Raises:
        ConfigurationError: they are no list, or one of them is no tool.
    """
    if not isinstance(tools, Iterable) or isinstance(tools, (str, Mapping)):
        raise ConfigurationError(f"tools must be a list of tools, not {type(tools).__name__}.")
    return [tool if isinstance(tool, dict) else _spec(tool) for tool in tools]


def _spec(tool: Any) -> dict[str, Any]:
    if not isinstance(tool, BaseTool):
        raise ConfigurationError(
            f"{tool!r} is no tool: pass a tool of LlamaIndex, such as FunctionTool.from_defaults(your_function)."
        )
    return dict(tool.metadata.to_openai_tool(skip_length_check=True))


def tool_selections(response: ChatResponse, *, error_on_no_tool_call: bool) -> list[ToolSelection]:
    """Return the calls of a response for an agent or a program.

    While a response streams, arguments are incomplete, and what has arrived of them is returned. On the last response a
    call that must not be executed is returned under a name that no tool has, if `error_on_no_tool_call` is False: the
    agent tells the model so, and the run goes on. It is left out otherwise.

    Raises:
        MalformedAnswerError: no call may be executed, and there is no agent to hear of it, or the token limit cut the
            answer, which another turn would repeat.
        ValueError: there is no call and `error_on_no_tool_call` is set.
    """
    message = response.message
    invalid = {call["id"]: call for call in message.additional_kwargs.get(INVALID_CALLS) or ()}
    calls = _calls(message)
    cut = response.additional_kwargs.get("finish_reason") == "length"
    if invalid and (error_on_no_tool_call or cut) and all(call_id in invalid for call_id, _, _ in calls):
        raise _not_executable(next(iter(invalid.values())), response)
    selections = [
        ToolSelection(tool_id=call_id, tool_name=name, tool_kwargs=_arguments(arguments))
        if call_id not in invalid
        else ToolSelection(tool_id=call_id, tool_name=_not_run(invalid[call_id]), tool_kwargs={})
        for call_id, name, arguments in calls
        if call_id not in invalid or not error_on_no_tool_call
    ]
    if not selections and error_on_no_tool_call:
        said = (message.content or "")[:200]
        raise ValueError(f"Expected a tool call, but {_model(response)} answered with text: {said!r}")
    return selections


def _calls(message: ChatMessage) -> list[tuple[str, str, Any]]:
    legacy = message.additional_kwargs.get("tool_calls") or ()
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if not blocks:
        return [_legacy(call) for call in legacy]
    custom = {call["id"] for call in legacy if isinstance(call, Mapping) and call.get("type") == "custom"}
    return [
        (
            block.tool_call_id or "",
            block.tool_name,
            # The input of a custom tool is free text, and a tool of LlamaIndex takes names and values.
            {"input": block.tool_kwargs} if block.tool_call_id in custom else block.tool_kwargs,
        )
        for block in blocks
    ]


def _legacy(call: Any) -> tuple[str, str, Any]:
    """A call of `additional_kwargs["tool_calls"]`: a dict, or the SDK's object."""
    if not isinstance(call, Mapping):
        call = call.model_dump()
    function = call.get("function") or call
    return call.get("id") or "", function.get("name") or "", function.get("arguments") or {}


def _arguments(arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, str):
        try:
            # Called for every chunk of a stream: this parser is written in Rust, core's walks the text in Python.
            arguments = from_json(arguments or "{}", allow_partial="trailing-strings")
        except (ValueError, TypeError):  # pydantic's word for half a character (a lone surrogate)
            return {}
    return arguments if isinstance(arguments, dict) else {}


def _not_run(call: Mapping[str, Any]) -> str:
    """Return a name for a call that must not run; agents answer "Tool … not found"."""
    return f"{call['name'] or 'of a call without a name'} (the call was not executed: {call['error']})"


def _not_executable(call: Mapping[str, Any], response: ChatResponse) -> MalformedAnswerError:
    reason = response.additional_kwargs.get("finish_reason")
    hint = "Raise max_tokens." if reason == "length" else "Ask again, or ask another model."
    return MalformedAnswerError(
        f"{_model(response)} called the tool {call['name']!r} with arguments that must not be executed: "
        f"{call['error']} (finish reason {reason}). {hint}",
        model=response.additional_kwargs.get("model"),
        request_id=response.additional_kwargs.get("request_id"),
    )


def _model(response: ChatResponse) -> str:
    model = response.additional_kwargs.get("model")
    return f"the model {model!r}" if model else "the model"


def react_defaults(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What core's ReAct agent needs and `predict_and_call` does not give (0.14.25)."""
    from llama_index.core.agent.react.formatter import ReActChatFormatter
    from llama_index.core.agent.react.output_parser import ReActOutputParser

    return {"react_chat_formatter": ReActChatFormatter(), "output_parser": ReActOutputParser(), **kwargs}
