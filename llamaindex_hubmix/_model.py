"""What the three LlamaIndex classes share, and the requests of the chat model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import BaseComponent
from pydantic import SerializationInfo, SerializerFunctionWrapHandler, field_serializer, model_serializer

from hubmix.failover.policy import FailoverPolicy
from hubmix.plugin.fields import CallFields, HubFields
from hubmix.plugin.request import ChatRequest, chat_request, policy_to_dict, read_call
from hubmix.plugin.structured import response_format
from llamaindex_hubmix._callbacks import failover_reporter
from llamaindex_hubmix._tools import wire_tools

if TYPE_CHECKING:
    from hubmix.catalog import ModelInfo


class HubComponent(HubFields, CallFields, BaseComponent):
    """A LlamaIndex component that talks to a hub.

    Its serialized forms (`to_dict`, `to_json`, `repr`) hold no secret. A component that is pickled for a worker process
    takes along a key that was given in the code; a key from the environment is read there again.
    """

    def _known(self, model: str) -> ModelInfo | None:
        """What the catalog says of a model, from its cache: never a request."""
        return self.hub.models.cached.find(model)

    @field_serializer("failover")
    def _policy_to_dict(self, policy: FailoverPolicy | None) -> dict[str, Any] | None:
        return policy_to_dict(policy)

    @model_serializer(mode="wrap")
    def custom_model_dump(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Return core's form without the key and with the URL, for `from_dict`."""
        dumped = {**handler(self), "base_url": self.hub.base_url, "class_name": self.class_name()}
        dumped.pop("api_key", None)
        return dumped


def request_of(
    own: Mapping[str, Any], kwargs: Mapping[str, Any], wire: list[dict[str, Any]], *, stream: bool = False
) -> ChatRequest:
    """Return the body of a chat completion and the options of the call.

    Args:
        own: the model's fields.
        kwargs: the parameters of this call, which win over the fields.
        wire: the messages as the wire has them.
        stream: whether the answer is streamed.

    Raises:
        ConfigurationError: a parameter is unknown, or cannot be sent.
    """
    call = read_call(kwargs, where="A call of Hubmix")
    if call.get("tools"):
        call["tools"] = wire_tools(call["tools"])
    request = chat_request(own, call, wire, streamed=stream, on_attempt=failover_reporter(own["model"]))
    if (wanted := request.body.get("response_format")) is not None:
        request.body["response_format"] = response_format(wanted)
    return request
