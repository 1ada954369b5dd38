"""One call of a chat model: its body and options, from fields and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from hubmix.errors import ConfigurationError
from hubmix.failover.options import CallOptions, joined_body, read_fallbacks
from hubmix.failover.policy import FailoverPolicy, read_policy
from hubmix.plugin.fields import ChatCallFields
from hubmix.plugin.hints import HINTS, convert, read_seconds, without_inert
from hubmix.wire.parameters import ALIASES, MODEL_SETTINGS, REQUEST_PARAMETERS, TWINS, normalize_names, reject_unknown

if TYPE_CHECKING:
    from hubmix.wire.trace import Attempt

_CALL_NAMES = {
    **ALIASES,
    **dict.fromkeys(("default_headers", "default_header", "extra_headers", "headers"), "headers"),
    "extra_query": "extra_query",  # of the model object only
}
_STEERING = frozenset(ChatCallFields.model_fields) | {"model", "headers"}
CALL_PARAMETERS = REQUEST_PARAMETERS | _STEERING
"""What a single call may say."""

_DEFAULT_POLICY = FailoverPolicy()
_CHOICES = {"auto": "auto", "none": "none", "any": "required", "required": "required", True: "required"}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A call made ready.

    Args:
        body: the chat completion's body, for the model that was asked for.
        options: how it is made.
    """

    body: dict[str, Any]
    options: CallOptions

    @property
    def single_call(self) -> bool:
        """Whether parallel tool calls are switched off."""
        return self.body.get("parallel_tool_calls") is False


