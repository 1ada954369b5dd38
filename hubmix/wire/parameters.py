"""The parameters that both frameworks take, under one name each, and the names that other classes use for them."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from hubmix.errors import ConfigurationError

# What a model object of either framework may be given once for all its calls, sent in the body under the same name and
# in this order.
MODEL_SETTINGS: tuple[str, ...] = (
    "temperature",
    "max_tokens",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "seed",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "reasoning_effort",
    "response_format",
    "parallel_tool_calls",
    "user",
    "service_tier",
)

# What a single call may say in the body.
REQUEST_PARAMETERS: frozenset[str] = frozenset(MODEL_SETTINGS) | {
    "tools",
    "tool_choice",
    "stream_options",
    "modalities",
    "audio",
    "prediction",
    "metadata",
    "store",
    "verbosity",
    "web_search_options",
    "prompt_cache_key",
    "safety_identifier",
}

# What ChatOpenAI, OpenAI's SDK, OpenAILike and friends call the same thing.
ALIASES: dict[str, str] = {
    "model_name": "model",
    "api_base": "base_url",
    "openai_api_base": "base_url",
    "openai_api_key": "api_key",
    "request_timeout": "timeout",
    "max_completion_tokens": "max_tokens",
    "stop_sequences": "stop",
    "model_kwargs": "extra_body",
    "default_header": "default_headers",
    "async_http_client": "http_async_client",
}

# What ChatOpenAI takes as `model_kwargs` and LlamaIndex's OpenAI as `additional_kwargs` goes to the SDK's `create`, so
# the SDK's own arguments stand there beside fields of the body.
_FOR_THE_SDK = ("model_kwargs", "additional_kwargs")
_SDK_ARGUMENTS = frozenset({"extra_body", "extra_headers", "extra_query", "timeout"})


def canonical(values: Mapping[str, Any], aliases: Mapping[str, str] = ALIASES) -> dict[str, Any]:
    """The same values under the names used here.

    Args:
        values: Keyword arguments as a user wrote them.
        aliases: Other name to name.

    Raises:
        ConfigurationError: If two names for one thing carry different values, or there is no such thing here.
    """
    if aliases.keys().isdisjoint(values):
        return dict(values)
    result: dict[str, Any] = {}
    written: dict[str, str] = {}
    for given, value in _without_sdk_arguments(values):
        name = aliases.get(given, given)
        before = result.get(name)
        if name == "extra_body" and isinstance(before, Mapping) and isinstance(value, Mapping):
            both = before.keys() & value.keys()
            if all(before[field] == value[field] for field in both):  # fields of one body, written in two places
                before = value = {**before, **value}
        if before is not None and value is not None and before is not value and before != value:
            raise ConfigurationError(
                f"{given!r} and {written[name]!r} are the same parameter and have different values."
            )
        if name not in result or value is not None:
            result[name], written[name] = value, given
    return result


def _without_sdk_arguments(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for given, value in values.items():
        if given not in _FOR_THE_SDK or not isinstance(value, Mapping) or _SDK_ARGUMENTS.isdisjoint(value):
            yield given, value
            continue
        if value.get("extra_query"):
            raise ConfigurationError(
                f"{given} holds extra_query, but the URL of a call takes no query: use extra_body."
            )
        fields = {name: field for name, field in value.items() if name not in _SDK_ARGUMENTS}
        inner = value.get("extra_body") or {}
        if not isinstance(inner, Mapping):
            raise ConfigurationError(f"extra_body in {given} must be a dict of fields, not {type(inner).__name__}.")
        yield given, {**fields, **inner}
        if "extra_headers" in value:  # which not every class knows by this name
            yield "default_headers", value["extra_headers"]
        if "timeout" in value:
            yield "timeout", value["timeout"]


def opened(values: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """:func:`canonical`, and what `model_kwargs` holds in the place where it belongs.

    Args:
        values: Keyword arguments as a user wrote them.
        known: The names that are parameters of their own; the others are a vendor's and go into `extra_body`, whose own
            values win.

    Raises:
        ConfigurationError: If a parameter has different values in two places.
    """
    held = values.get("model_kwargs")
    if held is None:
        return canonical(values)
    if not isinstance(held, Mapping):
        raise ConfigurationError(f"model_kwargs is a dict of parameters, not a {type(held).__name__}.")
    result = canonical({name: value for name, value in values.items() if name != "model_kwargs"})
    inner = canonical({"model_kwargs": held})
    vendors = {}
    for given, value in inner.pop("extra_body").items():
        if (name := ALIASES.get(given, given)) in known:
            inner[name] = value
        else:
            vendors[given] = value
    for name, value in inner.items():
        before = result.get(name)
        if before is None:
            result[name] = value
        elif value is not None and before != value:
            raise ConfigurationError(f"{name!r} has one value as a parameter and another in model_kwargs.")
    if vendors:
        result["extra_body"] = {**vendors, **(result.get("extra_body") or {})}
    return result


# Settings that all objects of a hub share.
_OF_THE_HUB = frozenset({"rate_limit", "aliases", "model_overrides", "catalog_refresh"})


def reject_unknown(
    given: Iterable[str],
    known: Iterable[str],
    *,
    where: str,
    elsewhere: Mapping[str, str] | None = None,
    into: str = "{}",
) -> None:
    """Refuse a parameter nobody knows, with what to do instead or the nearest name: a typo must not be swallowed.

    Args:
        given: The names the user wrote.
        known: The names that are accepted.
        where: What takes them, for the message, such as ``ChatHubmix``.
        elsewhere: What to do instead of names that people bring along from other classes.
        into: What ``extra_body`` is given in there, where it is no parameter of its own.

    Raises:
        ConfigurationError: For the first name that is told of elsewhere, else for the first unknown one.
    """
    accepted = set(known)
    unknown = [name for name in given if name not in accepted]
    for name in unknown:
        if elsewhere and name in elsewhere:
            raise ConfigurationError(f"{where} has no parameter {name!r}: {elsewhere[name]}.")
    for name in unknown:
        if name in _OF_THE_HUB:
            raise ConfigurationError(f"{where} has no parameter {name!r}: it is the hub's, hub=Hub({name}=…).")
        near = difflib.get_close_matches(name, accepted, n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        own = into.format(f"extra_body={{{name!r}: …}}")
        raise ConfigurationError(f"{where} has no parameter {name!r}.{hint} A vendor's own parameter goes into {own}.")


def require_model(values: Mapping[str, Any], where: str) -> None:
    """Refuse parameters of a class that needs a model and was given none.

    Raises:
        ConfigurationError: there is no model, or it is empty.
    """
    if values.get("model") in (None, "") and values.get("model_name") in (None, ""):
        raise ConfigurationError(
            f"{where} needs a model: pass the ID of one that the hub lists as model=…; Hub().models.list() shows them."
        )
