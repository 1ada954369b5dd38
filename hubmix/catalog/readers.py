"""One reader for each dialect of model list. A reader is pure: JSON as it came in, what it says of each model out, and
no field for what it does not say.

The lists are written by people: entries are null, numbers are text, lists are comma-separated text (or the other way
round), 0 stands for "unknown", ids come twice. Nothing of that is an error here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from hubmix.catalog.models import CAPABILITIES, Pricing

# Model id -> the fields of ModelInfo that the source knows, and under "raw" its entry as it came.
Entries = dict[str, dict[str, Any]]

_KIND_OF_TYPE = {
    **dict.fromkeys(("llm", "t2t", "chat", "text", "ocr", "search"), "chat"),
    **dict.fromkeys(("embedding", "embeddings"), "embedding"),
    **dict.fromkeys(("rerank", "reranking", "reranker"), "rerank"),
    **dict.fromkeys(("image_generation", "image", "t2i", "i2i"), "image"),
    **dict.fromkeys(("video", "video_generation", "t2v", "i2v"), "video"),
    **dict.fromkeys(("tts", "stt", "audio", "speech"), "audio"),
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
# The last resort, for hubs that say no more than an id: words that are there by themselves, and not inside others.
_KIND_OF_WORD = {
    **dict.fromkeys(("rerank", "reranker"), "rerank"),
    **dict.fromkeys(("embed", "embedding", "embeddings", "bge"), "embedding"),
    **dict.fromkeys(("whisper", "tts", "stt"), "audio"),
    **dict.fromkeys(("dall", "image", "imagen", "flux", "diffusion"), "image"),
    **dict.fromkeys(("sora", "veo"), "video"),
}
_WORD = re.compile(r"[a-z]+")
_QUOTA_PER_CALL = 1
_ABSURD = 10**9  # tokens; no window is that large, and a plot or a sum should not have to cope with one
_BEYOND = 10**12
_BELOW = Decimal("1e-12")
_EXACT = Context(prec=12)  # digits of a product of ratios, of which each is a float of 15 to 17
_LONGEST_NUMBER = 64  # characters; "1e-999999" is short, and a million digits when it is printed
_USD_PER_RATIO = Decimal(
    2
)  # New API: 500,000 quota units are 1 USD, and ratio 1 is 1 unit a token: 2 USD per 1M tokens.


def read_aihubmix(payload: Any) -> Entries:
    """AIHubMix `GET /api/v1/models`: prices in USD per 1M tokens (its page says 1K and is wrong: gpt-5 is 1.25 / 10),
    comma-separated words, 0 for unknown lengths.

    Source: docs.aihubmix.com, en/api/Models-API.
    """
    entries: Entries = {}
    for item in _items(payload):
        model = _text(item.get("model_id")) or _text(item.get("id"))
        if not model:
            continue
        types, features = _words(item.get("types") or item.get("type")), _words(item.get("features"))
        modalities, endpoints = (
            _words(item.get("input_modalities") or item.get("modalities")),
            _words(item.get("endpoints")),
        )
        kind = _kind_of_types(types)
        _put(
            entries,
            model,
            item,
            name=_text(item.get("model_name")),
            owner=_text(item.get("developer_name")) or _text(item.get("developer")),
            kind=kind,
            context_window=_count(item.get("context_length")),
            max_output_tokens=_count(item.get("max_output")),
            input_modalities=modalities,
            features=features,
            pricing=_aihubmix_pricing(item.get("pricing"), kind),
            endpoints=endpoints,
            description=_text(item.get("desc")) or _text(item.get("description")),
            **_abilities(features, modalities),
        )
    return entries


def read_new_api(payload: Any) -> Entries:
    """New API `GET /api/pricing`: prices as ratios, no lengths, no capabilities.

    Input is model_ratio x 2 x group_ratio USD per 1M tokens, output x completion_ratio, cached x cache_ratio;
    quota_type 1 is a flat price per call. Source: QuantumNous/new-api, model/pricing.go.
    """
    groups = _mapping(payload.get("group_ratio")) if isinstance(payload, Mapping) else {}
    named = [item for item in _list(payload, "vendors") if isinstance(item.get("id"), int)]
    vendors = {item["id"]: _text(item.get("name")) for item in named}
    entries: Entries = {}
    for item in _items(payload):
        model = _text(item.get("model_name"))
        if not model:
            continue
        owner = vendors.get(item.get("vendor_id")) if isinstance(item.get("vendor_id"), int) else None
        _put(
            entries,
            model,
            item,
            owner=owner or _text(item.get("owner_by")),
            pricing=_new_api_pricing(item, _group_ratio(item, groups)),
            endpoints=_words(item.get("supported_endpoint_types")),
            description=_text(item.get("description")),
        )
    return entries


def read_openai(payload: Any) -> Entries:
    """OpenAI `GET /v1/models`: which ids this key may call, and little else. `created` is a constant on these gateways
    and is not read.
    """
    entries: Entries = {}
    for item in _items(payload):
        model = _text(item.get("id"))
        if not model:
            continue
        owner = _text(item.get("owned_by"))
        # "custom" and "advanced_custom" are kinds of channel, not vendors.
        owner = None if owner and "custom" in owner.lower() else owner
        _put(entries, model, item, owner=owner, endpoints=_words(item.get("supported_endpoint_types")), available=True)
    return entries


def guess_kind(model: str, endpoints: Iterable[str]) -> tuple[str, str | None]:
    """The kind of a model whose hub does not name one, and what it was guessed from: "endpoints", "id", or None for the
    default, chat.
    """
    named = tuple(endpoints)
    kinds = {_KIND_OF_ENDPOINT[word] for word in named if word in _KIND_OF_ENDPOINT}
    if len(kinds) == 1 and not _CHAT_ENDPOINTS.intersection(named):
        return kinds.pop(), "endpoints"
    words = _WORD.findall(model.rpartition("/")[2].lower())
    # "bge-reranker-v2" is a reranker: the table's order decides, not the name's.
    for word, kind in _KIND_OF_WORD.items():
        if word in words:
            return kind, "id"
    return "chat", None


def _put(entries: Entries, model: str, item: Mapping[str, Any], **known: Any) -> None:
    """Keep what is known; where an id comes twice the first one wins, field by field."""
    entry = entries.setdefault(model, {"raw": item})
    for name, value in known.items():
        if value is not None and value != () and name not in entry:
            entry[name] = value


@lru_cache(maxsize=1024)
def _abilities(features: tuple[str, ...], modalities: tuple[str, ...]) -> Mapping[str, bool | None]:
    # Tool support is `tools` OR `function_calling`: asking for both hides a third of the models. An empty list says
    # nothing, it does not say "no".
    found: dict[str, bool | None] = {
        name: any(word in features for word in CAPABILITIES[name]) if features else None
        for name in ("tools", "reasoning", "structured_output")
    }
    for name, modality in (("vision", "image"), ("audio", "audio"), ("pdf", "pdf")):
        found[name] = modality in modalities if modalities else None
    return found


def _kind_of_types(types: tuple[str, ...]) -> str | None:
    kinds = [_KIND_OF_TYPE[word] for word in types if word in _KIND_OF_TYPE]
    return "chat" if "chat" in kinds else next(iter(kinds), None)


def _aihubmix_pricing(value: Any, kind: str | None) -> Pricing | None:
    prices = _mapping(value)
    pricing = Pricing(
        input=number(prices.get("input")),
        output=number(prices.get("output")),
        cache_read=number(prices.get("cache_read")),
        cache_write=number(prices.get("cache_write")),
    )
    # Pictures, films and speech are not sold by the token: a 0 there is an empty cell, not a gift.
    if not pricing.known or (pricing.free and kind in ("image", "audio", "video")):
        return None
    return pricing


def _new_api_pricing(item: Mapping[str, Any], group: Decimal) -> Pricing | None:
    if item.get("quota_type") == _QUOTA_PER_CALL:
        price = number(item.get("model_price"))
        price = None if price is None else _price(price * group)
        return None if price is None else Pricing(per_call=price)
    ratio = number(item.get("model_ratio"))
    base = None if ratio is None else _price(ratio * _USD_PER_RATIO * group)
    if base is None:
        return None
    audio = _times(base, item.get("audio_ratio"))
    return Pricing(
        input=base,
        output=_times(base, item.get("completion_ratio")),
        cache_read=_times(base, item.get("cache_ratio")),
        cache_write=_times(base, item.get("create_cache_ratio")),
        audio_input=audio,
        audio_output=None if audio is None else _times(audio, item.get("audio_completion_ratio")),
    )


def _group_ratio(item: Mapping[str, Any], groups: Mapping[str, Any]) -> Decimal:
    # The list does not say which group the key is in. "default" is where keys are unless somebody moved them; a model
    # closed to it is priced as its first group.
    enabled = (
        [name for name in item.get("enable_groups") or () if isinstance(name, str)]
        if isinstance(item.get("enable_groups"), list)
        else []
    )
    for name in ("default", *enabled) if not enabled or "default" in enabled or "all" in enabled else enabled:
        ratio = number(groups.get(name))
        if ratio is not None:
            return ratio
    return Decimal(1)


def _times(base: Decimal, ratio: Any) -> Decimal | None:
    factor = number(ratio)
    return None if factor is None else _price(base * factor)


def _price(amount: Decimal) -> Decimal | None:
    # Each ratio may be a number that one would believe, and their product none. A hub writes 2.5 / 0.3 as
    # 8.333333333333334: the last of its digits are not the price's.
    return tidy(_EXACT.plus(amount)) if amount < _BEYOND else None


def tidy(amount: Decimal) -> Decimal:
    """The same number without trailing zeros and without a positive exponent: 0.150 is 0.15, 1E+1 is 10."""
    short = amount.normalize()
    exponent = short.as_tuple().exponent
    return Decimal(int(short)) if isinstance(exponent, int) and exponent > 0 else short


def _items(payload: Any) -> Iterable[Mapping[str, Any]]:
    return _list(payload, "data") if isinstance(payload, Mapping) else _list({"data": payload}, "data")


def _list(payload: Any, name: str) -> list[Mapping[str, Any]]:
    value = payload.get(name) if isinstance(payload, Mapping) else None
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _words(value: Any) -> tuple[str, ...]:
    """Comma-separated text or a list of it, as lower-case words in their order, each once."""
    if isinstance(value, str):
        return _split(value)
    return _clean(value) if isinstance(value, (list, tuple)) else ()


# A list of a thousand models has a few dozen different texts in these columns.
@lru_cache(maxsize=1024)
def _split(text: str) -> tuple[str, ...]:
    return _clean(text.split(","))


def _clean(words: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip().lower() for word in words if isinstance(word, str) and word.strip()))


def _count(value: Any) -> int | None:
    """A number of tokens; 0, negative numbers and anything that is no number mean unknown."""
    amount = value if type(value) is int else number(value)  # nearly all of them are, and there are thousands
    return int(amount) if amount and 0 < amount < _ABSURD else None


def number(value: Any) -> Decimal | None:
    """A number that is not negative, exactly as it was written; None for anything else.

    -1 is how some lists write "it depends", and what is beyond or below all prices and windows is a broken cell.
    """
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float):
        # repr is the shortest text that reads back as the same float, which is what the hub wrote.
        value = repr(value)
    elif isinstance(value, str):
        value = value.strip().replace(",", "").lstrip("$")
    elif not isinstance(value, int):
        return None
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and (amount == 0 or _BELOW <= amount < _BEYOND) else None
