"""The table of sources: where each dialect of model list is, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hubmix.catalog.readers import Entries, read_aihubmix, read_litellm, read_new_api, read_one_hub, read_openai


@dataclass(frozen=True, slots=True)
class Source:
    """One dialect of model list.

    Args:
        name: its name.
        path: where it is, as `Hub.get` takes it.
        authorized: whether it is asked with the key.
        read: reads its JSON; a list of the pages if there are more.
        more: further pages that belong to it.
        unless: it is asked last, and only if none of these sources has a list and the hub is not of the one-api family.
            What goes wrong then is no failure: the hub is probably another program.
    """

    name: str
    path: str
    authorized: bool
    read: Callable[[Any], Entries]
    more: tuple[str, ...] = ()
    unless: frozenset[str] = frozenset()


# In order of trust: what an earlier source says of a field wins. Public lists are asked without the key.
SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("aihubmix", "//api/v1/models", False, read_aihubmix),
        Source("new-api", "//api/pricing", False, read_new_api),
        Source(
            "one-hub",
            "//api/available_model",
            False,
            read_one_hub,
            more=("//api/user_group_map",),
            unless=frozenset({"new-api"}),
        ),
        Source("litellm", "//model/info", True, read_litellm, unless=frozenset({"new-api", "one-hub"})),
        Source("openai", "/models", True, read_openai),
    )
}
