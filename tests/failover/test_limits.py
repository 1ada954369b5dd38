"""Whose time ran out: the caller's own, a busy process's, or the hub's."""

from __future__ import annotations

import pytest

from hubmix.failover.limits import CONNECT_TIMEOUT, Deadline

LONG = 2 * CONNECT_TIMEOUT


@pytest.mark.parametrize("cause", ["read_timeout", "first_token_timeout"])
def test_short_limit_is_the_callers_own(cause: str) -> None:
    assert Deadline(100.0, cause, CONNECT_TIMEOUT - 1).is_own(100.0)
    assert not Deadline(100.0, cause, CONNECT_TIMEOUT).is_own(100.0)


def test_short_silence_in_a_stream_counts() -> None:
    """A short `idle_timeout` is usual: a healthy stream keeps it."""
    assert not Deadline(100.0, "idle_timeout", 1.0).is_own(100.0)


@pytest.mark.parametrize("cause", ["read_timeout", "first_token_timeout", "idle_timeout"])
def test_limit_noticed_late_is_this_process_s_own(cause: str) -> None:
    """Late is more than a tenth of the limit: the answer may have been there."""
    limit = Deadline(100.0, cause, LONG)
    assert not limit.is_own(100.0 + LONG / 10)
    assert limit.is_own(100.1 + LONG / 10)
