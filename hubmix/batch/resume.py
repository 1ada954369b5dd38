"""The resume file: a JSON line for each finished row, written as it finishes."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from hubmix import errors
from hubmix.batch.requests import Request
from hubmix.batch.rows import Row
from hubmix.errors import AllModelsFailedError, ConfigurationError, HubmixError, Scope
from hubmix.wire import Reply, read_reply
from hubmix.wire.trace import Trace
from hubmix.wire.values import AnswerError, Cost

# A killed process loses nothing that was flushed; only a dead machine does, and then these seconds at most.
_SYNC_EVERY = 5.0
_log = logging.getLogger("hubmix.batch")
_DETAILS = ("kind", "status", "code", "model", "base_url", "request_id", "hub_message", "retry_after")


@dataclass(frozen=True, slots=True)
class _Line:
    """The place of a row's last line: answers stay on disk until their row's turn."""

    offset: int
    number: int
    ok: bool


class Journal:
    """A resume file, read at the start and appended to. Thread-safe.

    Args:
        path: the file; made where it does not exist, its folder too.
        retry_errors: ask again for rows that failed in an earlier run.

    Raises:
        ConfigurationError: the file cannot be read and written, or holds something else and is left as it is.
    """

    def __init__(self, path: Path, *, retry_errors: bool = True) -> None:
        self.path = path
        self._retry_errors = retry_errors
        self._lock = threading.Lock()
        self._file = _opened(path)
        try:
            _lock_file(self._file, path)
            self._known = self._read()
        except BaseException:
            self._file.close()
            raise
        self._synced = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.close()
        except HubmixError:
            if error is None:  # else it is what ended the run, and says more
                raise

    def close(self) -> None:
        """Bring everything to the disk."""
        with self._lock:
            if self._file.closed:
                return
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise self._unwritable(error) from error
            finally:
                _unlock_file(self._file)
                with suppress(OSError):  # of a flush that has failed already
                    self._file.close()

    def find(self, request: Request) -> Row | None:
        """Return the row as an earlier run left it, or None if it is still to be asked."""
        line = self._known.get((request.index, request.key))
        if line is None or not (line.ok or not self._retry_errors):
            return None
        with self._lock:
            self._file.seek(line.offset)
            text = self._file.readline()
        try:
            return row_from_entry(json.loads(text), request)
        except (AnswerError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            why = type(error).__name__
            _log.warning("Line %d of %s cannot be read, and its row is asked again: %s", line.number, self.path, why)
            return None

    def write(self, row: Row, key: str) -> None:
        """Append a finished row; after `close`, drop it.

        Raises:
            HubmixError: the disk is full, or gone.
        """
        line = json.dumps(row_to_entry(row, key), ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
        with self._lock:
            if self._file.closed:
                return
            try:
                self._file.write(line + b"\n")
                self._file.flush()
                if time.monotonic() - self._synced > _SYNC_EVERY:
                    os.fsync(self._file.fileno())
                    self._synced = time.monotonic()
            except OSError as error:
                raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> HubmixError:
        return HubmixError(
            f"The resume file {self.path} cannot be written: {error.strerror or error}. The map ends here, since what "
            "is answered now would be lost with it. Make room and run it again: the rows in the file are not asked "
            "again.",
            kind="resume",
        )

    def _read(self) -> dict[tuple[int, str], _Line]:
        known: dict[tuple[int, str], _Line] = {}
        self._file.seek(0)
        offset = 0
        for number, line in enumerate(self._file, start=1):
            entry = _entry(line)
            if entry is None and not line.endswith(b"\n"):
                # The run was killed while it wrote: cut the piece off, or the next line would be glued to it.
                self._file.truncate(offset)
                break
            if entry is None:
                raise ConfigurationError(
                    f"{self.path} is not a resume file of hub.map: line {number} is none of its lines. It was left as "
                    "it is; name another file in resume=."
                )
            known[entry["index"], entry["request"]] = _Line(offset, number, entry["ok"] is True)
            offset += len(line)
            if not line.endswith(b"\n"):
                self._file.write(b"\n")
        return known


def _opened(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.is_file():
            return path.open("a+b")
    except (OSError, ValueError) as error:  # ValueError: a null character or half a character in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"resume={str(path)!r} cannot be used: {reason}. Nothing was sent.") from error
    raise ConfigurationError(f"resume={str(path)!r} cannot be used: it is no regular file. Nothing was sent.")


def _lock_file(file: IO[bytes], path: Path) -> None:
    """Keep a second writer out; the lock ends with the file or the process."""
    if sys.platform == "win32":  # a lock there is on bytes, and keeps readers out too
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(
            f"resume={str(path)!r} is in use by another map, here or in another process. Wait for its end, or name "
            "another file. Nothing was sent."
        ) from None
    except OSError:  # some network file systems have no locks
        _log.debug("%s cannot be locked", path)


def _unlock_file(file: IO[bytes]) -> None:
    # A forked child shares the lock and would keep it.
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict):
        return None
    kinds = {"index": int, "request": str, "ok": bool}
    return entry if all(type(entry.get(name)) is kind for name, kind in kinds.items()) else None


def row_to_entry(row: Row, key: str) -> dict[str, Any]:
    """A row as JSON: what came from the hub as it came, and what was made of it."""
    entry: dict[str, Any] = {"index": row.index, "request": key, "ok": row.ok, "seconds": row.seconds}
    reply = row.reply
    if reply is not None:
        entry["text"] = reply.text
        entry |= {"model": reply.served, "hub": reply.hub, "api": reply.api}
        entry["cost"] = None if reply.cost is None else reply.cost.to_dict()
        entry["request_id"] = reply.request_id
        entry["trace"] = None if reply.trace is None else reply.trace.to_dict()
        entry["answer"] = reply.raw
    if row.error is not None:
        entry["error"] = error_to_dict(row.error)
    return entry


def row_from_entry(entry: Mapping[str, Any], request: Request) -> Row:
    """The row that an entry was made of, with the input of this run."""
    seconds = entry.get("seconds")
    row = Row(request.index, request.input, seconds=None if seconds is None else float(seconds), resumed=True)
    if entry["ok"]:
        row.reply = _reply(entry, request)
    else:
        row.error = error_from_dict(entry.get("error") or {})
    return row


def _reply(entry: Mapping[str, Any], request: Request) -> Reply:
    reply = read_reply(entry["answer"], n=(request.payload or {}).get("n") or 1)
    reply.served, reply.hub, reply.api = (entry.get(name) for name in ("model", "hub", "api"))
    reply.request_id = entry.get("request_id")
    if trace := entry.get("trace"):
        reply.trace = Trace.from_dict(trace)
    if cost := entry.get("cost"):
        reply.cost = cost_from_dict(cost)
    return reply


def cost_from_dict(values: Mapping[str, Any]) -> Cost:
    """The `Cost` that `Cost.to_dict` was made of."""
    amounts = ("input", "output", "cache_read", "cache_write", "audio", "per_call")
    # Through text: the float 0.1 is not the decimal 0.1.
    known: dict[str, Any] = {name: Decimal(str(values[name])) for name in amounts if values.get(name) is not None}
    known["total"] = None if values.get("exact") is None else Decimal(values["exact"])
    return Cost(values["model"], currency=values["currency"], complete=values["complete"], **known)


def error_to_dict(error: HubmixError) -> dict[str, Any]:
    """An error as JSON: its class by name, its message and its details."""
    entry: dict[str, Any] = {"type": type(error).__name__, "message": str(error.args[0]) if error.args else ""}
    entry["scope"] = None if error.scope is None else error.scope.value
    entry.update({name: getattr(error, name) for name in _DETAILS})
    if isinstance(error, AllModelsFailedError):
        entry["errors"] = [error_to_dict(inner) for inner in _inner(error)]
    return {name: value for name, value in entry.items() if value is not None}


def error_from_dict(entry: Mapping[str, Any]) -> HubmixError:
    """Return the error of `error_to_dict`; an unknown class becomes a `HubmixError`."""
    details: dict[str, Any] = {name: entry.get(name) for name in _DETAILS}
    details["scope"] = Scope(entry["scope"]) if entry.get("scope") else None
    found = getattr(errors, str(entry.get("type")), HubmixError)
    cls = found if isinstance(found, type) and issubclass(found, HubmixError) else HubmixError
    message = str(entry.get("message", ""))
    if issubclass(cls, AllModelsFailedError):
        inner = [error_from_dict(each) for each in entry.get("errors", [])]
        return cls(message, inner or [HubmixError(message)], **details)
    return cls(message, **details)


def _inner(error: AllModelsFailedError) -> Iterator[HubmixError]:
    for each in error.exceptions:
        yield each if isinstance(each, HubmixError) else HubmixError(str(each))
