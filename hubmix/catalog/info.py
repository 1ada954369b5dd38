"""Where a catalog's list came from, and how old it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hubmix._html import line


@dataclass(frozen=True, slots=True)
class CatalogInfo:
    """The state of a catalog.

    Attributes:
        base_url: the hub.
        source: what the list in hand was read from: "aihubmix", "new-api", "openai", in order of trust; empty for none.
        count: how many models it has.
        age: seconds since it was fetched (or last confirmed by the hub); None where there is none.
        stale: whether it is older than five minutes, or not there.
        last_error: what went wrong last; None where nothing did.
        notes: for each source that gave nothing, why.
        cache_file: the copy on disk; None where none is kept.
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
        """What is in hand, in words: "14 models from aihubmix, as of just now"."""
        if self.age is None:
            return "no list yet"
        models = "1 model" if self.count == 1 else f"{self.count:,} models"
        return f"{models} from {' + '.join(self.source)}, as of {age_text(self.age)}"

    def __str__(self) -> str:
        return f"{self.base_url}: {self.held()}" + (f" ({self.last_error})" if self.last_error else "")

    def _repr_html_(self) -> str:
        return line(str(self))


def age_text(seconds: float) -> str:
    """An age for people: "just now", "5 min ago", "3 h ago", "2 days ago"."""
    if seconds < 60:
        return "just now"
    if seconds < 3_600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 172_800:
        return f"{int(seconds // 3_600)} h ago"
    return f"{int(seconds // 86_400)} days ago"
