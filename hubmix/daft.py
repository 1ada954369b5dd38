"""A hub inside Daft: `prompt` and `embed_text` over data frames.

    import daft
    from daft.functions import embed_text, prompt
    from hubmix.daft import attach

    attach()                                    # "hubmix" is now a provider of this session
    df = df.with_column("answer", prompt(daft.col("text"), provider="hubmix", model="gpt-4o-mini"))

Needs the extra `daft`. The key does not travel: a worker reads the environment variable that the driver read, so set it
on the workers too. Only a key that was given in the code goes along with the query.

What limits the rate: Daft asks for many rows of a batch at once, and `Hub(rate_limit=…)` bounds the requests of one
process. Each worker of a cluster is a process of its own: `SharedRateLimit` with Redis bounds them together.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hubmix.errors import ConfigurationError, RefusalError, StructuredOutputError
from hubmix.failover.options import CallOptions
from hubmix.hub.hub import Hub
from hubmix.wire.media import media_part
from hubmix.wire.parameters import REQUEST_PARAMETERS, normalize_names, reject_unknown

try:
    import daft
    from daft.ai.protocols import Prompter, PrompterDescriptor, TextEmbedder, TextEmbedderDescriptor
    from daft.ai.provider import Provider
    from daft.ai.typing import EmbeddingDimensions, UDFOptions
except ImportError as error:
    raise ImportError(f'hubmix.daft needs Daft ({error}). Install it with: pip install "hubmix[daft]"') from error

if TYPE_CHECKING:
    from daft.ai.typing import Options
    from pydantic import BaseModel

    from hubmix.wire import Reply, Usage

__all__ = ["HubmixProvider", "attach"]

# Daft's own, about how it runs the function; what else is given is ours.
_UDF_OPTIONS = frozenset({"concurrency", "num_gpus", "max_retries", "on_error", "batch_size"})
_CALL_OPTIONS = frozenset({"fallbacks", "policy", "timeout", "total_timeout", "headers", "extra_body"})
_TEXTS_AT_ONCE = 64
_BATCHES_AT_ONCE = 4


def attach(hub: Hub | str | None = None, *, name: str = "hubmix") -> HubmixProvider:
    """Make a hub a provider of the current Daft session, replacing its namesake.

    Args:
        hub: the hub, or the name of a preset; left out, the environment decides.
        name: what `provider=` calls it.

    Returns:
        The provider, which `provider=` takes as well.

    Example:
        ```python
        from hubmix.daft import attach

        attach()
        ```
    """
    provider = HubmixProvider(hub, name=name)
    if daft.current_session().has_provider(name):
        daft.detach_provider(name)
    daft.attach_provider(provider)
    return provider


class HubmixProvider(Provider):
    """A hub as a provider of Daft.

    `prompt(…)` takes, besides Daft's own arguments, every parameter of a chat completion (temperature, max_tokens, …)
    and `fallbacks`, `policy`, `timeout`, `total_timeout`, `headers`, `extra_body`. With `return_format`, a pydantic
    class, the column holds its fields. Retries are the failover policy's; Daft makes none of its own. `on_error` is
    Daft's: "raise", "log" or "ignore" (a row that failed is null).

    Args:
        hub: the hub, or the name of a preset; left out, the environment decides.
        name: what `provider=` calls it.
    """

    def __init__(self, hub: Hub | str | None = None, *, name: str = "hubmix") -> None:
        self._hub = hub if isinstance(hub, Hub) else Hub(hub)
        self._name = name

    @property
    def name(self) -> str:
        """What `provider=` calls it."""
        return self._name

    def get_prompter(
        self,
        model: str | None = None,
        return_format: Any | None = None,
        system_message: str | None = None,
        **options: Any,
    ) -> PrompterDescriptor:
        """What Daft sends to its workers for `prompt`."""
        if not model:
            raise ConfigurationError("prompt needs a model ID: model='gpt-4o-mini'.")
        self._hub.require_key()
        udf, call, body = _sorted_options(options, REQUEST_PARAMETERS, where="prompt")
        return HubmixPrompterDescriptor(self._hub, self._name, model, udf, body, call, system_message, return_format)

    def get_text_embedder(
        self, model: str | None = None, dimensions: int | None = None, **options: Any
    ) -> TextEmbedderDescriptor:
        """What Daft sends to its workers for `embed_text`.

        Without `dimensions` one word is embedded here, once, to see how long the vectors are.
        """
        if not model:
            raise ConfigurationError("embed_text needs a model ID: model='text-embedding-3-small'.")
        self._hub.require_key()
        udf, call, body = _sorted_options(options, {"user"}, where="embed_text")
        asked = CallOptions(**call)
        size = dimensions
        if size is None:
            reply = self._hub.embed({"model": model, "input": ["size"], **body}, asked)
            size = len(reply.vectors[0])
        else:
            body["dimensions"] = size
        return HubmixTextEmbedderDescriptor(self._hub, self._name, model, udf, body, asked, size)


def _sorted_options(
    given: Mapping[str, Any], parameters: frozenset[str] | set[str], *, where: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    named = normalize_names(given, parameters)
    reject_unknown(named, parameters | _UDF_OPTIONS | _CALL_OPTIONS, where=where)
    udf = {name: value for name, value in named.items() if name in _UDF_OPTIONS}
    call = {name: value for name, value in named.items() if name in _CALL_OPTIONS}
    if isinstance(call.get("fallbacks"), list):
        call["fallbacks"] = tuple(call["fallbacks"])
    return udf, call, {name: value for name, value in named.items() if name in parameters}


@dataclass
class _Descriptor:
    """What Daft sends to its workers: no connections, and no key from the environment."""

    hub: Hub
    provider_name: str
    model_name: str
    udf: dict[str, Any]
    body: dict[str, Any]

    def get_provider(self) -> str:
        return self.provider_name

    def get_model(self) -> str:
        return self.model_name

    def get_udf_options(self) -> UDFOptions:
        # The run over the routes retries; a second layer of retries would multiply them.
        return UDFOptions(**{"on_error": "raise", **self.udf, "max_retries": 0})


# ----------------------------------------------------------------------------------------------------------- prompt


@dataclass
class HubmixPrompterDescriptor(_Descriptor, PrompterDescriptor):
    """A prompter as Daft sends it to workers."""

    call: dict[str, Any]
    system_message: str | None
    return_format: type[BaseModel] | None

    def get_options(self) -> Options:
        return {**self.udf, **self.call, **self.body}

    def instantiate(self) -> Prompter:
        return HubmixPrompter(self)


class HubmixPrompter(Prompter):
    """Asks for one row at a time; Daft awaits many of them at once."""

    def __init__(self, descriptor: HubmixPrompterDescriptor) -> None:
        self._descriptor = descriptor
        self._options = CallOptions(**descriptor.call)
        self._format = descriptor.return_format
        self._body = dict(descriptor.body)
        if self._format is not None:
            self._body["response_format"] = response_format(self._format)

    async def prompt(self, messages: tuple[Any, ...]) -> Any:
        """Return the answer to one row; None for a row of nothing but null.

        Raises:
            RefusalError: the model refused where an object was asked for.
            StructuredOutputError: the answer does not fit `return_format`.
        """
        content = [_part(piece) for piece in messages if piece is not None]
        if not content:
            return None
        asked = self._descriptor
        system = [{"role": "system", "content": asked.system_message}] if asked.system_message else []
        # One text as a plain string: not every vendor behind a hub takes parts.
        said = content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content
        payload = {"model": asked.model_name, "messages": [*system, {"role": "user", "content": said}], **self._body}
        reply = await asked.hub.achat(payload, self._options)
        _count("prompt", asked.provider_name, reply.served or asked.model_name, reply.usage)
        return reply.text if self._format is None else _object(self._format, reply)


def response_format(shape: type[BaseModel]) -> dict[str, Any]:
    """Return the `response_format` for a pydantic class, strict if its schema allows."""
    import openai

    schema: dict[str, Any] = dict(openai.pydantic_function_tool(shape)["function"]["parameters"])
    strict = _is_closed(schema)
    if not strict:
        schema = shape.model_json_schema()
    return {"type": "json_schema", "json_schema": {"name": shape.__name__[:64], "schema": schema, "strict": strict}}


def _is_closed(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(map(_is_closed, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    return all(map(_is_closed, schema.values()))


def _object(shape: type[BaseModel], reply: Reply) -> BaseModel:
    who = f"{reply.served} (request id {reply.request_id})"
    if reply.refusal:
        raise RefusalError(f"{who} refused: {reply.refusal}", model=reply.served, request_id=reply.request_id)
    try:
        return shape.model_validate_json(reply.text)
    except ValueError as error:
        cut = " It was cut off by max_tokens: allow more." if reply.finish_reason == "length" else ""
        raise StructuredOutputError(
            f"The answer of {who} is no {shape.__name__}: {error}.{cut}",
            model=reply.served,
            request_id=reply.request_id,
        ) from error


def _part(piece: Any) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"type": "text", "text": piece}
    if isinstance(piece, (bytes, bytearray)):
        return _media(bytes(piece), "file", "")
    if isinstance(piece, daft.File):
        with piece.open() as opened:
            data = opened.read()
        return _media(data if isinstance(data, bytes) else data.encode(), piece.name, piece.mime_type())
    if hasattr(piece, "__array_interface__"):
        return _media(_png(piece), "image.png", "image/png")
    raise ConfigurationError(
        f"prompt takes text, bytes, files and images, not {type(piece).__name__}; cast the column to one of them."
    )


def _media(data: bytes, name: str, kind: str) -> dict[str, Any]:
    # A kind that was only guessed from an unknown name says nothing; the first bytes may.
    part = media_part(data, name=name, kind="" if kind == "application/octet-stream" else kind)
    if part is None:
        raise ConfigurationError(
            f"{name} ({len(data)} bytes) is neither an image, a PDF, a WAV or MP3 sound nor UTF-8 text, and models "
            "take nothing else."
        )
    return part


def _png(pixels: Any) -> bytes:
    try:
        image = import_module("PIL.Image")
    except ImportError as error:
        raise ImportError("Images in prompt need Pillow: pip install pillow") from error
    made = io.BytesIO()
    image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


# ------------------------------------------------------------------------------------------------------- embed_text


@dataclass
class HubmixTextEmbedderDescriptor(_Descriptor, TextEmbedderDescriptor):
    """A text embedder as Daft sends it to workers."""

    options: CallOptions
    size: int

    def get_options(self) -> Options:
        return {**self.udf, **self.body}

    def get_dimensions(self) -> EmbeddingDimensions:
        return EmbeddingDimensions(size=self.size, dtype=daft.DataType.float32())

    def is_async(self) -> bool:
        return True

    def instantiate(self) -> TextEmbedder:
        return HubmixTextEmbedder(self)


class HubmixTextEmbedder(TextEmbedder):
    """Embeds a batch of rows, 64 texts to a request and four requests at once."""

    def __init__(self, descriptor: HubmixTextEmbedderDescriptor) -> None:
        self._descriptor = descriptor

    async def embed_text(self, text: list[str]) -> list[Any]:
        """A vector for each text; null stays null."""
        gate = asyncio.Semaphore(_BATCHES_AT_ONCE)
        known = [one for one in text if one is not None]
        batches = [known[start : start + _TEXTS_AT_ONCE] for start in range(0, len(known), _TEXTS_AT_ONCE)]
        found = await asyncio.gather(*(self._embed(batch, gate) for batch in batches))
        vectors = iter([vector for batch in found for vector in batch])
        return [None if one is None else next(vectors) for one in text]

    async def _embed(self, batch: Sequence[str], gate: asyncio.Semaphore) -> list[Any]:
        asked = self._descriptor
        async with gate:
            reply = await asked.hub.aembed(
                {"model": asked.model_name, "input": list(batch), **asked.body}, asked.options
            )
        _count("embed", asked.provider_name, asked.model_name, reply.usage)
        return reply.vectors


def _count(protocol: str, provider: str, model: str, usage: Usage | None) -> None:
    """Add the tokens to what Daft counts for the query."""
    from daft.ai.metrics import record_token_metrics

    if usage is None:
        return
    record_token_metrics(
        protocol=protocol,
        model=model,
        provider=provider,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
    )
