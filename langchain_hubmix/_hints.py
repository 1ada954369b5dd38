"""What LangChain's OpenAI classes take and these do not, and what to do instead: people bring those names along."""

from __future__ import annotations

from hubmix.wire.parameters import MODEL_SETTINGS, REQUEST_PARAMETERS

_NO_ORGANIZATION = "a hub knows nothing of OpenAI's organizations; leave it out"
_NO_QUERY = "the URL of a call takes no query; pass an http_client= made with params={…}"
_NO_TIKTOKEN = "tokens are estimated, without tiktoken; leave it out"
_OWN_CLIENT = "the SDK's clients are made here; pass base_url and api_key, and HTTP clients as http_client and "
_NO_RESPONSES_API = "everything goes through chat completions, not the Responses API; leave it out"
_NO_VERSION = "the hubs have none; leave it out"
_AS_STRINGS = "texts go to the hub as strings, and not as tokens; leave it out"

OPENAI_ONLY: dict[str, str] = {
    "organization": _NO_ORGANIZATION,
    "openai_organization": _NO_ORGANIZATION,
    "openai_proxy": "set HTTPS_PROXY, or pass http_client= and http_async_client= made with the proxy",
    "default_query": _NO_QUERY,
    "extra_query": _NO_QUERY,
    "extra_headers": "use default_headers={…}",
    "headers": "use default_headers={…}",
    "tiktoken_model_name": _NO_TIKTOKEN,
    "http_socket_options": "pass http_client= and http_async_client= made with them",
    **dict.fromkeys(("client", "async_client", "root_client", "root_async_client"), f"{_OWN_CLIENT}http_async_client"),
    **dict.fromkeys(("api_version", "openai_api_version", "openai_api_type"), _NO_VERSION),
}
"""For all three classes."""

CHAT_ONLY: dict[str, str] = {
    **OPENAI_ONLY,
    **{
        name: f"give it to a call or to bind(), or to every call as extra_body={{{name!r}: …}}"
        for name in REQUEST_PARAMETERS - set(MODEL_SETTINGS)
    },
    **dict.fromkeys(("tools", "tool_choice"), "use bind_tools([…], tool_choice=…)"),
    **dict.fromkeys(("functions", "function_call"), "use bind_tools([…], tool_choice=…)"),
    "stream_options": "use stream_usage=True or False",
    "stream_chunk_timeout": "use failover=FailoverPolicy(idle_timeout=…)",
    "reasoning": "use reasoning_effort=…, or extra_body={'reasoning': …} where the hub takes it",
    "disabled_params": "only what you set is sent; leave it out",
    "include_response_headers": "an answer's response_metadata holds the request_id; leave it out",
    **dict.fromkeys(
        ("use_responses_api", "use_previous_response_id", "include", "truncation", "context_management"),
        _NO_RESPONSES_API,
    ),
}
"""For the chat model."""

CALL_ONLY: dict[str, str] = {
    **CHAT_ONLY,
    **dict.fromkeys(
        ("hub", "base_url", "api_key", "app_code", "http_client", "http_async_client"),
        "it belongs to the connection; make another model object",
    ),
    "streaming": "use stream() or invoke()",
}
"""For a call of it."""

EMBEDDINGS_ONLY: dict[str, str] = {
    **OPENAI_ONLY,
    "tiktoken_enabled": _AS_STRINGS,
    **dict.fromkeys(("check_embedding_ctx_length", "embedding_ctx_length"), _AS_STRINGS),
    **dict.fromkeys(("allowed_special", "disallowed_special"), _AS_STRINGS),
    "deployment": "a hub has no deployments; name its model as model=",
    "skip_empty": "an empty text is an error here; leave such texts out",
    "retry_min_seconds": "use failover=FailoverPolicy(…)",
    "retry_max_seconds": "use failover=FailoverPolicy(max_retry_after=…)",
    "fallbacks": "vectors of two models cannot be compared; leave it out",
}
"""For embeddings."""

RERANK_ONLY: dict[str, str] = {**OPENAI_ONLY, "fallbacks": "scores of two models cannot be compared; leave it out"}
"""For the reranker."""
