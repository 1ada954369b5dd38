"""The parameters of both frameworks' classes, each declared once.

The class that declares a parameter says where it goes: `ChatParameters` and its siblings in `hubmix.wire.parameters`
into the body of a request, `CallFields` and `ChatCallFields` into the options of a call, `HubFields` to the hub. Type
checkers read constructors from these declarations, because pydantic's classes are dataclass-like to them;
`hubmix.plugin.construct` holds the code that runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    SkipValidation,
    field_serializer,
    field_validator,
    model_validator,
)

from hubmix.errors import ConfigurationError
from hubmix.failover.policy import FailoverPolicy
from hubmix.hub.budget import Budget
from hubmix.hub.hub import Hub
from hubmix.hub.model import HubModel
from hubmix.hub.registry import resolve_hub
from hubmix.plugin.construct import construct
from hubmix.plugin.fallbacks import dumped, loaded, only_hubs
from hubmix.plugin.hints import read_seconds
from hubmix.wire.parameters import ALIASES, HOLDERS, ChatParameters, EmbeddingParameters, RerankParameters

if TYPE_CHECKING:
    from openai import Timeout
    from typing_extensions import Self

    from hubmix.catalog import ModelCatalog
    from hubmix.transport.endpoint import KeyProvider

    # A plain `str` type-checks and becomes a SecretStr.
    Secret = SecretStr | str | KeyProvider
    Seconds = float | tuple[float, ...] | Timeout
    Fallbacks = Literal["auto"] | Sequence[str | Hub | HubModel]
else:
    Secret = SecretStr | Callable
    Seconds = float
    Fallbacks = Literal["auto"] | list[Any]

_CLIENTS = ("http_client", "http_async_client")
_CONNECTION = ("base_url", "api_key", "app_code", "default_headers", "default_query", "allow_http", *_CLIENTS)
_GIVEN = itemgetter("hub_source", "organization", *_CONNECTION)
# They hold locks, sockets or a state that copies are meant to share.
_SHARED_BY_COPIES = (*_CLIENTS, "rate_limiter", "cache")


class HubFields(BaseModel):
    """Which hub an object talks to, and with which key. Nothing is sent before a call."""

    # Resolving the hub says what is wrong with it better than validation does.
    hub_source: SkipValidation[Hub | str | None] = Field(
        default=None,
        alias="hub",
        exclude=True,
        repr=False,
        description='A `Hub` to share with other objects, or the name of a known one ("aihubmix", "aihubapi").',
    )
    base_url: str | None = Field(
        default=None,
        description="Base URL of any other hub. Default: `HUBMIX_BASE_URL`, `AIHUBMIX_BASE_URL`, then AIHubMix.",
    )
    api_key: Secret | None = Field(
        default=None,
        repr=False,
        description="The key, or a function (plain or async) that returns it for each request. "
        "Default: `HUBMIX_API_KEY`, then the hub's own variable, such as `AIHUBMIX_API_KEY`.",
    )
    app_code: str | None = Field(
        default=None, description="AIHubMix's discount code, sent as `APP-Code` only if you set it."
    )
    # Headers may hold secrets: they are in no dump and no repr.
    default_headers: dict[str, str] | None = Field(
        default=None, exclude=True, repr=False, description="Headers sent with every request."
    )
    default_query: dict[str, Any] | None = Field(
        default=None, exclude=True, repr=False, description="Parameters of the URL of every request."
    )
    organization: str | None = Field(default=None, description="Sent as the header `OpenAI-Organization`.")
    allow_http: bool | None = Field(
        default=None,
        description="Whether plain http is accepted for any host. The key then crosses the network in the open. "
        "Default: `HUBMIX_ALLOW_HTTP`, else only for this machine and private networks.",
    )
    http_client: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description="An `httpx.Client` (openai 2) or `httpx2.Client` (openai 3) for sync calls.",
    )
    http_async_client: Any = Field(
        default=None, exclude=True, repr=False, description="An `AsyncClient` of the same library for async calls."
    )

    needs_key: ClassVar[bool] = False
    """Whether a missing key is an error when the object is made, and not only when it is used."""

    _resolved: tuple[Any, Hub] | None = PrivateAttr(default=None)

    # A failed validation must not print its input, because the key is part of it.
    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True, arbitrary_types_allowed=True)

    if not TYPE_CHECKING:  # type checkers derive the signature from the fields

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            construct(self, super().__init__, args, kwargs)

    def model_post_init(self, context: Any, /) -> None:
        """Call the next class's hook, which pydantic skips with private attributes."""
        super().model_post_init(context)

    @property
    def hub(self) -> Hub:
        """The hub that serves this object.

        It holds the HTTP clients and may be shared between objects.
        """
        values = self.__dict__
        given = _GIVEN(values)
        # Pydantic finds a private attribute by way of `__getattr__`, and a call asks several times.
        resolved: tuple[Any, Hub] | None = (self.__pydantic_private__ or {}).get("_resolved")
        if resolved is not None and resolved[0] == given:
            return resolved[1]
        settings = {name: values[name] for name in _CONNECTION}
        if organization := values["organization"]:
            settings["default_headers"] = {"OpenAI-Organization": organization, **(values["default_headers"] or {})}
        hub = resolve_hub(hub=values["hub_source"], **settings)
        self._resolved = (given, hub)
        return hub

    @property
    def catalog(self) -> ModelCatalog:
        """What the hub serves: `llm.catalog.list("claude", supports={"tools"})`."""
        return self.hub.models

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Other libraries' names for a parameter read back too, such as `model_name` and `request_timeout`.
            if name in HOLDERS and "extra_body" in type(self).model_fields:
                return self.extra_body or {}
            if name == "stream_chunk_timeout" and "stream_usage" in type(self).model_fields:
                return (self.failover or FailoverPolicy()).idle_timeout
            if name == "use_responses_api" and "api" in type(self).model_fields:
                return {"responses": True, "chat": False}.get(self.api)
            if (meant := ALIASES.get(name)) is not None and hasattr(type(self), "model_fields"):
                return getattr(self, meant)
            return super().__getattr__(name)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        shared = {id(held): held for name in _SHARED_BY_COPIES if (held := getattr(self, name, None)) is not None}
        return super().__deepcopy__({**(memo or {}), **shared})

    def __getstate__(self) -> dict[Any, Any]:
        # HTTP clients stay behind. The hub goes along, because it knows which variable its key came from.
        portable = self.model_copy(update=dict.fromkeys(_CLIENTS))
        if self._resolved is not None:
            given, hub = self._resolved
            portable._resolved = ((*given[: -len(_CLIENTS)], *(None for _ in _CLIENTS)), hub)
        return super(HubFields, portable).__getstate__()


