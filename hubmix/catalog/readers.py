"""One reader for each dialect of model list. Pure: JSON in, facts of models out.

A reader leaves out every field that its list does not say. Ids may come twice; the first one wins, field by field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from hubmix.catalog.cells import count, flag, items, mapping, moment, text, words
from hubmix.catalog.models import CAPABILITIES
from hubmix.catalog.prices import (
    aihubmix_pricing,
    litellm_pricing,
    new_api_groups,
    new_api_pricing,
    one_hub_groups,
    one_hub_pricing,
)

# Model id -> the fields of ModelInfo that the source knows, its entry under "raw", and under "groups" the ratios.
Entries = dict[str, dict[str, Any]]

_KIND_OF_TYPE = {
    **dict.fromkeys(("llm", "t2t", "chat", "text", "ocr", "search", "completion", "responses"), "chat"),
    **dict.fromkeys(("embedding", "embeddings"), "embedding"),
    **dict.fromkeys(("rerank", "reranking", "reranker"), "rerank"),
    **dict.fromkeys(("image_generation", "image_edit", "image", "t2i", "i2i"), "image"),
    **dict.fromkeys(("video", "video_generation", "t2v", "i2v"), "video"),
    **dict.fromkeys(("tts", "stt", "audio", "speech", "audio_speech", "audio_transcription"), "audio"),
}
# Endpoints that say what a model is for. The chat endpoints do not: a gateway names them for every model it has no
# better word for.
_KIND_OF_ENDPOINT = {
    "embeddings": "embedding",
    "jina-rerank": "rerank",
    "rerank": "rerank",
    "image_generation": "image",
    "image-generation": "image",
    "openai-video": "video",
    "videos": "video",
    "audio": "audio",
}
_CHAT_ENDPOINTS = frozenset(
    {"chat_completions", "responses", "claude_api", "gemini_api", "anthropic", "gemini", "openai-response"}
)
# The last resort, for hubs that say no more than an id: words that stand by themselves, and not inside others.
_KIND_OF_WORD = {
    **dict.fromkeys(("rerank", "reranker"), "rerank"),
    **dict.fromkeys(("embed", "embedding", "embeddings", "bge"), "embedding"),
    **dict.fromkeys(("whisper", "tts", "stt"), "audio"),
    **dict.fromkeys(("dall", "image", "imagen", "flux", "diffusion"), "image"),
    **dict.fromkeys(("sora", "veo"), "video"),
}
_WORD = re.compile(r"[a-z]+")
# The names of our own APIs; any other endpoint keeps the hub's word.
_API_OF_ENDPOINT = {
    **dict.fromkeys(("chat_completions", "openai", "chat", "completion"), "chat"),
    **dict.fromkeys(("responses", "openai-response"), "responses"),
    **dict.fromkeys(("claude_api", "anthropic"), "messages"),
    **dict.fromkeys(("embeddings", "embedding"), "embeddings"),
    **dict.fromkeys(("rerank", "jina-rerank"), "rerank"),
}
_ROUTER = "auto"  # AIHubMix's own router, also with a policy: "auto:balanced"
_NOBODY = frozenset({"", "未知", "unknown"})  # "未知" is one-hub's "unknown"


def is_router(model: str) -> bool:
    """Whether an id names the hub's own router, which lets another model answer."""
    return model == _ROUTER or model.startswith(f"{_ROUTER}:")


def _kind_of_types(types: Any) -> str | None:
    kinds = [_KIND_OF_TYPE[word] for word in words(types) if word in _KIND_OF_TYPE]
    return "chat" if "chat" in kinds else next(iter(kinds), None)


