"""The values of the catalog: models, and the state of a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from hubmix._html import line, table
from hubmix.catalog.pricing import Pricing

KINDS = ("chat", "embedding", "rerank", "image", "audio", "video")

# What `supports=` and `ModelInfo.supports` understand: a capability and the names hubs give it.
CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    "tools": ("tools", "function_calling"),
    "vision": ("vision",),
    "audio": ("audio",),
    "pdf": ("pdf",),
    "reasoning": ("thinking", "reasoning"),
    "structured_output": ("structured_outputs", "structured_output"),
}
_SHORT = {"structured_output": "structured"}
# What hubs write into `retire_stage`; a word that is in neither is taken as "not yet".
_GONE, _GOING = ("retired", "removed", "offline"), ("retiring", "deprecat", "sunset")
_OURS = frozenset({"chat", "responses", "messages", "embeddings", "rerank"})
_CAPABILITY_OF = {word: name for name, words in CAPABILITIES.items() for word in (name, *words)}


@dataclass(frozen=True, slots=True, repr=False)
class ModelInfo:
    """What a hub says of one of its models.

    A value of None means "the hub does not say", which is a third value: metadata advises and never blocks a call (a
    window of 163,800 was once published as 1,638,000).

    Attributes:
        id: what to put into `model=`; opaque, with any of `/`, `:`, `.` and upper case.
        name: a name for people; the id if the hub gives none.
        owner: the vendor, or None.
        kind: chat, embedding, rerank, image, audio or video.
        context_window, max_output_tokens: in tokens.
        input_modalities, output_modalities: text, image, audio, video, pdf; empty if not known.
        features: the hub's own words, lower case.
        tools, vision, audio, pdf, reasoning, structured_output: True, False or None.
        pricing: USD, or None.
        endpoints: which of the hub's endpoints serve it, in the hub's words.
        apis: the same in our words: "chat", "responses", "messages", "embeddings", "rerank", or the hub's own word for
            any other; empty if not known.
        available: whether this key's own list has it; None if that list could not be read.
        reasoning_options: the hub's words for its reasoning settings.
        promotion: the hub's words for a special offer.
        retire_stage: the hub's word for where it is on its way out; None if it is not.
        deprecated_at, retired_at: when it was, or will be, deprecated and retired.
        successor: the id that follows it.
        raw: each source's entry as it came.
        source: which source each field came from: user, aihubmix, new-api, openai, or "id" for a guess from the id.

    Example:
        ```python
        hub.models.get("gpt-5").context_window  # 400000
        ```
    """

    id: str
    name: str = ""
    owner: str | None = None
    kind: str = "chat"
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    pdf: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    pricing: Pricing | None = None
    endpoints: tuple[str, ...] = ()
    description: str | None = None
    available: bool | None = None
    output_modalities: tuple[str, ...] = ()
    apis: frozenset[str] = frozenset()
    reasoning_options: tuple[str, ...] = ()
    promotion: str | None = None
    retire_stage: str | None = None
    deprecated_at: datetime | None = None
    retired_at: datetime | None = None
    successor: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)
    source: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def input_price(self) -> Decimal | None:
        """USD per 1,000,000 input tokens, or None."""
        return self.pricing.input if self.pricing else None

    @property
    def output_price(self) -> Decimal | None:
        """USD per 1,000,000 output tokens, or None."""
        return self.pricing.output if self.pricing else None

    @property
    def free(self) -> bool | None:
        """Whether calls cost nothing; None if the price is not known."""
        return self.pricing.free if self.pricing else None

    @property
    def retired(self) -> bool:
        """Whether the hub does not serve it any more."""
        gone = self.retired_at is not None and self.retired_at <= datetime.now(timezone.utc)
        return gone or (self.retire_stage or "").lower().startswith(_GONE)

    @property
    def deprecated(self) -> bool:
        """Whether the hub has announced its end, and still serves it."""
        known = self.retired_at or self.deprecated_at or (self.retire_stage or "").lower().startswith(_GOING)
        return bool(known) and not self.retired

    @property
    def ending(self) -> bool:
        """Whether the hub has ended it, or announced its end."""
        known = self.retired_at or self.deprecated_at or self.retire_stage
        return bool(known) and (self.retired or self.deprecated)

    @property
    def reachable(self) -> bool:
        """Whether an API that this package speaks serves it; True if the hub does not say."""
        return not self.apis or not self.apis.isdisjoint(_OURS)

    @property
    def lists_messages_first(self) -> bool:
        """Whether the hub names Anthropic's API for the model before OpenAI's.

        New API does so for channels that are Anthropic's own: `["anthropic", "openai"]`.
        """
        words = [word for word in self.endpoints if word in ("anthropic", "openai", "openai-response")]
        return bool(words) and words[0] == "anthropic"

    def supports(self, capability: str) -> bool | None:
        """Return whether the model has a capability; None if the hub does not say.

        Args:
            capability: tools, vision, audio, pdf, reasoning, structured_output, or one of the hub's own feature words.
        """
        word = capability.strip().lower()
        if name := _CAPABILITY_OF.get(word):
            known: bool | None = getattr(self, name)
            return known
        if word in self.features:
            return True
        return False if self.features else None

    def to_dict(self) -> dict[str, Any]:
        """Return every field except `raw` as JSON values; prices are floats."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "raw"}
        values["pricing"] = self.pricing.to_dict() if self.pricing else None
        values["source"] = dict(self.source)
        return {name: _plain(value) for name, value in values.items()}

    def __repr__(self) -> str:
        shown = [f"{self.id!r}", f"kind={self.kind!r}"]
        for name in ("owner", "context_window", "max_output_tokens"):
            if (value := getattr(self, name)) is not None:
                shown.append(f"{name}={value!r}")
        if self.retired or self.deprecated:
            shown.append("retired" if self.retired else "deprecated")
        abilities = [name for name in CAPABILITIES if getattr(self, name)]
        if abilities:
            shown.append(f"supports={'+'.join(abilities)}")
        if self.pricing:
            shown.append(f"pricing={self.pricing}")
        return f"ModelInfo({', '.join(shown)})"

    def _repr_html_(self) -> str:
        return _card(self)


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, frozenset)):
        return sorted(value) if isinstance(value, frozenset) else list(value)
    return value.isoformat() if isinstance(value, datetime) else value


