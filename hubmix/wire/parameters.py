"""The parameters of a request, declared once, and their names elsewhere."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from hubmix.errors import ConfigurationError


class ChatParameters(BaseModel):
    """Fields of a chat completion that a model object may fix for all its calls.

    A new sampling parameter is one line here: both frameworks' classes, their signatures, the parameters of
    `Hub.map` and the reference page follow. Fields are sent in this order, under these names, and only when set.
    """

    temperature: float | None = Field(default=None, description="Randomness, 0 to 2.")
    max_tokens: int | None = Field(default=None, description="Most tokens of an answer.")
    max_completion_tokens: int | None = Field(
        default=None, description="The same under OpenAI's newer name. The name you use is the name that is sent."
    )
    top_p: float | None = Field(default=None, description="Nucleus sampling, 0 to 1.")
    frequency_penalty: float | None = Field(default=None, description="Penalty for frequent tokens, -2 to 2.")
    presence_penalty: float | None = Field(default=None, description="Penalty for tokens that occurred, -2 to 2.")
    stop: str | list[str] | None = Field(default=None, description="Where the answer ends. An empty list is not sent.")
    seed: int | None = Field(default=None, description="For answers that repeat, as far as the vendor can.")
    n: int | None = Field(default=None, description="Number of choices. Streams leave it out.")
    logprobs: bool | None = Field(default=None, description="Whether to return the log probability of each token.")
    top_logprobs: int | None = Field(default=None, description="Number of alternatives per token, up to 20.")
    logit_bias: dict[str, int] | dict[int, int] | None = Field(
        default=None, description="Token ID to bias, -100 to 100."
    )
    reasoning_effort: str | None = Field(default=None, description="none, minimal, low, medium, high or xhigh.")
    reasoning: dict[str, Any] | None = Field(
        default=None, description="Reasoning settings of OpenRouter and of the Responses API, such as `summary`."
    )
    response_format: Any = Field(
        default=None, description="JSON mode, a JSON schema, or a pydantic class that one is made from."
    )
    parallel_tool_calls: bool | None = Field(default=None, description="Whether one answer may call several tools.")
    user: str | None = Field(default=None, description="Your own ID of the end user.")
    service_tier: str | None = Field(default=None, description="OpenAI's service tier.")
    verbosity: str | None = Field(default=None, description="low, medium or high.")
    modalities: list[str] | None = Field(default=None, description='Forms of the answer, such as ["text", "audio"].')
    audio: dict[str, Any] | None = Field(default=None, description="Voice and format of a spoken answer.")
    prediction: dict[str, Any] | None = Field(default=None, description="Text that the answer will mostly repeat.")
    web_search_options: dict[str, Any] | None = Field(default=None, description="Settings of the vendor's web search.")
    store: bool | None = Field(default=None, description="Whether the vendor keeps the answer.")
    prompt_cache_key: str | None = Field(default=None, description="Groups requests that share a prompt prefix.")
    prompt_cache_options: dict[str, Any] | None = Field(
        default=None, description="OpenAI's settings of the prompt cache, such as its mode."
    )
    prompt_cache_retention: str | None = Field(default=None, description='How long a prompt is cached, such as "24h".')
    safety_identifier: str | None = Field(default=None, description="OpenAI's stable ID of the end user.")
    instructions: str | None = Field(
        default=None, description="Responses API: instructions that are not kept with the conversation."
    )
    include: list[str] | None = Field(default=None, description="Responses API: what an answer shall also hold.")
    truncation: str | None = Field(default=None, description='Responses API: "auto" drops what the window cannot hold.')
    max_tool_calls: int | None = Field(default=None, description="Responses API: most calls of hosted tools.")
    context_management: list[dict[str, Any]] | dict[str, Any] | None = Field(
        default=None, description="Settings for compacting a long context."
    )


class EmbeddingParameters(BaseModel):
    """Fields of an embeddings request, besides model and input."""

    dimensions: int | None = Field(
        default=None, ge=1, description="Length of the vectors, for models that can shorten them."
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="base64 makes answers a third as long. Not every vendor knows it; both are read."
    )
    user: str | None = Field(default=None, description="Your own ID of the end user.")


class RerankParameters(BaseModel):
    """Fields of a rerank request, besides model, query and documents."""

    top_n: int | None = Field(default=None, ge=1, description="How many of the best to keep. Default: all.")


MODEL_SETTINGS: tuple[str, ...] = tuple(ChatParameters.model_fields)
"""What a model object may fix for all its calls, in the order in which it is sent."""

_OF_ONE_CALL = frozenset({"previous_response_id", "conversation", "background", "prompt", "text"})

REQUEST_PARAMETERS: frozenset[str] = (
    frozenset(MODEL_SETTINGS) | _OF_ONE_CALL | {"tools", "tool_choice", "stream_options", "metadata"}
)
"""What a single call may say in the body. `metadata` is not a field because LangChain uses that name for tracing."""

TWINS: Mapping[str, str] = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Two names of one limit: a call that uses one replaces the model's value under the other."""

ALIASES: Mapping[str, str] = {
    "model_name": "model",
    "api_base": "base_url",
    "openai_api_base": "base_url",
    "openai_api_key": "api_key",
    "request_timeout": "timeout",
    "stop_sequences": "stop",
    "max_output_tokens": "max_tokens",
    "audio_config": "audio",
    "openai_organization": "organization",
    "show_progress_bar": "show_progress",
    "default_header": "default_headers",
    "extra_headers": "default_headers",
    "headers": "default_headers",
    "async_http_client": "http_async_client",
    "extra_query": "default_query",
}
"""What ChatOpenAI, OpenAI's SDK, OpenAILike and others call the same thing."""

