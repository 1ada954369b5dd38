"""From a model's fields and a call's keyword arguments to the body of a request and the options of a call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hubmix.failover.options import CallOptions, joined_body, read_fallbacks
from hubmix.failover.policy import FailoverPolicy, read_policy
from hubmix.wire.parameters import ALIASES, MODEL_SETTINGS, REQUEST_PARAMETERS, opened, reject_unknown
from langchain_hubmix._errors import ConfigurationError
from langchain_hubmix._hints import CALL_ONLY
from langchain_hubmix._messages import to_wire
from langchain_hubmix._tools import wire_response_format, wire_tool, wire_tool_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages import BaseMessage

    from hubmix.wire.trace import Attempt
    from langchain_hubmix._model import ChatSettings

_STEERING = frozenset(
    {"model", "fallbacks", "timeout", "total_timeout", "max_retries", "failover", "stream_usage", "extra_body"}
)
HEADERS = frozenset({"extra_headers", "default_headers"})
"""What a call may hold secrets in."""
# Put into a call by LangChain itself (whether to stream, what tracers show of a schema) and by structured output.
_INTERNAL = frozenset({"stream", "ls_structured_output_format", "structured_output_format", "schema_in_words"})
PER_CALL = REQUEST_PARAMETERS | _STEERING | HEADERS | _INTERNAL
"""What a single call may say."""

_DEFAULT_POLICY = FailoverPolicy()


def request_of(
    llm: ChatSettings,
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
    *,
    streamed: bool = False,
    on_attempt: Callable[[Attempt], None] | None = None,
) -> tuple[dict[str, Any], CallOptions]:
    """The body of one chat completion, and how it is to be carried out.

    Args:
        llm: the model with its fields.
        messages: the conversation.
        stop: the stop sequences that LangChain hands over on its own.
        kwargs: what this call says beside; it wins over the fields.
        streamed: whether the answer is to stream.
        on_attempt: told of every attempt that failed.

    Raises:
        ConfigurationError: an unknown parameter, with the near one named, or one that cannot be sent.
    """
    call = opened(kwargs, PER_CALL) if kwargs else {}
    if not call.keys() <= PER_CALL:
        reject_unknown(call, PER_CALL, where="A call of ChatHubmix", elsewhere=CALL_ONLY)
    if stop is not None:
        call["stop"] = stop
    body: dict[str, Any] = {"model": call.get("model") or llm.model, "messages": to_wire(messages)}
    for name in MODEL_SETTINGS:
        if (value := getattr(llm, name)) is not None:
            body[name] = value
    # In the order of the call: that of a set changes from process to process, and with it the bytes of the body.
    for name in call:
        if name in REQUEST_PARAMETERS:
            body[name] = call[name]
    if not body.get("stop"):  # an empty list says that this call has none, and hubs differ in taking one
        body.pop("stop", None)
    _settle_tools(body)
    if schema := call.get("schema_in_words"):
        _tell_schema(body["messages"], schema)
    if (wanted := body.get("response_format")) is not None:
        body["response_format"] = wire_response_format(wanted)
    if streamed:
        # One message is all that a LangChain stream can hold: further choices would be paid for and thrown away.
        body.pop("n", None)
        wanted_usage = call.get("stream_usage")
        if not (llm.stream_usage if wanted_usage is None else wanted_usage):
            body["stream_options"] = {"include_usage": False}
    return {name: value for name, value in body.items() if value is not None}, _options(llm, call, on_attempt)


def _settle_tools(body: dict[str, Any]) -> None:
    """An empty list of tools is an error to every hub, and so is a choice among none."""
    tools = body.get("tools")
    if not tools:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(name, None)
        return
    body["tools"] = [
        tool if isinstance(tool, dict) and "type" in tool else wire_tool(tool, strict=None) for tool in tools
    ]
    if body.get("tool_choice") is not None:
        body["tool_choice"] = wire_tool_choice(body["tool_choice"], body["tools"])


def _tell_schema(messages: list[dict[str, Any]], schema: dict[str, Any]) -> None:
    """Write the schema into the system message: in JSON mode the wire has no other place for it."""
    text = f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{json.dumps(schema)}"
    first = messages[0] if messages else {}
    content = first.get("content")
    if first.get("role") not in ("system", "developer"):
        messages.insert(0, {"role": "system", "content": text})
    elif isinstance(content, str):
        first["content"] = f"{content}\n\n{text}"
    else:
        first["content"] = [*(content or ()), {"type": "text", "text": text}]


def _options(llm: ChatSettings, call: Mapping[str, Any], on_attempt: Callable[[Attempt], None] | None) -> CallOptions:
    policy = read_policy(call.get("failover")) or llm.failover
    headers: dict[str, Any] = {}
    for key in ("default_headers", "extra_headers"):
        if given := call.get(key):
            if not isinstance(given, Mapping):
                raise ConfigurationError(f"{key} must be a dict of names and values, not {type(given).__name__}.")
            headers.update(given)
    extra_body = llm.extra_body
    if extra_body:  # what the call itself says is meant for this call
        extra_body = {name: value for name, value in extra_body.items() if ALIASES.get(name, name) not in call}
    return CallOptions(
        fallbacks=read_fallbacks(call.get("fallbacks", llm.fallbacks)),
        policy=policy_of(policy, call.get("max_retries", llm.max_retries)),
        timeout=call.get("timeout", llm.timeout),
        total_timeout=call.get("total_timeout", llm.total_timeout),
        headers=headers or None,
        extra_body=joined_body(extra_body, call.get("extra_body")),
        on_attempt=on_attempt,
    )


def policy_of(policy: FailoverPolicy | None, max_retries: int | None) -> FailoverPolicy:
    """The policy of a call: the one given, or the default, with the number of retries that was set beside it."""
    policy = policy or _DEFAULT_POLICY
    if max_retries is None or max_retries == policy.max_retries:
        return policy
    return replace(policy, max_retries=max_retries)
