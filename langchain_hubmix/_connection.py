"""Which hub a LangChain object talks to, and with which key: the fields that all three classes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from hubmix.failover.policy import read_policy
from hubmix.hub.hub import Hub
from hubmix.hub.registry import resolve_hub
from hubmix.wire.parameters import MODEL_SETTINGS, REQUEST_PARAMETERS, opened, reject_unknown, require_model
from langchain_hubmix._errors import ConfigurationError, raises_langchain_errors
from langchain_hubmix._hints import OPENAI_ONLY

if TYPE_CHECKING:
    from typing_extensions import Self

    from hubmix.catalog import ModelCatalog


class HubConnection(BaseModel):
    """The connection's fields, and the hub that they settle. Nothing is sent until a call is made."""

    hub_source: Hub | str | None = Field(default=None, alias="hub", exclude=True, repr=False)
    """What was given as `hub`; the attribute `hub` is the hub itself."""
    base_url: str | None = None
    api_key: SecretStr | None = None
    app_code: str | None = None
    default_headers: dict[str, str] | None = Field(default=None, exclude=True, repr=False)
    """Not in `model_dump` or `repr`: they may hold secrets."""
    http_client: Any = Field(default=None, exclude=True, repr=False)
    http_async_client: Any = Field(default=None, exclude=True, repr=False)

    elsewhere: ClassVar[Mapping[str, str]] = OPENAI_ONLY
    """Parameters of LangChain's OpenAI classes which this one does not have, and what to do instead."""

    _resolved: tuple[Any, Hub] | None = PrivateAttr(default=None)

    # A failed validation must not print what it was given: the key is among it.
    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True, arbitrary_types_allowed=True)

    @raises_langchain_errors
    def __init__(self, **kwargs: Any) -> None:
        cls = type(self)
        # A field of LangChain's own (`metadata`, for tracing) is not the request's parameter of the same name.
        values = opened(kwargs, cls.model_fields.keys() - (REQUEST_PARAMETERS - set(MODEL_SETTINGS)))
        if not values.keys() <= cls.model_fields.keys():
            known = {*cls.model_fields, "hub"} - {"hub_source"}
            reject_unknown(values, known, where=cls.__name__, elsewhere=cls.elsewhere)
        if cls.model_fields["model"].is_required():
            require_model(values, cls.__name__)
        _check_kinds(values)
        if "failover" in values:  # before pydantic, which takes a dict with a typo in it
            values["failover"] = read_policy(values["failover"])
        if isinstance(key := values.get("api_key"), str):
            values["api_key"] = SecretStr(key)  # before pydantic keeps its input for an error to show
        super().__init__(**values)
        # Outside pydantic's validation, so that what is wrong with URL, hub or key is the project's own error.
        self.hub.require_key()

    def model_post_init(self, context: Any, /) -> None:
        """Pass on to the class beside this one, which pydantic does not do where there are private attributes."""
        super().model_post_init(context)

    @property
    def hub(self) -> Hub:
        """The hub that serves this object; it holds the HTTP clients and may be shared between objects."""
        given = (
            self.hub_source,
            self.base_url,
            self.api_key,
            self.app_code,
            self.default_headers,
            self.http_client,
            self.http_async_client,
        )
        resolved = self._resolved  # read once: pydantic is slow at private attributes, and a call asks several times
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

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # They hold locks and sockets, and a limit or a cache of its own is not what a copy is meant to have.
        names = ("http_client", "http_async_client", "rate_limiter", "cache")
        shared = {id(held): held for name in names if (held := getattr(self, name, None)) is not None}
        return super().__deepcopy__({**(memo or {}), **shared})

    def __getstate__(self) -> dict[Any, Any]:
        # The hub leaves its clients behind too; it knows where its key came from, so it goes along.
        state = super().__getstate__()
        fields = {**state["__dict__"], "http_client": None, "http_async_client": None}
        private = dict(state["__pydantic_private__"] or {})
        if resolved := private.get("_resolved"):
            private["_resolved"] = ((*resolved[0][:-2], None, None), resolved[1])
        return {**state, "__dict__": fields, "__pydantic_private__": private}


def _check_kinds(values: Mapping[str, Any]) -> None:
    """Say of what ChatOpenAI takes in more forms which one it is here."""
    if callable(values.get("api_key")):
        raise ConfigurationError(
            "api_key is a string, not a function: call it and pass what it gives. For a key that changes, pass an "
            "http_client= and http_async_client= whose auth= sets the header."
        )
    timeout = values.get("timeout")
    if isinstance(timeout, tuple) or hasattr(timeout, "connect"):
        raise ConfigurationError(
            "timeout is one number of seconds, for a whole attempt; connecting has limits of its own. "
            "failover=FailoverPolicy(first_token_timeout=…, idle_timeout=…) are those of a stream."
        )
