"""The two drivers of a map, sync and async.

Rows are taken only as far ahead as a window of a few times `concurrency`, so an endless generator costs no memory, and
they are handed out in order. The sync driver asks on threads of its own, through the hub's sync client; the async one
in the running loop, through that loop's.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import ExitStack, aclosing, closing, contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hubmix.batch.options import MapOptions, OnError
from hubmix.batch.progress import Listener, Reporter
from hubmix.batch.requests import Maker, Prompt, Request, rows_of
from hubmix.batch.resume import Journal
from hubmix.batch.room import Room
from hubmix.batch.rows import Row, Rows
from hubmix.batch.workers import Workers
from hubmix.errors import BudgetExceededError, HubmixError
from hubmix.failover.options import DEFAULT_OPTIONS, CallOptions, read_fallbacks

if TYPE_CHECKING:
    from hubmix.catalog import ModelCatalog
    from hubmix.wire import Reply

_AHEAD = 4  # windows of `concurrency` rows: how far a slow row may be overtaken
_TICK = 0.2  # seconds between two updates of the progress line while nothing finishes


class Caller(Protocol):
    """What a map asks; a `Hub` is one."""

    @property
    def host(self) -> str:
        """The host, as answers name it."""

    @property
    def models(self) -> ModelCatalog:
        """The catalog, for the prices."""

    def require_key(self) -> None:
        """Raise `ConfigurationError` if there is no key."""

    def chat(self, payload: Mapping[str, Any], options: CallOptions = ...) -> Reply:
        """Ask for one whole answer."""

    async def achat(self, payload: Mapping[str, Any], options: CallOptions = ...) -> Reply:
        """`chat`, for asyncio."""


def map_rows(
    hub: Caller,
    rows: Iterable[Any],
    prompt: Prompt = None,
    *,
    model: str,
    fallbacks: Iterable[Any] | Literal["auto"] | None = (),
    system: str | None = None,
    concurrency: int = 8,
    on_error: OnError = "value",
    progress: bool | Listener | None = None,
    resume: str | PathLike[str] | None = None,
    retry_errors: bool = True,
    budget: object = None,
    options: CallOptions = DEFAULT_OPTIONS,
    **parameters: Any,
) -> Rows:
    """Ask a model once for each row, and return the answers in the order of the rows.

    What limits the rate: `concurrency` bounds how many calls of *this* map are open at once, and `Hub(rate_limit=…)`
    how many requests *this process* sends in a time. Neither knows of other processes: ten workers with
    `rate_limit="60/min"` send 600 a minute. What holds across workers is `SharedRateLimit` (a SQLite file for the
    processes of one machine, Redis for several) and the hub's own limit, whose 429 is waited out and retried.

    Args:
        hub: the hub.
        rows: anything that can be iterated, also a generator, also a data frame (whose rows become dicts). It is read
            only a few times `concurrency` ahead, in the caller's thread.
        prompt: a template ("Translate to French: {}", or "{title}: {body}" for rows that are dicts), or a function of
            the row that returns a text, a list of messages or a whole request. Without it, each row is one of these.
            In a template, write braces of your own twice.
        model: the model ID.
        fallbacks: model IDs to go on to, or "auto".
        system: a system message in front of every request.
        concurrency: how many calls are open at once.
        on_error: "value" puts an error into its row and goes on; "raise" raises the first one, in the order of the
            rows. A missing key is raised before anything is sent.
        progress: True for a progress line on stderr or in the notebook, or a function that is called with a `Progress`
            whenever a row is finished.
        resume: a file (JSON lines) that keeps each row as it is finished. Run again with the same rows, finished ones
            are read from it and not asked again; a row whose place or request has changed is asked anew. One map at a
            time may use it.
        retry_errors: ask again for rows that the file has as failed.
        budget: a `hubmix.Budget` that the map is held to. When it has no room left, no further row is asked: the rest
            has `BudgetExceededError` as its error, and another run with the same `resume` file goes on there.
        options: timeouts, failover policy and the rest; `fallbacks` and `budget` above win over its own.
        parameters: sent with every request: temperature, max_tokens, response_format, ...

    Returns:
        The rows, a sequence of `Row`.

    Raises:
        ConfigurationError: if an argument cannot be used, there is no key, or `resume` names a file that cannot be
            used or is of another kind.
        HubmixError: the first row's error, with `on_error="raise"`; or the `resume` file cannot be written any more.

    Example:
        ```python
        rows = hub.map(["apple", "pear"], "Name one colour of a ripe {}.", model="gpt-4o-mini", concurrency=4)
        for row in rows:
            print(row.input, row.text if row.ok else row.error)
        ```
    """
    chosen = MapOptions(
        model, fallbacks, system, concurrency, on_error, progress, resume, retry_errors, options, parameters, budget
    )
    found, total = rows_of(rows)
    with ExitStack() as stack:
        job = _Job.of(hub, prompt, chosen, total, stack)
        answered = stack.enter_context(closing(_answered(job, found)))
        done = [_checked(row, on_error) for row in answered]
    if job.lacks_prices(done):
        hub.models.find(model)
    return Rows(map(job.price, done))


async def amap_rows(
    hub: Caller,
    rows: Iterable[Any] | AsyncIterable[Any],
    prompt: Prompt = None,
    *,
    model: str,
    fallbacks: Iterable[Any] | Literal["auto"] | None = (),
    system: str | None = None,
    concurrency: int = 8,
    on_error: OnError = "value",
    progress: bool | Listener | None = None,
    resume: str | PathLike[str] | None = None,
    retry_errors: bool = True,
    budget: object = None,
    options: CallOptions = DEFAULT_OPTIONS,
    **parameters: Any,
) -> Rows:
    """`map_rows`, for asyncio; rows may be an async iterable too.

    Cancelling it closes the open calls at once.
    """
    chosen = MapOptions(
        model, fallbacks, system, concurrency, on_error, progress, resume, retry_errors, options, parameters, budget
    )
    found, total = (aiter(rows), None) if isinstance(rows, AsyncIterable) else rows_of(rows)
    with ExitStack() as stack:
        job = _Job.of(hub, prompt, chosen, total, stack)
        async with aclosing(_aanswered(job, found)) as answered:
            done = [_checked(row, on_error) async for row in answered]
    if job.lacks_prices(done):
        await hub.models.afind(model)
    return Rows(map(job.price, done))


def _checked(row: Row, on_error: OnError) -> Row:
    if row.error is not None and on_error == "raise":
        raise row.error
    return row


@dataclass(slots=True)
class _Job:
    """What both drivers share: making requests, and finishing rows."""

    hub: Caller
    maker: Maker
    options: CallOptions
    concurrency: int
    room: Room = field(default_factory=Room)
    journal: Journal | None = None
    reporter: Reporter | None = None

    @staticmethod
    def of(hub: Caller, prompt: Prompt, chosen: MapOptions, total: int | None, stack: ExitStack) -> _Job:
        """Check what the user gave, before anything is sent, and open what the map needs."""
        maker = Maker.of(prompt, chosen.model, chosen.system, chosen.parameters)
        fallbacks = read_fallbacks(chosen.fallbacks)
        options = replace(chosen.options, fallbacks=fallbacks) if fallbacks else chosen.options
        options = replace(options, budget=chosen.budget) if chosen.budget is not None else options
        hub.require_key()
        hub.models.warm()  # for the costs; no call waits for it
        job = _Job(hub, maker, options, chosen.concurrency)
        if (file := chosen.file) is not None:
            job.journal = stack.enter_context(Journal(file, retry_errors=chosen.retry_errors))
        job.reporter = Reporter(total, chosen.progress)
        stack.callback(job.reporter.close)
        return job

    @property
    def window(self) -> int:
        return self.concurrency * _AHEAD

    def begin(self, index: int, row: Any) -> Request | Row:
        """Return the request for a row, or the row itself if nothing need be sent."""
        request = self.maker.make(index, row)
        if request.error is not None:
            return self.finish(request, None, request.error, None)
        known = self.journal.find(request) if self.journal is not None else None
        if known is None:
            return request if self.room.refused is None else self.finish(request, None, self.room.refused, None)
        if self.reporter is not None:
            self.reporter.add(known)
        return known

    def finish(self, request: Request, reply: Reply | None, error: HubmixError | None, started: float | None) -> Row:
        """Return the finished row, kept in the resume file and counted."""
        if error is not None:
            _strip(error)
        seconds = None if started is None else time.monotonic() - started
        row = Row(request.index, request.input, reply, error, seconds)
        # A row that could not be made into a request has nothing to be known by in another run.
        if self.journal is not None and request.key:
            self.journal.write(row, request.key)
        if self.reporter is not None:
            self.reporter.add(row)
        return row

    def lacks_prices(self, rows: Iterable[Row]) -> bool:
        """Whether an answer has no price yet, and no list came."""
        return any(map(self._unpriced, rows)) and self.hub.models.info().age is None

    def price(self, row: Row) -> Row:
        """Fill in a cost that was unknown when the answer came before the catalog."""
        reply = row.reply
        if reply is not None and reply.served is not None and self._unpriced(row):
            billed = reply.served if reply.cost is None else reply.cost.model
            reply.cost = self.hub.models.cached.cost(billed, reply.usage)
        return row

    def _unpriced(self, row: Row) -> bool:
        """Whether a row lacks a price that this hub's own catalog may have."""
        own = row.reply is not None and row.reply.hub in (None, self.hub.host)
        return row.ok and own and (row.cost is None or not row.cost.complete)

    def ask(self, request: Request) -> Row:
        while self.room.refused is None:
            with self._call() as call:
                call.reply = self.hub.chat(request.payload or {}, self.options)
            if call.refused is None:
                return self.finish(request, call.reply, call.error, call.started)
            self.room.wait(call.seen, call.refused)
        return self.finish(request, None, self.room.refused, None)

    async def aask(self, request: Request, gate: asyncio.Semaphore) -> Row:
        async with gate:
            while self.room.refused is None:
                with self._call() as call:
                    call.reply = await self.hub.achat(request.payload or {}, self.options)
                if call.refused is None:
                    return self.finish(request, call.reply, call.error, call.started)
                await self.room.wait_in_loop(call.seen, call.refused)
            return self.finish(request, None, self.room.refused, None)

    @contextmanager
    def _call(self) -> Iterator[_Call]:
        """Count a call in the room, and keep its error."""
        call = _Call(self.room.begin())
        try:
            yield call
        except HubmixError as error:
            call.error = error
        finally:
            self.room.leave(sent=call.refused is None)