# A cell of AIHubMix's rows, the field that it fills, and how it is read.
_Cells = Mapping[str, tuple[str, Callable[[Any], Any]]]
_AIHUBMIX: _Cells = {
    "model_name": ("name", text),
    "developer_name": ("owner", text),
    "types": ("kind", _kind_of_types),
    "context_length": ("context_window", count),
    "max_output": ("max_output_tokens", count),
    "input_modalities": ("input_modalities", words),
    "output_modalities": ("output_modalities", words),
    "features": ("features", words),
    "endpoints": ("endpoints", words),
    "desc": ("description", text),
    "promotion": ("promotion", text),
    "reasoning_options": ("reasoning_options", words),
    "retire_stage": ("retire_stage", text),
    "deprecated_at": ("deprecated_at", moment),
    "retired_at": ("retired_at", moment),
    "successor_model": ("successor", text),
}
# Other names of the same cells; they count if the first one says nothing.
_AIHUBMIX_ALSO: _Cells = {
    "developer": ("owner", text),
    "vendor": ("owner", text),
    "type": ("kind", _kind_of_types),
    "modalities": ("input_modalities", words),
    "description": ("description", text),
}


def read_aihubmix(payload: Any) -> Entries:
    """Read AIHubMix's `GET /api/v1/models`.

    Prices are USD per 1M tokens (its page says 1K and is wrong: gpt-5 is 1.25 / 10), and an empty `endpoints` means
    chat completions. Source: docs.aihubmix.com, en/api/Models-API, and its generator of model lists.
    """
    entries: Entries = {}
    for item in items(payload):
        model = text(item.get("model_id")) or text(item.get("id"))
        if not model:
            continue
        known: dict[str, Any] = {}
        for cell, written in item.items():  # a row has a dozen of them
            if written and (rule := _AIHUBMIX.get(cell)) is not None:
                name, read = rule
                known[name] = read(written)
        for cell, (name, read) in _AIHUBMIX_ALSO.items():
            if cell in item and not known.get(name):
                known[name] = read(item[cell])
        known.update(_abilities(known.get("features") or (), known.get("input_modalities") or ()))
        for name, cell in (("tools", "tool_call"), ("reasoning", "reasoning")):
            if (said := flag(item.get(cell))) is not None and not known.get(name):
                known[name] = said
        kind = known.get("kind")
        known["apis"] = _apis(known.get("endpoints") or (("chat_completions",) if kind in (None, "chat") else ()))
        known["pricing"] = _aihubmix_pricing(model, item, kind)
        _put(entries, model, item, **known)
    return entries


def _aihubmix_pricing(model: str, item: Mapping[str, Any], kind: str | None) -> Any:
    pricing = aihubmix_pricing(item.get("pricing"))
    # Pictures, films and speech are not sold by the token, and the router is billed as the model that it chose: a 0
    # there is an empty cell, not a gift.
    if kind in ("image", "audio", "video") or is_router(model):
        return None if pricing is not None and pricing.free else pricing
    return pricing


def read_new_api(payload: Any) -> Entries:
    """Read New API's `GET /api/pricing`: prices as ratios, no windows or abilities."""
    page = mapping(payload)
    named = [item for item in items(page, "vendors") if isinstance(item.get("id"), int)]
    vendors = {item["id"]: text(item.get("name")) for item in named}
    entries: Entries = {}
    for item in items(payload):
        model = text(item.get("model_name"))
        if not model:
            continue
        owner = vendors.get(item.get("vendor_id")) if isinstance(item.get("vendor_id"), int) else None
        endpoints = words(item.get("supported_endpoint_types"))
        _put(
            entries,
            model,
            item,
            owner=owner or text(item.get("owner_by")),
            pricing=new_api_pricing(item),
            groups=new_api_groups(item, page),
            endpoints=endpoints,
            apis=_apis(endpoints),
            description=text(item.get("description")),
        )
    return entries


def read_one_hub(payload: Any) -> Entries:
    """Read one-hub's `GET /api/available_model` and `/api/user_group_map`."""
    pages = payload if isinstance(payload, list) else [payload]
    ratios = mapping(mapping(pages[1]).get("data")) if len(pages) > 1 else {}
    entries: Entries = {}
    for model, item in mapping(mapping(pages[0] if pages else None).get("data")).items():
        if isinstance(item, Mapping) and model.strip():
            pricing, groups = one_hub_pricing(item.get("price")), one_hub_groups(item.get("groups"), ratios)
            _put(entries, model, item, owner=_owner(item.get("owned_by")), pricing=pricing, groups=groups)
    return entries