def normalize_call(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's keyword arguments under the names used here."""
    return normalize_names(given, CALL_PARAMETERS, _CALL_NAMES) if given else {}


def read_call(given: Mapping[str, Any], *, where: str, also: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return a call's keyword arguments under the names used here.

    Args:
        given: the arguments as a user wrote them.
        where: what takes them, for an error's message.
        also: arguments of the framework's own.

    Raises:
        ConfigurationError: a parameter is unknown, or has two values.
    """
    if not given:
        return {}
    known = CALL_PARAMETERS | also
    call = convert(without_inert(normalize_call(given), known), known)
    if not call.keys() <= known:
        reject_unknown(call, known, where=where, hints=HINTS)
    return call


def chat_request(
    own: Mapping[str, Any],
    call: Mapping[str, Any],
    messages: list[dict[str, Any]],
    *,
    streamed: bool = False,
    on_attempt: Callable[[Attempt], None] | None = None,
) -> ChatRequest:
    """Merge a model's settings with a call's, which win; None takes one out.

    Args:
        own: the model's fields.
        call: what `read_call` returned, with tools and response format as the wire has them.
        messages: the conversation as the wire has it.
        streamed: whether the answer is streamed.
        on_attempt: called for every failed or skipped attempt.

    Raises:
        ConfigurationError: a value cannot be used.
    """
    body: dict[str, Any] = {"model": call.get("model") or own["model"], "messages": messages}
    for name in MODEL_SETTINGS:
        if (value := own[name]) is not None and TWINS.get(name) not in call:
            body[name] = value
    # In the order of the call: that of a set differs between processes, and with it the bytes of the body.
    for name, value in call.items():
        if name in REQUEST_PARAMETERS:
            body[name] = value
    _settle_tools(body)
    if streamed:
        # A stream of either framework holds one message: further choices would be paid for and thrown away.
        body.pop("n", None)
        wanted = call.get("stream_usage")
        if not (own["stream_usage"] if wanted is None else wanted):
            body.setdefault("stream_options", {"include_usage": False})
    if not body.get("logprobs") and body.get("top_logprobs") == 0:  # OpenAILike's default; vendors refuse it alone
        del body["top_logprobs"]
    disabled = _choose("disabled_params", call, own) or {}
    body = {name: value for name, value in body.items() if not (_is_empty(value) or _disabled(name, value, disabled))}
    body["messages"] = messages
    return ChatRequest(body, _options(own, call, on_attempt))


def _is_empty(value: Any) -> bool:
    """Whether a value says nothing; an empty list is an error to some hubs."""
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


def _disabled(name: str, value: Any, disabled: Mapping[str, Any]) -> bool:
    return name in disabled and (disabled[name] is None or value in disabled[name])


def _settle_tools(body: dict[str, Any]) -> None:
    """Leave out an empty list of tools, which hubs refuse, and a choice among none."""
    tools = body.get("tools")
    if not tools:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(name, None)
    elif "tool_choice" in body:
        body["tool_choice"] = wire_tool_choice(body["tool_choice"], tools)


def tool_name(tool: Mapping[str, Any]) -> str:
    """Return a tool's name on the wire; a vendor's built-in tool has its type's."""
    held = tool.get(tool.get("type", ""))
    return str((held if isinstance(held, Mapping) else tool).get("name") or tool.get("type"))


def wire_tool_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> Any:
    """Return a choice among tools as the wire has it, or None.

    Args:
        choice: "auto", "none", "any", "required", True (as "required"), False, None or "" (nothing), the name of a
            tool, or a dict in OpenAI's or Anthropic's format.
        tools: the tools of the same request, as the wire has them.

    Raises:
        ConfigurationError: no tool has the name.
    """
    if not tools or not choice:
        return None
    if isinstance(choice, Mapping):
        if choice.get("type") in ("any", "auto", "none"):
            return _CHOICES[choice["type"]]
        if choice.get("type") in ("tool", None) and "name" in choice:
            return wire_tool_choice(str(choice["name"]), tools)
        return choice
    for tool in tools:
        if tool_name(tool) == choice:
            kind = tool.get("type", "function")
            return {"type": kind, kind: {"name": choice}} if kind in ("function", "custom") else {"type": kind}
    if choice is True or choice in _CHOICES:
        return _CHOICES[choice]
    names = ", ".join(repr(tool_name(tool)) for tool in tools)
    raise ConfigurationError(
        f"tool_choice {choice!r} names none of the tools of the request ({names}). "
        "It takes one of these names, 'auto', 'none' or 'any'."
    )


def _options(
    own: Mapping[str, Any], call: Mapping[str, Any], on_attempt: Callable[[Attempt], None] | None
) -> CallOptions:
    extra_body = own["extra_body"]
    if extra_body:  # what the call itself says is meant for this call
        said = {*call, *(TWINS[name] for name in call if name in TWINS)}
        extra_body = {name: value for name, value in extra_body.items() if ALIASES.get(name, name) not in said}
    policy = _choose("failover", call, own)
    return CallOptions(
        fallbacks=read_fallbacks(fallbacks) if (fallbacks := _choose("fallbacks", call, own)) else (),
        policy=policy_of(read_policy(policy) if policy else None, _choose("max_retries", call, own)),
        timeout=read_seconds(_choose("timeout", call, own)),
        total_timeout=_choose("total_timeout", call, own),
        headers=call.get("headers"),
        extra_body=joined_body(extra_body, call["extra_body"]) if call.get("extra_body") else extra_body,
        api=_choose("api", call, own) or "auto",
        budget=_choose("budget", call, own),
        prefer=_choose("prefer", call, own) or "order",
        session=_choose("session", call, own),
        on_attempt=on_attempt,
    )


def _choose(name: str, call: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    return call[name] if name in call else own[name]


def plain_options(own: Mapping[str, Any]) -> CallOptions:
    """Return the options of an object without parameters of a call."""
    return CallOptions(
        fallbacks=tuple(own["fallbacks"] or ()),
        policy=policy_of(own["failover"], own["max_retries"]),
        timeout=own["timeout"],
        total_timeout=own["total_timeout"],
        extra_body=own["extra_body"],
        budget=own["budget"],
    )


def policy_of(policy: FailoverPolicy | None, max_retries: int | None) -> FailoverPolicy:
    """Return the policy of a call, with the number of retries that was set next to it."""
    policy = policy or _DEFAULT_POLICY
    if max_retries is None or max_retries == policy.max_retries:
        return policy
    return replace(policy, max_retries=max_retries)


def policy_to_dict(policy: FailoverPolicy | None) -> dict[str, Any] | None:
    """Return a policy as plain JSON, without functions such as `classify`."""
    if policy is None:
        return None
    return {field.name: value for field in fields(policy) if not callable(value := getattr(policy, field.name))}
