"""Parameters of other libraries without a counterpart: what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hubmix.errors import ConfigurationError
from hubmix.failover.policy import FailoverPolicy, read_policy

_OWN_CLIENT = "the SDK's clients are made here; pass base_url and api_key, and HTTP clients as http_client and "
_NO_QUERY = "use default_query={…} of the model object"
_NO_VERSION = "the hubs have none; leave it out"
_NO_DEPLOYMENT = "a hub has no deployments; name its model as model="
_AS_STRINGS = "texts go to the hub as strings, and not as tokens; leave it out"
_WITH_TOOLS = "give it to a call, or use bind_tools([…], tool_choice=…)"
_OF_THE_CONNECTION = "it belongs to the connection; make another model object"

HINTS: Mapping[str, str] = {
    # ChatOpenAI, OpenAIEmbeddings
    "extra_query": _NO_QUERY,
    "openai_proxy": "set HTTPS_PROXY, or pass http_client= and http_async_client= made with the proxy",
    "http_socket_options": "pass http_client= and http_async_client= made with them",
    **dict.fromkeys(("client", "async_client", "root_client", "root_async_client"), f"{_OWN_CLIENT}http_async_client"),
    **dict.fromkeys(("api_version", "openai_api_version", "openai_api_type"), _NO_VERSION),
    **dict.fromkeys(("tools", "tool_choice", "functions", "function_call"), _WITH_TOOLS),
    "metadata": "send it as extra_body={'metadata': …}",
    "stream_options": "use stream_usage=True or False",
    "stream_chunk_timeout": "use failover=FailoverPolicy(idle_timeout=…)",
    "include_response_headers": "an answer's response_metadata holds the request_id; leave it out",
    "use_previous_response_id": "give a call the id of the answer before it: previous_response_id=…, with store=True",
    "tiktoken_model_name": "tokens are estimated, without tiktoken; leave it out",
    **dict.fromkeys(("tiktoken_enabled", "check_embedding_ctx_length", "embedding_ctx_length"), _AS_STRINGS),
    **dict.fromkeys(("allowed_special", "disallowed_special"), _AS_STRINGS),
    **dict.fromkeys(("deployment", "deployment_name"), _NO_DEPLOYMENT),
    "skip_empty": "an empty text is an error here; leave such texts out",
    "retry_min_seconds": "use failover=FailoverPolicy(…)",
    "retry_max_seconds": "use failover=FailoverPolicy(max_retry_after=…)",
    # OpenAIResponses
    "built_in_tools": "give them to a call: tools=[{'type': 'web_search'}]",
    "track_previous_responses": "give a call the id of the answer before it: previous_response_id=…, with store=True",
    "reasoning_options": "use reasoning={'effort': …, 'summary': …}",
    # OpenAILike, OpenAIEmbedding
    "openai_client": f"{_OWN_CLIENT}http_async_client",
    "async_openai_client": f"{_OWN_CLIENT}http_async_client",
    "reuse_client": "clients are made once and belong to the hub; leave it out",
    "engine": "a hub has no engines; name its model as model=",
    "is_chat_model": "every model is asked as a chat model; leave it out",
    "should_use_structured_outputs": 'use structured_output_method="json_schema"',
    "strict": 'use structured_output_method="json_schema"',
    "tokenizer": "nothing is counted here; leave it out",
    "mode": "one model serves texts and queries; leave it out",
    # Parameters of some classes here that others do not have.
    **dict.fromkeys(
        ("hub", "base_url", "api_key", "app_code", "http_client", "http_async_client", "default_query"),
        _OF_THE_CONNECTION,
    ),
    **dict.fromkeys(("organization", "allow_http"), _OF_THE_CONNECTION),
    "streaming": "use stream() or invoke()",
}
"""Name of a parameter to what to do instead. A class that does have the parameter never looks it up."""

# Whatever their value, these ask for what is done anyway, or concern what is not done at all.
_HARMLESS = frozenset(
    {"reuse_client", "tiktoken_enabled", "tiktoken_model_name", "check_embedding_ctx_length", "embedding_ctx_length"}
    | {"allowed_special", "disallowed_special", "tokenizer", "mode"}
)
# The defaults of the classes that they come from, which a written-out configuration repeats.
_DEFAULTS: Mapping[str, Any] = {
    "is_chat_model": True,
    "retry_min_seconds": 4,
    "retry_max_seconds": 20,
    "openai_api_type": "openai",
}


def without_inert(values: dict[str, Any], known: frozenset[str] | set[str]) -> dict[str, Any]:
    """Return the parameters without those of other libraries that ask for nothing.

    A program that is driven by a configuration passes None, False or an empty value for everything that is not set.

    Args:
        values: parameters under the names used here.
        known: the names that are parameters here.
    """
    if values.keys() <= known:
        return values
    kept = known | {name for name, (needed, _) in CONVERSIONS.items() if needed in known}
    return {name: value for name, value in values.items() if name in kept or not _is_inert(name, value, values)}


def _is_inert(name: str, value: Any, values: Mapping[str, Any]) -> bool:
    if name not in HINTS:
        return False
    if name in ("deployment", "deployment_name", "engine") and value == values.get("model"):
        return True
    empty = value is None or value is False or (hasattr(value, "__len__") and len(value) == 0)
    return empty or name in _HARMLESS or (name in _DEFAULTS and _DEFAULTS[name] == value)


def _idle_timeout(values: dict[str, Any], seconds: Any) -> None:
    policy = read_policy(values.get("failover")) or FailoverPolicy()
    values["failover"] = replace(policy, idle_timeout=seconds or None)  # ChatOpenAI's None and 0 switch it off


def _json_schema(values: dict[str, Any], wanted: Any) -> None:
    if wanted:
        values.setdefault("structured_output_method", "json_schema")


CONVERSIONS: Mapping[str, tuple[str, Callable[[dict[str, Any], Any], None]]] = {
    "stream_chunk_timeout": ("stream_usage", _idle_timeout),
    "should_use_structured_outputs": ("structured_output_method", _json_schema),
    "strict": ("structured_output_method", _json_schema),
}
"""Name of a parameter to the parameter that a class must have for it, and the function that says the same with it."""


def convert(values: dict[str, Any], known: frozenset[str] | set[str]) -> dict[str, Any]:
    """Translate other libraries' parameters into those that exist here."""
    for name in CONVERSIONS.keys() & values.keys():
        needed, say = CONVERSIONS[name]
        if needed in known:
            say(values, values.pop(name))
    return values


def read_seconds(value: Any) -> Any:
    """Return a timeout as seconds; of an HTTP library's timeout, its limit for reads.

    Raises:
        ConfigurationError: a tuple that is not (connect, read, …).
    """
    if hasattr(value, "connect") and hasattr(value, "read"):
        return value.read
    if isinstance(value, tuple):
        if len(value) < 2:
            raise ConfigurationError(f"timeout as a tuple is (connect, read) or longer, not {value!r}.")
        return value[1]
    return value
