"""A catalog's list in this process: its age, and the one refresh that renews it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from hubmix.catalog.models import CatalogInfo, age_text
from hubmix.catalog.refresh import Outcome, SingleFlight, ask_sources
from hubmix.catalog.snapshot import Document, Snapshot, merge
from hubmix.catalog.store import DiskCopy
from hubmix.errors import AuthenticationError, CatalogError
from hubmix.transport.get import Conversation, Fetcher, aconverse, converse

FRESH = 300.0  # seconds; the max-age that AIHubMix puts on its list
RETRY = 30.0  # seconds after a failure before anything but an explicit refresh asks again
_NEVER = float("-inf")
_log = logging.getLogger("hubmix.catalog")


def run_in_thread(work: Callable[[], None]) -> None:
    """Run a refresh in a daemon thread, so that a program can end without it."""
    threading.Thread(target=work, name="hubmix-catalog", daemon=True).start()


@dataclass(slots=True)
class Settings:
    """What a catalog was made with, and all of it that a copy or another process gets."""

    fetch: Fetcher
    base_url: str
    key_id: str
    sources: tuple[str, ...]
    aliases: Mapping[str, str]
    overrides: Mapping[str, Mapping[str, Any]]
    cache_dir: Path | str | None
    price_group: str | None = None
    timeout: float = 10.0
    clock: Callable[[], float] = field(default=time.monotonic)
    wall_clock: Callable[[], float] = field(default=time.time)
    background: Callable[[Callable[[], None]], None] = field(default=run_in_thread)


@dataclass(frozen=True, slots=True)
class LastRefresh:
    """How the last refresh ended.

    Attributes:
        error: why it brought no list, or not all of it; None if nothing went wrong.
        refused: the hub did not accept the key.
        retry_at: on the monotonic clock; before it nothing but an explicit refresh asks.
        too_slow: a caller waited for the first list as long as it could.
        warned: the log has a warning about the list that could not be renewed.
    """

    error: str | None = None
    refused: bool = False
    retry_at: float = _NEVER
    too_slow: bool = False
    warned: bool = False


class Freshness(Enum):
    """What a caller does before it takes the list."""

    TAKE = "take what is here"
    RENEW = "take what is here, and renew it in the background"
    WAIT = "wait for the first list"


def decide(held: Snapshot | None, last: LastRefresh, now: float, wait: float | None, required: bool) -> Freshness:
    """Return what a caller does that may wait so many seconds (None: without a limit)."""
    if held is not None:
        return Freshness.RENEW if is_stale(held, now) else Freshness.TAKE
    if wait == 0 or (wait is not None and last.too_slow):
        return Freshness.RENEW
    # Before the first error, the first refresh may still be under way, and is worth waiting for.
    if not required and last.error is not None and now < last.retry_at:
        return Freshness.TAKE
    return Freshness.WAIT


def is_stale(snapshot: Snapshot, now: float) -> bool:
    """Whether a list is older than 5 minutes, or 30 seconds if it lacks a source."""
    return now - snapshot.checked_at >= (RETRY if snapshot.partial else FRESH)


class CatalogCache:
    """The cached list and its renewal.

    Readers take a reference to a snapshot that never changes, without a lock.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.held: Snapshot | None = None
        self._last = LastRefresh()
        self._disk = DiskCopy(settings.cache_dir, settings.base_url, settings.key_id)
        # A request may take its timeout to connect and again to answer.
        self._flights = SingleFlight(2 * settings.timeout * max(len(settings.sources), 1))
        self._tasks: set[asyncio.Task[None]] = set()

    def cached(self, *, disk: bool = True) -> Snapshot:
        """Return the list, the copy on disk or the overrides, without asking the hub."""
        return (self._load() if disk else self.held) or self.overrides

    @cached_property
    def overrides(self) -> Snapshot:
        """The user's own facts alone, as a list."""
        return self._merged({}, _NEVER, {})

    def is_old(self, snapshot: Snapshot) -> bool:
        """Return whether a list is due for a refresh."""
        return is_stale(snapshot, self.settings.clock())

    def info(self) -> CatalogInfo:
        """Return where the list came from and how old it is."""
        held, path = self._load(), self._disk.path
        return CatalogInfo(
            base_url=self.settings.base_url,
            source=tuple(held.documents) if held else (),
            count=len(held.models) if held else 0,
            age=self._age(held) if held else None,
            stale=held is None or is_stale(held, self.settings.clock()),
            last_error=self._last.error or self._disk.note,
            notes=dict(held.notes) if held else {},
            cache_file=None if path is None else str(path),
        )

    def as_of(self, snapshot: Snapshot) -> str | None:
        """Return the age of a list in words, or None if it is fresh."""
        stale = is_stale(snapshot, self.settings.clock())
        return age_text(self._age(snapshot)) if stale and snapshot.documents else None

    # Waiting: each verb is written twice, sync and async.

    def snapshot(self, *, wait: float | None = None, required: bool = True) -> Snapshot:
        """Return the list; ask the hub first if there is none.

        Args:
            wait: seconds to wait for a first list; None for as long as the refresh takes, 0 not to wait. If a list
                does not come in time once, no later call with a limit waits for it.
            required: raise if there is no list; else return the user's overrides.

        Raises:
            CatalogError: `required`, and there is no list.
            AuthenticationError: the same, because the hub does not accept the key.
        """
        self._load()
        freshness = self._decide(wait, required)
        if freshness is Freshness.RENEW:
            self._renew()
        elif freshness is Freshness.WAIT and wait is None:
            self.refresh()
        elif freshness is Freshness.WAIT:
            came = threading.Event()
            if self._refresh_in_thread(came.set) and not came.wait(wait):
                self._last = replace(self._last, too_slow=True)
        return self.needed() if required else self.cached()

    async def asnapshot(self, *, wait: float | None = None, required: bool = True) -> Snapshot:
        """`snapshot`, for asyncio."""
        await self._aload()
        freshness = self._decide(wait, required)
        if freshness is Freshness.RENEW:
            self._renew()
        elif freshness is Freshness.WAIT and wait is None:
            await self.arefresh()
        elif freshness is Freshness.WAIT:
            _, late = await asyncio.wait({self._task() or self._refresh_in_loop()}, timeout=wait)
            if late:
                self._last = replace(self._last, too_slow=True)
        return self.needed() if required else self.cached()

    def refresh(self, *, force: bool = False) -> None:
        """Ask the hub, or wait for the refresh that is under way in this process."""
        self._load()
        while True:
            flight, mine = self._flights.begin()
            # Waiting in the thread whose event loop has to finish that other refresh would never end.
            if mine or flight.in_this_thread:
                break
            if flight.wait():
                return
        with self._flights.finishing(flight) if mine else nullcontext():
            outcome = converse(self._asking(force), self.settings.fetch, timeout=self.settings.timeout)
            self._adopt(outcome)
        self._keep(outcome)

    async def arefresh(self, *, force: bool = False) -> None:
        """`refresh`, for asyncio."""
        await self._aload()
        while True:
            flight, mine = self._flights.begin()
            if mine:
                break
            if await flight.wait_async():
                return
        with self._flights.finishing(flight):
            outcome = await aconverse(self._asking(force), self.settings.fetch, timeout=self.settings.timeout)
            self._adopt(outcome)
        await asyncio.to_thread(self._keep, outcome)

    def needed(self) -> Snapshot:
        """Return the list.

        Raises:
            CatalogError: there is none.
            AuthenticationError: there is none, because the hub does not accept the key.
        """
        if self.held is None:
            raise self._failure()
        return self.held

    # Renewing in the background.

    def _decide(self, wait: float | None, required: bool) -> Freshness:
        return decide(self.held, self._last, self.settings.clock(), wait, required)

    def _renew(self) -> None:
        if self._flights.busy or self.settings.clock() < self._last.retry_at:
            return
        # Set before it starts, so that a hundred callers in the same moment start one.
        self._last = replace(self._last, retry_at=self.settings.clock() + RETRY)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._refresh_in_thread()
        else:
            self._refresh_in_loop()

    def _task(self) -> asyncio.Task[None] | None:
        loop = asyncio.get_running_loop()
        # A copy: threads with loops of their own add and remove theirs.
        return next((task for task in list(self._tasks) if task.get_loop() is loop and not task.done()), None)

    def _refresh_in_loop(self) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self.arefresh())
        self._tasks.add(task)  # the loop itself holds its tasks weakly
        task.add_done_callback(self._refreshed)
        return task

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            # Its loop ends, and with `asyncio.run` for each call every loop ends before the list arrives.
            self._refresh_in_thread()

    def _refresh_in_thread(self, then: Callable[[], None] = lambda: None) -> bool:
        def work() -> None:
            try:
                self.refresh()
            finally:
                then()

        try:
            self.settings.background(work)
        except RuntimeError as error:  # the process ends, or has too many threads
            self._last = replace(self._last, error=f"the list could not be asked for: {error}")
            _log.debug("%s: %s", self.settings.base_url, self._last.error)
            return False
        return True

    # Taking what a refresh brought.

    def _asking(self, force: bool) -> Conversation[Outcome]:
        held = self.held.documents if self.held else {}
        return ask_sources(self.settings.sources, held, self.settings.wall_clock(), force=force)

    def _adopt(self, outcome: Outcome) -> None:
        now, trouble = self.settings.clock(), outcome.failed or outcome.partial
        warned = outcome.failed and (self._last.warned or self.held is not None)
        if warned and not self._last.warned and self.held is not None:
            _log.warning(
                "The model list of %s could not be renewed, the one from %s stays in use. %s",
                self.settings.base_url,
                age_text(self._age(self.held)),
                outcome.in_words,
            )
        if not outcome.failed:
            self.held = self._merged(outcome.documents, now, outcome.notes, outcome.partial)
            self._check_group(self.held.groups)
        self._last = LastRefresh(
            error=outcome.in_words if trouble else None,
            refused=outcome.failed and outcome.refused,
            retry_at=now + RETRY if trouble else _NEVER,
            too_slow=self._last.too_slow,
            warned=warned,
        )

    def _check_group(self, listed: frozenset[str]) -> None:
        chosen = self.settings.price_group
        if chosen is not None and listed and chosen not in listed:
            # Python shows a warning of the same text and place once.
            warnings.warn(
                f"{self.settings.base_url} lists no group {chosen!r}, so no cost there has a total. It lists "
                f"{', '.join(sorted(listed))}: set price_group to one of them.",
                stacklevel=2,
            )

    def _merged(
        self, documents: Mapping[str, Document], checked_at: float, notes: Mapping[str, str], partial: bool = False
    ) -> Snapshot:
        return merge(
            documents,
            aliases=self.settings.aliases,
            overrides=self.settings.overrides,
            checked_at=checked_at,
            notes=notes,
            partial=partial,
            price_group=self.settings.price_group,
        )

    def _age(self, snapshot: Snapshot) -> float:
        return max(self.settings.wall_clock() - snapshot.fetched_at, 0.0)

    def _failure(self) -> CatalogError | AuthenticationError:
        where, error = f"The models of {self.settings.base_url} are not known", self._last.error
        if self._last.refused:
            return AuthenticationError(
                f"{where}: the hub does not accept the key ({error}). Check the key.",
                status=401,
                base_url=self.settings.base_url,
            )
        why = str(error or "no source is set").rstrip(".")
        return CatalogError(f"{where}: {why}. Check the base URL and the network; calls work without the list.")

    # The copy on disk.

    def _load(self) -> Snapshot | None:
        if self.held is None and not self._disk.read:
            self.use(self._disk.load(self.settings.wall_clock()))
        return self.held

    async def _aload(self) -> None:
        if self.held is None and not self._disk.read:
            await asyncio.to_thread(self._load)

    def use(self, documents: Mapping[str, Document]) -> None:
        """Take documents that another process fetched, or this one before a restart."""
        known = {name: item for name, item in documents.items() if name in self.settings.sources}
        if known:
            age = self.settings.wall_clock() - min(item.fetched_at for item in known.values())
            loaded = self._merged(known, self.settings.clock() - age, {})
            # A refresh may have ended meanwhile: its list is newer.
            self.held = self.held or loaded

    def _keep(self, outcome: Outcome) -> None:
        if not outcome.failed:
            self._disk.save(outcome.documents)
