"""No test talks to anything beyond loopback.

An audit hook sees every connection and every name look-up of the process, by any code and whatever else is
patched, and it cannot be taken out again by accident. What it stops is also noted: an SDK turns any exception of its
transport into "Connection error.", so a test that forgot its mock could otherwise pass for the wrong reason.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where the host stands in each audit event: https://docs.python.org/3/library/audit_events.html
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_CONNECTIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
# RFC 6761: no look-up ever finds a name under these, so a test may use one as a host that does not exist.
_NEVER_FOUND = (".invalid", ".test", ".example")


class NetworkBlockedError(RuntimeError):
    """A test tried to reach a host beyond loopback."""


class _Guard:
    """Whether the process-wide hook stops anything, and what it has stopped."""

    def __init__(self) -> None:
        self.installed = False
        self.open = False
        self.stopped: list[str] = []

    def check(self, event: str, args: tuple[Any, ...]) -> None:
        if self.open:
            return
        if event in _LOOKUPS:
            self._check_host(event, args[0])
        elif event == "socket.getnameinfo":
            self._check_host(event, args[0][0])
        elif event in _CONNECTIONS and args[0].family in (socket.AF_INET, socket.AF_INET6) and args[1]:
            self._check_host(event, args[1][0])

    def _check_host(self, event: str, host: Any) -> None:
        name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
        if is_loopback(name):
            return
        if event in _LOOKUPS and str(name).rstrip(".").endswith(_NEVER_FOUND):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.stopped.append(f"{event} {name!r}")
        raise NetworkBlockedError(
            f"Tests reach nothing beyond loopback, and this one tried {event} {name!r}. "
            "Is a mock or a base URL missing?"
        )


_guard = _Guard()


def is_loopback(host: Any) -> bool:
    """Return whether `host` is this machine."""
    if host is None or host in ("", "localhost", "localhost.localdomain"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def install() -> None:
    """Put the hook in place, once a process; audit hooks cannot be removed."""
    if not _guard.installed:
        _guard.installed = True
        sys.addaudithook(lambda event, args: _guard.check(event, args) if event.startswith("socket.") else None)


@contextmanager
def allowed() -> Iterator[None]:
    """Let the network through, for the recording of a live cassette."""
    before, _guard.open = _guard.open, True
    try:
        yield
    finally:
        _guard.open = before


def take_stopped() -> list[str]:
    """What was stopped since the last call."""
    stopped, _guard.stopped = _guard.stopped, []
    return stopped