class CallFields(BaseModel):
    """How calls are made. A single call may say each of these differently."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    timeout: Seconds | None = Field(
        default=None,
        description="Seconds for one attempt, or an `httpx.Timeout` or tuple, whose limit for reads counts. "
        "Default: 600.",
    )
    total_timeout: float | None = Field(
        default=None,
        description="Seconds for the whole call, including waits and further candidates. Default: no limit.",
    )
    max_retries: int | None = Field(
        default=None, description="Further attempts at the same model. Default: that of `failover`."
    )
    failover: FailoverPolicy | None = Field(
        default=None, description="A `FailoverPolicy` for everything else about retries and fallbacks."
    )
    budget: Budget | None = Field(
        default=None, exclude=True, description="A `hubmix.Budget` that the calls are held to, in USD."
    )
    extra_body: dict[str, Any] | None = Field(
        default=None,
        description="Fields merged into every request's body last: a vendor's own parameters. "
        "What a single call says of the same field wins.",
    )

    @field_validator("timeout", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return read_seconds(value)


class ChatCallFields(CallFields):
    """How calls of a chat model are made."""

    fallbacks: Fallbacks | None = Field(
        default=None,
        description="What to go on to, in order, if this model fails: a model ID, `hub.model(id)` of another hub, or a "
        '`Hub` for the same model there; "auto" lets the catalog choose.',
    )
    api: Literal["auto", "chat", "responses", "messages"] = Field(
        default="auto",
        description='The API to ask over; "auto" takes what the catalog or an earlier refusal says of the model, else '
        "chat completions. `use_responses_api=True` or False says the same.",
    )
    prefer: Literal["order", "price", "latency", "throughput"] = Field(
        default="order",
        description="Which of the model and its fallbacks is asked first: as given, the cheapest for this request, "
        "or the fastest by what this process measured.",
    )
    session: str | None = Field(
        default=None,
        description="Your ID of a conversation, sent as `X-Aihubmix-Session-Id`: AIHubMix's router lets the same model "
        "answer all of it.",
    )
    stream_usage: bool = Field(default=True, description="Whether to ask for token counts in streams.")

    disabled_params: dict[str, Any] | None = Field(
        default=None,
        description="Parameters that are never sent, each with the values that are left out, or None for all of them.",
    )

    @field_validator("fallbacks", mode="before")
    @classmethod
    def _load_fallbacks(cls, value: Any) -> Any:
        return loaded(value)

    @field_serializer("fallbacks")
    def _dump_fallbacks(self, value: Any) -> Any:
        return dumped(value)

    @field_validator("stream_usage", mode="before")
    @classmethod
    def _usage_by_default(cls, value: Any) -> Any:
        return True if value is None else value

    @field_validator("api", mode="before")
    @classmethod
    def _api_by_itself(cls, value: Any) -> Any:
        return "auto" if value is None else value


class HubFallbackFields(BaseModel):
    """Where else a call can go, for embeddings and rerankers."""

    fallbacks: list[Any] | None = Field(
        default=None,
        description="Other hubs to go on to, in order: a `Hub` for the same model there, or `hub.model(id)`.",
    )

    @field_validator("fallbacks", mode="before")
    @classmethod
    def _load_fallbacks(cls, value: Any) -> Any:
        found = loaded(value)
        if found == "auto":
            raise ConfigurationError('fallbacks="auto" is for chat models; give other hubs here.')
        return found

    @field_serializer("fallbacks")
    def _dump_fallbacks(self, value: Any) -> Any:
        return dumped(value)


class ModelField(BaseModel):
    """The model, which may be given by position too."""

    model: str = Field(kw_only=False, min_length=1, description="ID of the model, exactly as the hub lists it.")


class ChatFields(ModelField, HubFields, ChatCallFields, ChatParameters):
    """The parameters of a chat model."""

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _token_ids_as_text(cls, value: Any) -> Any:
        # JSON knows no other keys.
        return {str(token): bias for token, bias in value.items()} if isinstance(value, dict) else value


class EmbeddingFields(HubFields, CallFields, HubFallbackFields, EmbeddingParameters):
    """The parameters of an embedding model."""

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        only_hubs(self.fallbacks, getattr(self, "model", None) or getattr(self, "model_name", None))
        return self

    max_chars: int = Field(
        default=200_000,
        ge=1,
        description="Most characters in one request, all its texts together. A longer text goes alone.",
    )


class RerankFields(ModelField, HubFields, CallFields, HubFallbackFields, RerankParameters):
    """The parameters of a rerank model."""
