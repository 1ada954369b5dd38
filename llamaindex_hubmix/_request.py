"""One call: the body and the options, from the model's own settings and those of the call. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from hubmix.failover.options import CallOptions, joined_body, read_fallbacks
from hubmix.failover.policy import FailoverPolicy, read_policy
from hubmix.wire.parameters import ALIASES, MODEL_SETTINGS, REQUEST_PARAMETERS, canonical, reject_unknown
from llamaindex_hubmix._structured import response_format
from llamaindex_hubmix._tools import wire_tool_choice, wire_tools

if TYPE_CHECKING:
    from hubmix.wire.trace import Attempt

# The names of LlamaIndex's OpenAI classes beside those that both frameworks share.
NAMES = {**ALIASES, "additional_kwargs": "extra_body", "extra_headers": "default_headers"}
_NAMES_OF_A_CALL = {**NAMES, "extra_headers": "headers", "default_headers": "headers", "audio_config": "audio"}

_OPTIONS = frozenset(
    {
        "fallbacks",
        "failover",
        "max_retries",
        "timeout",
        "total_timeout",
        "headers",
        "extra_body",
        "stream_usage",
    }
)
_PER_CALL = REQUEST_PARAMETERS | _OPTIONS | {"model"}


@dataclass(frozen=True, slots=True)
class Request:
    """A call made ready.

    Args:
        payload: The chat.completions body, for the model asked for.
        options: How it is made.
        single_call: Whether parallel tool calls are switched off.
    """

    payload: dict[str, Any]
    options: CallOptions
    single_call: bool


def build(
    own: Mapping[str, Any],
    per_call: Mapping[str, Any],
    messages: list[dict[str, Any]],
    on_attempt: Callable[[Attempt], None],
    *,
    stream: bool,
) -> Request:
    """Merge the settings; those of the call win, and None there takes a parameter out.

    Raises:
        ConfigurationError: a parameter that does not exist, naming the near one.
    """
    given = canonical(per_call, _NAMES_OF_A_CALL)
    reject_unknown(given, _PER_CALL, where="A call of Hubmix")
    payload: dict[str, Any] = {"model": given.get("model") or own["model"], "messages": messages}
    payload.update((name, own[name]) for name in MODEL_SETTINGS if own.get(name) is not None)
    # In the order of the call: that of a set changes from process to process, and with it the bytes of the body.
    payload.update((name, value) for name, value in given.items() if name in REQUEST_PARAMETERS)
    payload = {name: value for name, value in payload.items() if value is not None}
    _settle_tools(payload)
    if isinstance(payload.get("response_format"), type):
        payload["response_format"] = response_format(payload["response_format"])
    if stream:
        # One message is all that a stream of LlamaIndex can hold: further choices would be paid for and thrown away.
        payload.pop("n", None)
        if not _choose("stream_usage", given, own):
            payload.setdefault("stream_options", {"include_usage": False})
    single_call = payload.get("parallel_tool_calls") is False
    return Request(payload, _options(own, given, on_attempt), single_call)


def _settle_tools(payload: dict[str, Any]) -> None:
    tools = payload.get("tools")
    if not tools:  # vendors refuse an empty list, and a choice without one
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            payload.pop(name, None)
        return
    payload["tools"] = wire_tools(tools)
    if (choice := wire_tool_choice(payload.pop("tool_choice", None), payload["tools"])) is not None:
        payload["tool_choice"] = choice


def _options(own: Mapping[str, Any], given: Mapping[str, Any], on_attempt: Callable[[Attempt], None]) -> CallOptions:
    return CallOptions(
        fallbacks=read_fallbacks(_choose("fallbacks", given, own)),
        policy=policy_of(read_policy(_choose("failover", given, own)), _choose("max_retries", given, own)),
        timeout=_choose("timeout", given, own),
        total_timeout=_choose("total_timeout", given, own),
        headers=given.get("headers"),
        extra_body=joined_body(own.get("extra_body"), given.get("extra_body")),
        on_attempt=on_attempt,
    )


def _choose(name: str, given: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    return given[name] if name in given else own.get(name)


_DEFAULT_POLICY = FailoverPolicy()


def policy_of(policy: FailoverPolicy | None, max_retries: int | None) -> FailoverPolicy:
    """The policy, with the number of retries that was given beside it."""
    policy = policy or _DEFAULT_POLICY
    return policy if max_retries is None else replace(policy, max_retries=max_retries)


def policy_to_dict(policy: FailoverPolicy | None) -> dict[str, Any] | None:
    """A policy as plain JSON; a `classify` function stays out, since it has no such form."""
    if policy is None:
        return None
    return {field.name: value for field in fields(policy) if not callable(value := getattr(policy, field.name))}
