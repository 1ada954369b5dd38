"""A chat model's fields, requests, and what LangChain asks about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.runnables import RunnableSerializable
from langchain_core.runnables.utils import AnyConfigurableField
from langchain_core.tools import BaseTool
from pydantic import Field, field_validator

from hubmix import __version__
from hubmix.plugin.fallbacks import dumped
from hubmix.plugin.fields import ChatFields, HubFields
from hubmix.plugin.request import chat_request, normalize_call, policy_to_dict, read_call
from hubmix.plugin.structured import in_words
from hubmix.wire.parameters import ALIASES, MODEL_SETTINGS
from langchain_hubmix._errors import raises_langchain_errors
from langchain_hubmix._messages import PROVIDER, to_wire
from langchain_hubmix._profile import profile_of
from langchain_hubmix._tools import is_class, wire_response_format, wire_tool, wire_tools, without_credentials

if TYPE_CHECKING:
    from langchain_core.language_models import LangSmithParams, ModelProfile

    from hubmix.failover.options import CallOptions
    from hubmix.wire.trace import Attempt

# Put into a call by LangChain itself (whether to stream, what tracers show of a schema) and by structured output.
_INTERNAL = frozenset({"stream", "ls_structured_output_format", "structured_output_format", "schema_in_words"})


class HubObject(HubFields):
    """An object of LangChain that talks to a hub and needs its key at once."""

    needs_key: ClassVar[bool] = True

    if not TYPE_CHECKING:  # type checkers derive the signature from the fields

        @raises_langchain_errors
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)


class ChatSettings(ChatFields, HubObject, BaseChatModel):
    """What a chat model is set to."""

    streaming: bool = Field(default=False, description="Whether `invoke` streams too.")

    def model_post_init(self, context: Any, /) -> None:
        """Record this package's version for tracing, next to LangChain's own."""
        super().model_post_init(context)
        self._add_version("hubmix", __version__)

    @field_validator("default_headers", mode="before")
    @classmethod
    def _headers_from_json(cls, value: Any) -> Any:
        # A secret that `load` reads from the environment is a string.
        return json.loads(value) if isinstance(value, str) else value

    def configurable_fields(self, **kwargs: AnyConfigurableField) -> RunnableSerializable[Any, Any]:
        """Make fields configurable at run time; other libraries' names for them work too."""
        fields = {"hub": "hub_source", **ALIASES}
        return super().configurable_fields(**{fields.get(name, name): field for name, field in kwargs.items()})

    @property
    def _llm_type(self) -> str:
        return PROVIDER

    @property
    def _identifying_params(self) -> dict[str, Any]:
        params: dict[str, Any] = {"model": self.model, "model_name": self.model, "base_url": self.hub.base_url}
        names = (
            "fallbacks",
            "api",
            *MODEL_SETTINGS,
            "timeout",
            "total_timeout",
            "max_retries",
            "extra_body",
            "stream_usage",
        )
        found = {name: value for name in names if (value := getattr(self, name)) is not None}
        if "fallbacks" in found:
            found["fallbacks"] = dumped(found["fallbacks"])
        return params | found

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        # They end up in traces, and a header may be a key.
        shown = {name: value for name, value in normalize_call(kwargs).items() if name != "headers"}
        if shown.get("tools"):
            shown["tools"] = without_credentials(shown["tools"])
        return super()._get_invocation_params(stop=self._stop_of(stop), **shown)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # The key of a cache entry, which may be written to disk: headers count, but cannot be read from it.
        kwargs = normalize_call(kwargs)
        if "headers" in kwargs:
            kwargs["headers"] = _digest(kwargs["headers"])
        if kwargs.get("tools"):
            kwargs["tools"] = without_credentials(kwargs["tools"], _digest)
        kwargs["hub"] = (self.hub.base_url, self.hub.headers_id)  # the environment and a shared hub set them too
        return super()._get_llm_string(stop=stop, **kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=self._stop_of(stop), **normalize_call(kwargs))
        params["ls_provider"] = PROVIDER
        if self.max_completion_tokens is not None and "max_tokens" not in kwargs:
            params["ls_max_tokens"] = self.max_completion_tokens
        return params

    def _stop_of(self, stop: list[str] | None) -> list[str] | None:
        """What a call stops at; LangChain passes only what the call itself says."""
        if stop is None and self.stop is not None:
            return [self.stop] if isinstance(self.stop, str) else self.stop
        return stop

    def _resolve_model_profile(self) -> ModelProfile | None:
        # This runs whenever a model object is made, so it reads no file.
        info = self.catalog.cached.find(self.model, disk=False)
        return profile_of(info) if info is not None else None

    def get_num_tokens(self, text: str) -> int:
        """Return about how many tokens a text has, without tokenizer or network."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return count_tokens_approximately([text])

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """Return about how many tokens messages and tools have, without a tokenizer."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(list(messages), tools)
        wire_tools = [wire_tool(tool, strict=None) for tool in tools or ()]
        return count_tokens_approximately(messages, tools=cast("Any", wire_tools) or None)

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Where a serialized model finds its key and headers again."""
        return {"api_key": "HUBMIX_API_KEY", "default_headers": "HUBMIX_DEFAULT_HEADERS"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """What a serialized model holds in place of values that are no JSON."""
        found: dict[str, Any] = {}
        if isinstance(self.hub_source, str):
            found["hub"] = self.hub_source
        elif self.hub_source is not None:
            found["base_url"] = self.hub_source.base_url
        if self.failover is not None:
            found["failover"] = policy_to_dict(self.failover)
        return found

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """True: `dumps` and `loads` keep everything but the key."""
        return True


def request_of(
    llm: ChatSettings,
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
    *,
    streamed: bool = False,
    on_attempt: Callable[[Attempt], None] | None = None,
) -> tuple[dict[str, Any], CallOptions]:
    """Return the body of a chat completion and the options of the call.

    Args:
        llm: the model with its fields.
        messages: the conversation.
        stop: the stop sequences that LangChain hands over separately.
        kwargs: the parameters of this call, which win over the fields.
        streamed: whether the answer is streamed.
        on_attempt: called for every failed or skipped attempt.

    Raises:
        ConfigurationError: a parameter is unknown, or cannot be sent.
    """
    call = read_call(kwargs, where="A call of ChatHubmix", also=_INTERNAL)
    if stop is not None:
        call["stop"] = stop
    if tools := call.get("tools"):
        call["tools"] = wire_tools(tools)
    wire = to_wire(messages)
    if schema := call.get("schema_in_words"):
        _tell_schema(wire, schema)
    request = chat_request(llm.__dict__, call, wire, streamed=streamed, on_attempt=on_attempt)
    if (wanted := request.body.get("response_format")) is not None:
        request.body["response_format"] = wire_response_format(wanted)
    return request.body, request.options


def _digest(secret: Any) -> str:
    return hashlib.sha256(repr(secret).encode()).hexdigest()


def target_of(llm: ChatSettings, kwargs: Mapping[str, Any]) -> Any:
    """Return the pydantic class that is the response format of a call, or None."""
    wanted = kwargs.get("response_format", llm.response_format)
    return wanted if is_class(wanted) else None


def _tell_schema(messages: list[dict[str, Any]], schema: dict[str, Any]) -> None:
    """Write the schema into the system message: JSON mode has no other place for it."""
    text = in_words(schema)
    first = messages[0] if messages else {}
    content = first.get("content")
    if first.get("role") not in ("system", "developer"):
        messages.insert(0, {"role": "system", "content": text})
    elif isinstance(content, str):
        first["content"] = f"{content}\n\n{text}"
    else:
        first["content"] = [*(content or ()), {"type": "text", "text": text}]
