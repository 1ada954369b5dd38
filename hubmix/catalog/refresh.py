"""What a refresh asks and decides (pure), and the rule that there is one at a time (threads, loops and forks alike)."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLongError
from dataclasses import dataclass, field

from hubmix._text import redact
from hubmix.catalog.snapshot import Document, RejectedError, read_document
from hubmix.catalog.sources import SOURCES
from hubmix.transport.get import Ask, Conversation, Fetched

# A list may lose this share of its models; a hub that is half broken answers 200 with what is left.
_MAY_LOSE = 0.5
# A list that stays short for a day is the hub's list now.
_SHORT_LIST_BELIEVED_AFTER = 86_400.0


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


def ask_sources(
    names: tuple[str, ...], held: Mapping[str, Document], now: float, *, force: bool = False
) -> Conversation[Outcome]:
    """Ask each source for its list, keeping what is held where the new one is rejected.

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
        headers = {"If-None-Match": old.etag} if old is not None and old.etag else {}
        answer = yield Ask(source.path, headers, source.authorized)
        try:
            outcome.documents[name] = _accept(name, answer, old, now, force)
            outcome.failed = False
        except RejectedError as rejection:
            outcome.notes[name] = str(rejection)
            broken = broken or not rejection.absent
            outcome.refused = outcome.refused or rejection.status == 401
            if old is not None:
                outcome.documents[name] = old
    outcome.partial = broken and not outcome.failed
    return outcome


def _accept(name: str, answer: Fetched | Exception, old: Document | None, now: float, force: bool) -> Document:
    if isinstance(answer, Exception):
        raise RejectedError(redact(f"{type(answer).__name__}: {answer}")[:300])
    if answer.status == 304 and old is not None:
        return Document(old.source, old.payload, old.entries, old.etag, now)
    new = read_document(SOURCES[name], answer, now)
    if old is not None and not force and _shrank(new, old, now):
        raise RejectedError(
            f"its list shrank from {len(old.entries)} models to {len(new.entries)} at once; the old one stays in use"
        )
    return new


def _shrank(new: Document, old: Document, now: float) -> bool:
    believed = now - old.fetched_at >= _SHORT_LIST_BELIEVED_AFTER
    return not believed and len(new.entries) < len(old.entries) * _MAY_LOSE


class AbandonedError(Exception):
    """The refresh that others waited for was cancelled before it came to an end."""


class Flight:
    """One refresh under way, and those who wait for it.

    It is lost after `patience` seconds: what flies it may stand in an event loop that does not run any more, and
    nobody is to wait for that.
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

    def wait(self) -> None:
        """Wait for its end. Raises `AbandonedError` where it does not come to one."""
        try:
            ended = self.future.result(self.left)
        except WaitedTooLongError:
            ended = False
        if not ended:
            raise AbandonedError

    async def wait_async(self) -> None:
        """`wait`, in any event loop, whichever thread or loop the refresh runs in."""
        if self.future.done():
            self.wait()
            return
        try:
            ended = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self.future)), self.left)
        except asyncio.TimeoutError:
            ended = False
        if not ended:
            raise AbandonedError


class SingleFlight:
    """At most one refresh at a time in this process. The lock guards a reference; no I/O happens under it."""

    __slots__ = ("_flight", "_lock", "_patience", "_pid")

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._pid = os.getpid()

    def take_off(self) -> tuple[Flight, bool]:
        """The flight there is, and whether the caller is the one to fly it."""
        if self._pid != os.getpid():
            # After a fork: the thread that flew it, and perhaps held the lock, is not in this process.
            self._begin()
        with self._lock:
            if self._flight is not None and self._flight.left:
                return self._flight, False
            self._flight = Flight(self._patience)
            return self._flight, True

    def land(self, flight: Flight, mine: bool, *, abandoned: bool = False) -> None:
        """Tell everyone who waits, and make room for the next. Nothing, where the flight is somebody else's."""
        if not mine:
            return
        with self._lock:
            if self._flight is flight:
                self._flight = None
        # A result and no exception: of a waiter that was cancelled meanwhile nobody would retrieve it.
        flight.future.set_result(not abandoned)

    @property
    def busy(self) -> bool:
        """Whether a refresh is under way in this process."""
        flight = self._flight
        return flight is not None and flight.left > 0 and self._pid == os.getpid()
