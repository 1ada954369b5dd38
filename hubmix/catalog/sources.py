"""Where the catalog asks: the request and the answer as values, what a hub must offer to be asked, and the table of
sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hubmix.catalog.readers import Entries, read_aihubmix, read_new_api, read_openai


@dataclass(frozen=True, slots=True)
class Source:
    """One dialect of model list: where it is, whether it wants the key, and how its JSON is read."""

    name: str
    path: str
    authorized: bool
    read: Callable[[Any], Entries]


# In order of trust: what an earlier source says of a field wins. The two public lists are asked without the key.
SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("aihubmix", "//api/v1/models", False, read_aihubmix),
        Source("new-api", "//api/pricing", False, read_new_api),
        Source("openai", "/models", True, read_openai),
    )
}
