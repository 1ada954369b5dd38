"""What a refresh asks and decides (pure), and the rule that one runs at a time."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLongError
from contextlib import contextmanager
from dataclasses import dataclass, field

from hubmix._text import redact
from hubmix.catalog.snapshot import Document, RejectedError, read_document
from hubmix.catalog.sources import SOURCES, Source
from hubmix.transport.get import Ask, Conversation, Fetched

# A list may lose this share of its models; a hub that is half broken answers 200 with what is left.
_MAY_LOSE = 0.5
# A list that stays short for a day is the hub's list now.
_SHORT_LIST_BELIEVED_AFTER = 86_400.0
_ONE_API_CREATED = 1_626_777_600


@dataclass(slots=True)
class Outcome:
    """What a refresh brought.

    Attributes:
        documents: what to use from now on, kept ones included.
        notes: for each source that gave nothing new, why.
        failed: no source answered with a list.
        partial: some did, and another that exists did not.
        refused: a source said that the key is not good (401).
    """

    documents: dict[str, Document] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    failed: bool = True
    partial: bool = False
    refused: bool = False

    @property
    def in_words(self) -> str:
        """What each source said instead of a list; once, if several said the same."""
        saying: dict[str, list[str]] = {}
        for name, note in self.notes.items():
            saying.setdefault(note, []).append(name)
        return "; ".join(f"{', '.join(names)}: {note}" for note, names in saying.items())


def ask_sources(
    names: tuple[str, ...], held: Mapping[str, Document], now: float, *, force: bool = False
) -> Conversation[Outcome]:
    """Ask each source for its list; keep the old one if the new one is rejected.

    Args:
        names: which sources, of `SOURCES`.
        held: the documents in hand: their ETags are sent, and they stand where nothing better comes.
        now: seconds since the epoch.
        force: believe a list that lost more than half of its models.
    """
    outcome = Outcome()
    broken = False
    for name in names:
        source, old = SOURCES[name], held.get(name)
        if source.unless and not _may_be(source, outcome.documents):
            continue
        headers = {"If-None-Match": old.etag} if old is not None and old.etag else {}
        pages = [(yield Ask(source.path, headers, source.authorized))]
        if source.more and isinstance(pages[0], Fetched) and pages[0].status == 200:
            for path in source.more:
                pages.append((yield Ask(path, {}, source.authorized)))
        try:
            outcome.documents[name] = _accept(source, pages, old, now, force)
            outcome.failed = False
        except RejectedError as rejection:
            outcome.notes[name] = str(rejection)
            if not source.unless:
                broken = broken or not rejection.absent
                outcome.refused = outcome.refused or rejection.status == 401
            if old is not None:
                outcome.documents[name] = old
    outcome.partial = broken and not outcome.failed
    return outcome


def _may_be(source: Source, documents: Mapping[str, Document]) -> bool:
    """Whether the hub may have a list that few programs have."""
    if not source.unless.isdisjoint(documents) or "openai" not in documents:
        return False
    entries = documents["openai"].entries.values()
    # New API, one-api and AIHubMix give every model the same date (measured); they have no such list.
    return not any(entry["raw"].get("created") == _ONE_API_CREATED for entry in entries)


def _accept(
    source: Source, pages: list[Fetched | Exception], old: Document | None, now: float, force: bool
) -> Document:
    answer = pages[0]
    if isinstance(answer, Exception):
        raise RejectedError(redact(f"{type(answer).__name__}: {answer}")[:300])
    if answer.status == 304 and old is not None:
        return Document(old.source, old.payload, old.entries, old.etag, now)
    new = read_document(source, answer, now, pages[1:])
    if old is not None and not force and _shrank(new, old, now):
        raise RejectedError(
            f"its list shrank from {len(old.entries)} models to {len(new.entries)} at once; the old one stays in use"
        )
    return new


def _shrank(new: Document, old: Document, now: float) -> bool:
    believed = now - old.fetched_at >= _SHORT_LIST_BELIEVED_AFTER
    return not believed and len(new.entries) < len(old.entries) * _MAY_LOSE


class Flight:
    """One refresh under way, and those who wait for it.

    After `patience` seconds it counts as lost: the event loop that runs it may have stopped.
    """

    __slots__ = ("future", "thread", "until")

    def __init__(self, patience: float) -> None:
        self.future: Future[bool] = Future()  # whether it came to its end
        # A running future cannot be cancelled by one impatient waiter on behalf of all.
        self.future.set_running_or_notify_cancel()
        self.thread = threading.get_ident()
        self.until = time.monotonic() + patience

    @property
    def in_this_thread(self) -> bool:
        """Whether this very thread has to finish it."""
        return self.thread == threading.get_ident()

    @property
    def left(self) -> float:
        """Seconds until it is lost."""
        return max(self.until - time.monotonic(), 0.0)

    def wait(self) -> bool:
        """Wait for its end; False if it was cancelled or lost."""
        try:
            return self.future.result(self.left)
        except WaitedTooLongError:
            return False

    async def wait_async(self) -> bool:
        """`wait`, in any event loop, whichever thread or loop the refresh runs in."""
        if self.future.done():
            return self.future.result()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self.future)), self.left)
        except asyncio.TimeoutError:
            return False


class SingleFlight:
    """At most one refresh at a time in this process.

    The lock guards a reference; no I/O happens under it.
    """

    __slots__ = ("_flight", "_lock", "_patience", "_pid")

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._pid = os.getpid()

    def begin(self) -> tuple[Flight, bool]:
        """Return the refresh under way, and whether it is the caller's to run."""
        if self._pid != os.getpid():
            # After a fork: the thread that ran it, and perhaps held the lock, is not in this process.
            self._reset()
        with self._lock:
            if self._flight is not None and self._flight.left:
                return self._flight, False
            self._flight = Flight(self._patience)
            return self._flight, True

    @contextmanager
    def finishing(self, flight: Flight) -> Iterator[None]:
        """Run the caller's own refresh; at its end, wake the waiters and allow the next."""
        ended = False
        try:
            yield
            ended = True
        finally:
            with self._lock:
                if self._flight is flight:
                    self._flight = None
            # A result and no exception: a waiter that was cancelled would not retrieve it.
            flight.future.set_result(ended)

    @property
    def busy(self) -> bool:
        """Whether a refresh is under way in this process."""
        flight = self._flight
        return flight is not None and flight.left > 0 and self._pid == os.getpid()