@dataclass(slots=True)
class _Call:
    """One call for a row, and its result."""

    seen: int
    started: float = field(default_factory=time.monotonic)
    reply: Reply | None = None
    error: HubmixError | None = None

    @property
    def refused(self) -> BudgetExceededError | None:
        """The error if waiting for other calls may help: the price is known."""
        error = self.error
        return error if isinstance(error, BudgetExceededError) and error.could_cost is not None else None


def _strip(error: BaseException) -> None:
    """Forget the frames of a failed call: they would live as long as its error."""
    for inner in getattr(error, "exceptions", ()):
        _strip(inner)
    error.__traceback__ = error.__cause__ = error.__context__ = None


# ------------------------------------------------------------------------------------------------------------- sync


def _answered(job: _Job, rows: Iterator[Any]) -> Generator[Row, None, None]:
    pending: deque[Future[Row]] = deque()
    with Workers(job.concurrency) as workers:
        for index, row in enumerate(rows):
            begun = job.begin(index, row)
            pending.append(_settled(begun) if isinstance(begun, Row) else workers.submit(job.ask, begun))
            while pending and (len(pending) >= job.window or pending[0].done()):
                yield _wait(pending.popleft(), job)
        while pending:
            yield _wait(pending.popleft(), job)


def _settled(row: Row) -> Future[Row]:
    future: Future[Row] = Future()
    future.set_result(row)
    return future