def read_litellm(payload: Any) -> Entries:
    """Read LiteLLM's `GET /model/info`: windows, abilities, and USD for one token."""
    entries: Entries = {}
    for item in items(payload):
        model, info = text(item.get("model_name")), mapping(item.get("model_info"))
        if not model:
            continue
        mode = words(info.get("mode"))
        _put(
            entries,
            model,
            item,
            owner=_owner(info.get("litellm_provider")),
            kind=_kind_of_types(mode),
            apis=_apis(mode),
            context_window=count(info.get("max_input_tokens")),
            max_output_tokens=count(info.get("max_output_tokens")),
            tools=flag(info.get("supports_function_calling")),
            vision=flag(info.get("supports_vision")),
            audio=flag(info.get("supports_audio_input")),
            pdf=flag(info.get("supports_pdf_input")),
            reasoning=flag(info.get("supports_reasoning")),
            structured_output=flag(info.get("supports_response_schema")),
            pricing=litellm_pricing(info),
        )
    return entries


def read_openai(payload: Any) -> Entries:
    """Read OpenAI's `GET /v1/models`: which ids this key may call.

    Some gateways add windows and modes.

    `created` is a constant on these gateways and is not read.
    """
    entries: Entries = {}
    for item in items(payload):
        model = text(item.get("id"))
        if not model:
            continue
        owner = _owner(item.get("owned_by"))
        endpoints, mode = words(item.get("supported_endpoint_types")), words(item.get("mode"))
        windows = (count(item.get(name)) for name in ("max_input_tokens", "context_length", "context_window"))
        _put(
            entries,
            model,
            item,
            # "custom" and "advanced_custom" are kinds of channel, not vendors.
            owner=None if owner and "custom" in owner.lower() else owner,
            kind=_kind_of_types(mode),
            context_window=next((window for window in windows if window is not None), None),
            max_output_tokens=count(item.get("max_output_tokens")),
            endpoints=endpoints,
            apis=_apis((*endpoints, *mode)),
            available=True,
        )
    return entries


def guess_kind(model: str, endpoints: Iterable[str]) -> tuple[str, str | None]:
    """Guess the kind of a model whose hub does not name one.

    Returns:
        The kind, and what it was guessed from: "endpoints", "id", or None for the default, chat.
    """
    named = tuple(endpoints)
    kinds = {_KIND_OF_ENDPOINT[word] for word in named if word in _KIND_OF_ENDPOINT}
    if len(kinds) == 1 and not _CHAT_ENDPOINTS.intersection(named):
        return kinds.pop(), "endpoints"
    found = _WORD.findall(model.rpartition("/")[2].lower())
    # "bge-reranker-v2" is a reranker: the table's order decides, not the name's.
    for word, kind in _KIND_OF_WORD.items():
        if word in found:
            return kind, "id"
    return "chat", None


def _put(entries: Entries, model: str, item: Mapping[str, Any], **known: Any) -> None:
    """Keep what is known; if an id comes twice, the first one wins, field by field."""
    # An empty list says nothing; False does.
    told = {name: value for name, value in known.items() if value or value is False}
    entries[model] = {"raw": item, **told, **entries.get(model, {})}


def _owner(value: Any) -> str | None:
    owner = text(value)
    return None if owner is None or owner.lower() in _NOBODY else owner


@lru_cache(maxsize=1024)
def _apis(endpoints: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_API_OF_ENDPOINT.get(word, word) for word in endpoints)


@lru_cache(maxsize=1024)
def _abilities(features: tuple[str, ...], modalities: tuple[str, ...]) -> Mapping[str, bool]:
    # Tool support is `tools` OR `function_calling`: asking for both hides a third of the models. An empty list says
    # nothing, it does not say "no".
    found: dict[str, bool] = {}
    if features:
        for name in ("tools", "reasoning", "structured_output"):
            found[name] = any(word in features for word in CAPABILITIES[name])
    if modalities:
        for name, modality in (("vision", "image"), ("audio", "audio"), ("pdf", "pdf")):
            found[name] = modality in modalities
    return found
