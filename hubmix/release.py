"""Give back the connection of a sync stream that its reader dropped.

Garbage collection may run at any line of this thread, also inside the HTTP library's pool, whose lock is then held and
is not reentrant: closing a response there waits for ever (seen with a stream in a reference cycle). So the closing is
done by another thread, and waited for only as long as it can take where nothing is in its way.
"""

from __future__ import annotations

import _thread
from collections.abc import Iterator
from typing import Any

_PATIENCE = 0.05  # seconds; a thread that holds the pool's lock goes on after it, and the closing is done then


def release_elsewhere(response: Any, pieces: Iterator[bytes]) -> None:
    """Close a response in a thread of its own.

    The caller must have kept ``pieces`` reachable until now: the HTTP library's iterator closes the response too when
    it is collected, in whatever thread that happens.

    Args:
        response: The HTTP library's response.
        pieces: The iterator over its body.
    """
    done = _thread.allocate_lock()
    done.acquire()

    def close() -> None:
        try:
            response.close()
            # A user's stand-in for a response may give pieces that cannot be closed.
            end = getattr(pieces, "close", None)
            if end is not None:
                end()
        finally:
            done.release()

    try:
        # Not threading.Thread: its start takes a lock of the module that this thread, too, may hold.
        _thread.start_new_thread(close, ())
    except RuntimeError:  # the interpreter is ending and starts no more threads
        response.close()
        return
    done.acquire(timeout=_PATIENCE)
