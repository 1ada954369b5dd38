"""A forked child for a test that never comes back into the suite."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

import pytest


def exit_code_of_child(work: Callable[[], object], *, seconds: int = 10) -> int:
    """Do the work in a forked child; return 0 if it ended, 1 if it raised.

    A child that got out of the test would go on with the suite of its parent, over the same pipes.
    """
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.alarm(seconds)  # a lock that is never given back ends the child, and with it the wait of the parent
        work()
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)