def capability_name(word: str) -> str | None:
    """Return the capability that a word means, or None for a hub's own feature word."""
    return _CAPABILITY_OF.get(word.strip().lower())


def abilities(info: ModelInfo) -> str:
    """What the model is known to be able to do, in short words."""
    return " ".join(_SHORT.get(name, name) for name in CAPABILITIES if getattr(info, name))


def remarks(info: ModelInfo) -> str:
    """Return the last column of a list: abilities, tiers, and whether the model ends."""
    tiers = "more for long prompts" if info.pricing is not None and info.pricing.tiers else ""
    end = "retired" if info.retired else "deprecated" if info.deprecated else ""
    told = f"{end}, see {info.successor}" if end and info.successor else end
    return "; ".join(part for part in (abilities(info), tiers, told) if part)


def unsure_prices(models: Iterable[ModelInfo]) -> str:
    """Return how many of these prices may not be those of a call; "" if all are."""
    count = sum(info.pricing is not None and bool(info.pricing.note) for info in models)
    return f"{count:,} of the prices may differ for your key or prompt (pricing.note says why)" if count else ""


def count_text(value: int | None) -> str:
    """A number of tokens with separators; "" if it is not known."""
    return "" if value is None else f"{value:,}"


def _card(info: ModelInfo) -> str:
    """One model as an HTML table of what is known, with the source of each fact."""
    pricing = (
        ""
        if info.pricing is None
        else f"{info.pricing}{' USD per 1M tokens' if info.pricing.per_call is None else ' USD'}"
    )
    facts = {
        "name": info.name if info.name != info.id else "",
        "owner": info.owner,
        "kind": info.kind,
        "context_window": count_text(info.context_window),
        "max_output_tokens": count_text(info.max_output_tokens),
        "input_modalities": ", ".join(info.input_modalities),
        "supports": abilities(info),
        "pricing": pricing,
        "endpoints": ", ".join(info.endpoints),
        "retired" if info.retired else "deprecated": _end(info),
        "successor": info.successor,
        "description": info.description,
    }
    rows = [(name, str(value), info.source.get(name, "")) for name, value in facts.items() if value]
    sources = sorted({source for _, _, source in rows if source})
    if len(sources) > 1:
        return table(("", "", "source"), rows, caption=info.id)
    return table((), (row[:2] for row in rows), caption=info.id, note=f"source: {sources[0]}" if sources else "")


@dataclass(frozen=True, slots=True)
class CatalogInfo:
    """The state of a catalog.

    Attributes:
        base_url: the hub.
        source: what the list in hand was read from: "aihubmix", "new-api", "openai", in order of trust; empty for none.
        count: how many models it has.
        age: seconds since it was fetched (or last confirmed by the hub); None if there is none.
        stale: whether it is older than five minutes, or not there.
        last_error: what went wrong last; None if nothing did.
        notes: for each source that gave nothing, why.
        cache_file: the copy on disk; None if none is kept.
    """

    base_url: str
    source: tuple[str, ...] = ()
    count: int = 0
    age: float | None = None
    stale: bool = True
    last_error: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    cache_file: str | None = None

    def held(self) -> str:
        """Return the list in words: "14 models from aihubmix, as of just now"."""
        if self.age is None:
            return "no list yet"
        models = "1 model" if self.count == 1 else f"{self.count:,} models"
        return f"{models} from {' + '.join(self.source)}, as of {age_text(self.age)}"

    def __str__(self) -> str:
        return f"{self.base_url}: {self.held()}" + (f" ({self.last_error})" if self.last_error else "")

    def _repr_html_(self) -> str:
        return line(str(self))


def age_text(seconds: float) -> str:
    """Return an age in words: "just now", "5 min ago", "3 h ago", "2 days ago"."""
    if seconds < 60:
        return "just now"
    if seconds < 3_600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 172_800:
        return f"{int(seconds // 3_600)} h ago"
    return f"{int(seconds // 86_400)} days ago"


def _end(info: ModelInfo) -> str:
    """Return when a model ends or ended, in words; "" if it does not."""
    if not (info.retired or info.deprecated):
        return ""
    at = info.retired_at or info.deprecated_at
    return str(at.date()) if at is not None else str(info.retire_stage)