# What ChatOpenAI takes as `model_kwargs` and LlamaIndex's OpenAI as `additional_kwargs` goes to the SDK's `create`, so
# the SDK's own arguments may stand there next to fields of the body.
HOLDERS = ("model_kwargs", "additional_kwargs")
# ChatOpenAI's word for which API to use.
_RESPONSES_OR_CHAT = "use_responses_api"
_MERGED = frozenset({"extra_body", "default_headers", "default_query", "headers"})
# Settings that all objects of a hub share.
_OF_THE_HUB = frozenset({"rate_limit", "aliases", "model_overrides", "catalog_refresh"})


def normalize_names(
    values: Mapping[str, Any], known: Container[str], aliases: Mapping[str, str] = ALIASES
) -> dict[str, Any]:
    """Return the values under the names used here, `model_kwargs` opened.

    Args:
        values: keyword arguments as a user wrote them.
        known: the names that are parameters of their own. What else stands in `model_kwargs` is a vendor's parameter
            and goes into `extra_body`, whose own values win.
        aliases: other name to name.

    Raises:
        ConfigurationError: a parameter has different values in two places.
    """
    result: dict[str, Any] = {}
    written: dict[str, str] = {}
    for given, value in values.items():
        if given == _RESPONSES_OR_CHAT:
            _add(result, written, "api", value if value is None else "responses" if value else "chat", given)
        elif given not in HOLDERS:
            _add(result, written, aliases.get(given, given), value, given)
    for holder in HOLDERS:
        if values.get(holder) is not None:
            vendors = _open(holder, values[holder], result, written, known, aliases)
            if vendors:
                result["extra_body"] = {**vendors, **(result.get("extra_body") or {})}
    return result


def _add(result: dict[str, Any], written: dict[str, str], name: str, value: Any, given: str) -> None:
    before = result.get(name)
    if before is None or value is None or before is value or before == value:
        agree = True
    elif name in _MERGED and isinstance(before, Mapping) and isinstance(value, Mapping):
        agree = all(before[key] == value[key] for key in before.keys() & value.keys())
        value = {**before, **value}
    else:
        agree = False
    if not agree:
        raise ConfigurationError(f"{given!r} and {written[name]!r} are the same parameter and have different values.")
    if name not in result or value is not None:
        result[name], written[name] = value, given


def _open(
    holder: str,
    held: Any,
    result: dict[str, Any],
    written: dict[str, str],
    known: Container[str],
    aliases: Mapping[str, str],
) -> dict[str, Any]:
    """Move the parameters in `held` into `result`; return the vendor's own."""
    if not isinstance(held, Mapping):
        raise ConfigurationError(f"{holder} is a dict of parameters, not {type(held).__name__}.")
    if held.get("extra_query") and "default_query" not in known:
        raise ConfigurationError(f"{holder} holds extra_query, but the URL of a call takes no query: use extra_body.")
    vendors: dict[str, Any] = {}
    for given, value in held.items():
        name = aliases.get(given, given)
        if given == "extra_body":
            if not isinstance(value or {}, Mapping):
                raise ConfigurationError(f"extra_body in {holder} must be a dict, not {type(value).__name__}.")
            vendors.update(value or {})
        elif name in known:
            if name not in _MERGED and value is not None and result.get(name) not in (None, value):
                raise ConfigurationError(f"{name!r} has one value as a parameter and another in {holder}.")
            _add(result, written, name, value, given)
        elif given != "extra_query":
            vendors[given] = value
    return vendors


def reject_unknown(
    given: Iterable[str], known: Iterable[str], *, where: str, hints: Mapping[str, str] | None = None, into: str = "{}"
) -> None:
    """Refuse an unknown parameter with a hint or the nearest name.

    Args:
        given: the names the user wrote.
        known: the names that are accepted.
        where: what takes them, for the message, such as `ChatHubmix`.
        hints: what to do instead, for parameters of other libraries.
        into: how `extra_body` is passed there, if it is not a parameter of its own.

    Raises:
        ConfigurationError: for the first name with a hint, else for the first unknown one.
    """
    accepted = set(known)
    unknown = [name for name in given if name not in accepted]
    for name in unknown:
        if hints and name in hints:
            raise ConfigurationError(f"{where} has no parameter {name!r}: {hints[name]}.")
    for name in unknown:
        if name in _OF_THE_HUB:
            raise ConfigurationError(f"{where} has no parameter {name!r}: it is the hub's, hub=Hub({name}=…).")
        near = difflib.get_close_matches(name, accepted, n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        own = into.format(f"extra_body={{{name!r}: …}}")
        raise ConfigurationError(f"{where} has no parameter {name!r}.{hint} A vendor's own parameter goes into {own}.")


def require_model(values: Mapping[str, Any], where: str) -> None:
    """Refuse parameters without a model.

    Raises:
        ConfigurationError: there is no model, or its ID is empty.
    """
    if values.get("model") in (None, ""):
        raise ConfigurationError(
            f"{where} needs a model: pass the ID of one that the hub lists as model=…; Hub().models.list() shows them."
        )
