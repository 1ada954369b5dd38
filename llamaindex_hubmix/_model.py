"""Which hub a LlamaIndex component talks to, and with which key: the fields that all three classes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.schema import BaseComponent
from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from hubmix.failover.policy import read_policy
from hubmix.hub.hub import Hub
from hubmix.hub.registry import resolve_hub
from hubmix.wire.parameters import ALIASES, canonical, reject_unknown, require_model

if TYPE_CHECKING:
    from typing_extensions import Self

    from hubmix.catalog import ModelCatalog, ModelInfo

_CLIENTS = ("http_client", "http_async_client")

_SDK_CLIENT = "the SDK's client is made here; pass base_url and api_key, and its HTTP client as "
OPENAI_ONLY: Mapping[str, str] = {
    "openai_client": f"{_SDK_CLIENT}http_client",
    "async_openai_client": f"{_SDK_CLIENT}http_async_client",
    "reuse_client": "clients are made once and belong to the hub; leave it out",
    "api_version": "the hubs have none; leave it out",
    "deployment_name": "a hub has no deployments; name its model as model",
    "engine": "a hub has no engines; name its model as model",
}
"""What LlamaIndex's OpenAI classes take and nothing here does."""


class HubConnection(BaseComponent):
    """The connection's fields, and the hub that they settle. Nothing is sent until a call is made.

    What may hold a secret is in no `to_dict()`, `to_json()` or `repr()`. A component that is pickled for a worker
    process takes along a key that was given in the code; a key from the environment is read there again.
    """

    hub_source: Any = Field(default=None, alias="hub", exclude=True, repr=False, description="What was given as `hub`.")
    base_url: str | None = Field(default=None, description="URL of the hub's API; ends in /v1 for most hubs.")
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False, description="The key for the hub.")
    app_code: str | None = Field(default=None, description="AIHubMix's discount code, sent as APP-Code when set.")
    default_headers: dict[str, str] | None = Field(
        default=None, exclude=True, repr=False, description="Headers sent with every request."
    )
    http_client: Any = Field(default=None, exclude=True, repr=False, description="An HTTP client for sync calls.")
    http_async_client: Any = Field(default=None, exclude=True, repr=False, description="One for async calls.")

    _resolved: tuple[Any, Hub] | None = PrivateAttr(default=None)

    # A failed validation must not print what it was given: the key is among it.
    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True, arbitrary_types_allowed=True)

    names: ClassVar[Mapping[str, str]] = {**ALIASES, "extra_headers": "default_headers"}
    """Other names of the class's parameters."""
    elsewhere: ClassVar[Mapping[str, str]] = OPENAI_ONLY
    """Parameters of the classes that this one replaces which it does not have, and what to do instead."""

    def __init__(self, **kwargs: Any) -> None:
        values = canonical(kwargs, self.names)
        cls = type(self)
        if not values.keys() <= cls.model_fields.keys():
            known = {*cls.model_fields, "hub"} - {"hub_source"}
            reject_unknown(values, known, where=cls.__name__, elsewhere=cls.elsewhere)
        if any(name in cls.model_fields and cls.model_fields[name].is_required() for name in ("model", "model_name")):
            require_model(values, cls.__name__)
        if "failover" in values:  # before pydantic, which takes a dict with a typo in it
            values["failover"] = read_policy(values["failover"])
        super().__init__(**values)
        _ = self.hub  # outside pydantic's validation, so that a wrong URL or hub is the project's own error

    @property
    def hub(self) -> Hub:
        """The hub that serves this component; it holds the HTTP clients and may be shared between components."""
        given = (
            self.hub_source,
            self.base_url,
            self.api_key,
            self.app_code,
            self.default_headers,
            self.http_client,
            self.http_async_client,
        )
        resolved = self._resolved  # read once: private attributes of pydantic are slow, and a call asks several times
        if resolved is not None and resolved[0] == given:
            return resolved[1]
        source, base_url, api_key, app_code, headers, client, async_client = given
        hub = resolve_hub(
            hub=source,
            base_url=base_url,
            api_key=api_key,
            app_code=app_code,
            default_headers=headers,
            http_client=client,
            http_async_client=async_client,
        )
        self._resolved = (given, hub)
        return hub

    @property
    def catalog(self) -> ModelCatalog:
        """What the hub serves: `llm.catalog.list("claude", supports={"tools"})`."""
        return self.hub.models

    def _known(self, model: str) -> ModelInfo | None:
        """What the catalog says of a model, from its cache: never a request."""
        return self.hub.models.cached.find(model)

    @model_serializer(mode="wrap")
    def custom_model_dump(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Core's, with the URL that the calls go to: what `from_dict` makes of it asks the same hub."""
        return {**handler(self), "base_url": self.hub.base_url, "class_name": self.class_name()}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # An HTTP client holds locks and sockets; the copy uses the same one.
        clients = [client for name in _CLIENTS if (client := getattr(self, name)) is not None]
        return super().__deepcopy__({**(memo or {}), **{id(client): client for client in clients}})

    def __getstate__(self) -> dict[str, Any]:
        portable = self.model_copy(update=dict.fromkeys(_CLIENTS))
        portable._resolved = None
        return super(HubConnection, portable).__getstate__()
