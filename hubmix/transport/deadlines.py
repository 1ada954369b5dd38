"""One thread that wakes sync streams which have gone silent.

A blocked read cannot be ended by closing the response from another thread (measured); shutting the socket down ends
it at once. The thread lives only while sync streams are open.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

_FAR = float("inf")


class Watch:
    """One open stream under watch; its reader moves `deadline`.

    Args:
        wake: ends a blocked read.
        deadline: when it is to do so.
        holds: kept reachable while under watch, so that garbage collection does not close it before its reader.
    """

    __slots__ = ("_deadline", "_wake", "expired", "holds", "watchdog")

    def __init__(self, wake: Callable[[], None], deadline: float, holds: object = None) -> None:
        self._wake = wake
        self.holds = holds
        self._deadline = deadline
        self.expired = False
        self.watchdog: Watchdog | None = None

    @property
    def deadline(self) -> float:
        """When the stream has been silent for too long."""
        return self._deadline

    @deadline.setter
    def deadline(self, value: float) -> None:
        self._deadline = value
        # After the first word the silence allowed is often shorter: the watchdog must not sleep until the old deadline.
        if self.watchdog is not None and value < self.watchdog.wakes_at:
            self.watchdog.hurry()

    def expire(self) -> None:
        """End the blocked read; the reader sees `expired`."""
        self.expired = True
        self._wake()


class Watchdog:
    """Keeps the watches of a process and the thread that looks after them."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Watch nothing, as in a forked child, whose sockets are its parent's."""
        self._condition = threading.Condition()
        self._watches: set[Watch] = set()
        self._thread: threading.Thread | None = None
        self.wakes_at = _FAR  # read without the lock; too late is safe, it only costs a needless look

    def hurry(self) -> None:
        """Look at the deadlines again: one of them has come nearer."""
        with self._condition:
            self._condition.notify_all()

    def add(self, watch: Watch) -> None:
        """Begin to watch."""
        with self._condition:
            self._watches.add(watch)
            watch.watchdog = self
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="hubmix-watchdog", daemon=True)
                self._thread.start()
            else:
                self._condition.notify_all()

    def remove(self, watch: Watch) -> None:
        """End the watch; when it was the last one, the thread ends too."""
        with self._condition:
            self._watches.discard(watch)
            thread = self._thread
            if self._watches or thread is None or thread is threading.current_thread():
                return
            self._condition.notify_all()
            # Another reader may come meanwhile and keep the thread busy, which is no reason to wait for it here.
            self._condition.wait_for(lambda: self._thread is not thread or bool(self._watches), 1.0)
            ended = self._thread is not thread
        if ended:
            thread.join(1.0)

    def _run(self) -> None:
        with self._condition:
            while self._watches:
                # Until the next wait begins, a moved deadline asks for another look.
                self.wakes_at = _FAR
                now = time.monotonic()
                for watch in [w for w in tuple(self._watches) if w.deadline <= now]:
                    self._watches.discard(watch)
                    watch.expire()
                earliest = min([w.deadline for w in tuple(self._watches)], default=_FAR)
                if self._watches:
                    self.wakes_at = earliest
                    self._condition.wait(None if earliest == _FAR else max(earliest - now, 0.001))
            self._thread = None
            self._condition.notify_all()


def socket_shutdown(response: object) -> Callable[[], None] | None:
    """Return what ends a blocked read, or None without a socket (a mock, HTTP/2)."""
    extensions = getattr(response, "extensions", {})
    stream = extensions.get("network_stream")
    if stream is None or extensions.get("http_version") == b"HTTP/2":
        return None
    found = stream.get_extra_info("socket")
    return None if found is None else shutdown_of(found)


def shutdown_of(found: socket.socket) -> Callable[[], None]:
    """Return what ends a blocked read of a socket."""

    def shut() -> None:
        with contextlib.suppress(OSError):  # it may have been closed in the meantime, which is what was wanted
            found.shutdown(socket.SHUT_RDWR)

    return shut


WATCHDOG = Watchdog()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WATCHDOG.begin)
