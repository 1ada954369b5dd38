"""Parameters of other libraries' classes that have no counterpart here, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

_OWN_CLIENT = "the SDK's clients are made here; pass base_url and api_key, and HTTP clients as http_client and "
_NO_ORGANIZATION = "a hub knows nothing of OpenAI's organizations; leave it out"
_NO_QUERY = "the URL of a call takes no query; pass an http_client= made with params={…}"
_NO_VERSION = "the hubs have none; leave it out"
_NO_DEPLOYMENT = "a hub has no deployments; name its model as model="
_NOT_COUNTED = "tokens are estimated, without tiktoken; leave it out"
_AS_STRINGS = "texts go to the hub as strings, and not as tokens; leave it out"
_WITH_TOOLS = "give it to a call, or use bind_tools([…], tool_choice=…)"
_OF_THE_CONNECTION = "it belongs to the connection; make another model object"

HINTS: Mapping[str, str] = {
    # ChatOpenAI, OpenAIEmbeddings
    **dict.fromkeys(("organization", "openai_organization"), _NO_ORGANIZATION),
    **dict.fromkeys(("default_query", "extra_query"), _NO_QUERY),
    "openai_proxy": "set HTTPS_PROXY, or pass http_client= and http_async_client= made with the proxy",
    "http_socket_options": "pass http_client= and http_async_client= made with them",
    **dict.fromkeys(("client", "async_client", "root_client", "root_async_client"), f"{_OWN_CLIENT}http_async_client"),
    **dict.fromkeys(("api_version", "openai_api_version", "openai_api_type"), _NO_VERSION),
    **dict.fromkeys(("tools", "tool_choice", "functions", "function_call"), _WITH_TOOLS),
    "metadata": "give it to a call, or to every call as extra_body={'metadata': …}",
    "stream_options": "use stream_usage=True or False",
    "stream_chunk_timeout": "use failover=FailoverPolicy(idle_timeout=…)",
    "disabled_params": "only what you set is sent; leave it out",
    "include_response_headers": "an answer's response_metadata holds the request_id; leave it out",
    "use_previous_response_id": "give a call the id of the answer before it: previous_response_id=…, with store=True",
    "tiktoken_model_name": _NOT_COUNTED,
    "tiktoken_enabled": _AS_STRINGS,
    **dict.fromkeys(("check_embedding_ctx_length", "embedding_ctx_length"), _AS_STRINGS),
    **dict.fromkeys(("allowed_special", "disallowed_special"), _AS_STRINGS),
    **dict.fromkeys(("deployment", "deployment_name"), _NO_DEPLOYMENT),
    "skip_empty": "an empty text is an error here; leave such texts out",
    "retry_min_seconds": "use failover=FailoverPolicy(…)",
    "retry_max_seconds": "use failover=FailoverPolicy(max_retry_after=…)",
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
    "fallbacks": "vectors and scores of two models cannot be compared; leave it out",
    **dict.fromkeys(
        ("hub", "base_url", "api_key", "app_code", "http_client", "http_async_client"),
        _OF_THE_CONNECTION,
    ),
    "streaming": "use stream() or invoke()",
}
"""Name of a parameter to what to do instead. A class that does have the parameter never looks it up."""
