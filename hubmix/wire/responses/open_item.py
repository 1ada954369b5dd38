"""The output items of a stream while they arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubmix.wire.fields import named, named_objects
from hubmix.wire.responses.items import CALLS, output_texts
from hubmix.wire.responses.reply import content_parts, reasoning_parts

Event = Mapping[str, Any]


class OpenItem:
    """An output item that is arriving, with what of it has been passed on."""

    __slots__ = (
        "annotations", "done", "item", "logprobs", "pieces", "position", "reasoning", "refusal", "source", "texts",
    )  # fmt: skip

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


class OpenItems:
    """The items of one stream, by their place in the answer."""

    __slots__ = ("_by_id", "_by_index")

    def __init__(self) -> None:
        self._by_index: dict[int, OpenItem] = {}
        self._by_id: dict[Any, int] = {}

    def of(self, event: Event, kind: str | None) -> OpenItem:
        """Return the item of an event: by output index, else by id, else the last one.

        GitHub's ids differ from event to event, and one-hub begins items without an index.

        Args:
            event: an event of an item.
            kind: the type of the item if the event begins it; None if the event holds the item itself.
        """
        index = event.get("output_index")
        if not isinstance(index, int):
            item_id = named({"id": event.get("item_id")}).get("id") or named(event.get("item")).get("id")
            index = self._by_id.get(item_id)
            if index is None:
                index = len(self._by_index) if kind is None or not self._by_index else next(reversed(self._by_index))
            self._by_id[item_id] = index
        item = self._by_index.get(index)
        if item is None:
            item = self._by_index[index] = OpenItem({"type": kind} if kind else {})
        return item

    def in_order(self) -> list[OpenItem]:
        """Return the items in the order of the answer."""
        return [self._by_index[index] for index in sorted(self._by_index)]

    def output(self, listed: Any) -> list[dict[str, Any]]:
        """Return the items of the whole answer.

        Args:
            listed: the `output` of the terminal event. If it holds fewer items than were done, as chatgpt.com's does,
                those that were done count.
        """
        finals = named_objects(listed)
        items = self.in_order()
        if len(finals) < sum(item.done for item in items) or not finals:
            return [item.whole() for item in items]
        filled = [
            item.whole(final) if item.item.get("type") in (None, final.get("type")) else final
            for item, final in zip(items, finals, strict=False)
        ]
        return [*filled, *finals[len(filled) :]]
