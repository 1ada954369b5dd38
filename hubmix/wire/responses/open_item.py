"""An output item of a stream while it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubmix.wire.responses.items import CALLS, output_texts
from hubmix.wire.responses.reply import content_parts, reasoning_parts


class OpenItem:
    """An output item that is arriving: what its events brought, and what of it has been passed on."""

    __slots__ = (
        "annotations",
        "done",
        "item",
        "logprobs",
        "pieces",
        "position",
        "reasoning",
        "refusal",
        "source",
        "texts",
    )

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item
        self.done = False
        self.texts: dict[Any, list[str]] = {}  # by content index
        self.refusal: list[str] = []
        self.reasoning: list[str] = []
        self.source: Any = None  # which part of the reasoning came last
        self.pieces: list[str] = []  # of a call's arguments
        self.position: int | None = None  # the call's place among those passed on
        self.annotations: list[Any] = []
        self.logprobs: list[Any] = []

    @property
    def text(self) -> str:
        return "".join("".join(pieces) for pieces in self.texts.values())

    def whole(self, final: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The item, with what only the deltas brought filled in.

        Args:
            final: the same item in the terminal event; it wins where it says anything.
        """
        item = {**self.item, **{name: value for name, value in (final or {}).items() if value not in (None, "", [])}}
        kind = item.get("type")
        if kind == "message":
            self._fill_message(item)
        elif kind in CALLS and not item.get(CALLS[kind]):
            item[CALLS[kind]] = "".join(self.pieces)
        elif kind == "reasoning" and self.reasoning and not reasoning_parts(item):
            item["summary"] = [{"type": "summary_text", "text": "".join(self.reasoning)}]
        return item

    def _fill_message(self, item: dict[str, Any]) -> None:
        if not any(output_texts(item)) and (text := self.text):
            part = {"type": "output_text", "text": text, "annotations": self.annotations, "logprobs": self.logprobs}
            item["content"] = [part, *(p for p in content_parts(item) if "refusal" in p)]
        if self.refusal and not any("refusal" in part for part in content_parts(item)):
            item["content"] = [*content_parts(item), {"type": "refusal", "refusal": "".join(self.refusal)}]
