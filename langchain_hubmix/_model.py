"""The fields of a chat model, and what LangChain asks about it: name, parameters, profile, tokens, serialization."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.tools import BaseTool
from pydantic import Field, field_validator

from hubmix import __version__
from hubmix.failover.policy import FailoverPolicy
from hubmix.wire.parameters import MODEL_SETTINGS, opened
from langchain_hubmix._connection import HubConnection
from langchain_hubmix._hints import CHAT_ONLY
from langchain_hubmix._messages import PROVIDER
from langchain_hubmix._params import HEADERS, PER_CALL
from langchain_hubmix._profile import profile_of
from langchain_hubmix._tools import wire_tool

if TYPE_CHECKING:
    from langchain_core.language_models import LangSmithParams, ModelProfile


class ChatSettings(HubConnection, BaseChatModel):
    """What a chat model is set to; `ChatHubmix` says what each field means."""

    elsewhere: ClassVar[Mapping[str, str]] = CHAT_ONLY

    model: str = Field(min_length=1)
    fallbacks: Literal["auto"] | list[str] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, int] | None = None
    reasoning_effort: str | None = None
    response_format: Any = None
    parallel_tool_calls: bool | None = None
    user: str | None = None
    service_tier: str | None = None
    extra_body: dict[str, Any] | None = None

    timeout: float | None = None
    total_timeout: float | None = None
    max_retries: int | None = None
    failover: FailoverPolicy | None = None
    stream_usage: bool = True
    streaming: bool = False

    def model_post_init(self, context: Any, /) -> None:
        """Record this package's version for tracing, beside LangChain's own."""
        super().model_post_init(context)
        self._add_version("hubmix", __version__)

    @field_validator("default_headers", mode="before")
    @classmethod
    def _headers_from_json(cls, value: Any) -> Any:
        # A secret that `load` reads from the environment is a string.
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("stream_usage", mode="before")
    @classmethod
    def _usage_unless_unwanted(cls, value: Any) -> Any:
        return True if value is None else value

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _token_ids_as_json_has_them(cls, value: Any) -> Any:
        return {str(token): bias for token, bias in value.items()} if isinstance(value, dict) else value

    @property
    def model_name(self) -> str:
        """The same as `model`, under the name that other LangChain classes give it."""
        return self.model

    @property
    def _llm_type(self) -> str:
        return PROVIDER

    @property
    def _identifying_params(self) -> dict[str, Any]:
        params: dict[str, Any] = {"model": self.model, "model_name": self.model, "base_url": self.hub.base_url}
        names = ("fallbacks", *MODEL_SETTINGS, "timeout", "total_timeout", "max_retries", "extra_body", "stream_usage")
        return params | {name: value for name in names if (value := getattr(self, name)) is not None}

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        # They end up in traces, and a header may be a key.
        shown = {name: value for name, value in opened(kwargs, PER_CALL).items() if name not in HEADERS}
        return super()._get_invocation_params(stop=self._stop_of(stop), **shown)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # The key of a cache entry, which may be written to disk: headers count, but cannot be read from it.
        kwargs = opened(kwargs, PER_CALL)
        for name in HEADERS & kwargs.keys():
            kwargs[name] = hashlib.sha256(repr(kwargs[name]).encode()).hexdigest()
        kwargs["hub"] = (self.hub.base_url, self.hub.headers_id)  # the environment and a shared hub set them too
        return super()._get_llm_string(stop=stop, **kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=self._stop_of(stop), **opened(kwargs, PER_CALL))
        params["ls_provider"] = PROVIDER
        return params

    def _stop_of(self, stop: list[str] | None) -> list[str] | None:
        """What a call stops at: LangChain hands over only what the call itself says, and shows that in traces."""
        if stop is None and self.stop is not None:
            return [self.stop] if isinstance(self.stop, str) else self.stop
        return stop

    def _resolve_model_profile(self) -> ModelProfile | None:
        info = self.catalog.cached.find(
            self.model, disk=False
        )  # this runs whenever a model object is made, which does no I/O
        return profile_of(info) if info is not None else None

    def get_num_tokens(self, text: str) -> int:
        """About how many tokens a text has: an estimate that needs neither a tokenizer nor the network."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return count_tokens_approximately([text])

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """About how many tokens messages and tools have: an estimate that needs neither a tokenizer nor the network."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(list(messages), tools)
        wire_tools = [wire_tool(tool, strict=None) for tool in tools or ()]
        return count_tokens_approximately(messages, tools=cast("Any", wire_tools) or None)

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Where a serialized model finds its key and its headers again, which it does not hold."""
        return {"api_key": "HUBMIX_API_KEY", "default_headers": "HUBMIX_DEFAULT_HEADERS"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """What a serialized model holds in place of values that are no JSON."""
        found: dict[str, Any] = {}
        if isinstance(self.hub_source, str):
            found["hub"] = self.hub_source
        elif self.hub_source is not None:
            found["base_url"] = self.hub_source.base_url
        if is_dataclass(self.failover):
            found["failover"] = {k: v for k, v in asdict(self.failover).items() if not callable(v)}
        return found

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """True: `dumps` and `loads` keep everything but the key."""
        return True