def _wait(future: Future[Row], job: _Job) -> Row:
    # Never without a timeout: Windows does not let Ctrl-C through to a thread that waits without a limit.
    while True:
        try:
            return future.result(timeout=_TICK)
        except NotYet:
            if future.done():
                raise
            if job.reporter is not None:
                job.reporter.refresh()


# ------------------------------------------------------------------------------------------------------------ async


async def _aanswered(job: _Job, rows: Iterator[Any] | AsyncIterator[Any]) -> AsyncGenerator[Row, None]:
    pending: deque[asyncio.Future[Row]] = deque()
    gate = asyncio.Semaphore(job.concurrency)
    loop = asyncio.get_running_loop()
    try:
        index = 0
        async for row in _aeach(rows):
            begun = job.begin(index, row)
            index += 1
            if isinstance(begun, Row):
                future: asyncio.Future[Row] = loop.create_future()
                future.set_result(begun)
                pending.append(future)
            else:
                pending.append(asyncio.create_task(job.aask(begun, gate)))
            while pending and (len(pending) >= job.window or pending[0].done()):
                # Not awaited by itself: a cancellation would end it alone, and the next row would take its place.
                await asyncio.wait([pending[0]])
                yield pending.popleft().result()
        while pending:
            await asyncio.wait([pending[0]])
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _aeach(rows: Iterator[Any] | AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    if isinstance(rows, AsyncIterator):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
            # The calls begin while the rows are read, and a long run out of the resume file does not block the loop.
            await asyncio.sleep(0)
