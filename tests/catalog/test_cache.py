"""What a caller of the catalog's cache does before it takes the list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubmix.catalog.cache import FRESH, RETRY, Freshness, LastRefresh, decide, is_stale
from hubmix.catalog.snapshot import Snapshot, merge

LIST = merge({}, aliases={}, overrides={}, checked_at=0.0, notes={})
PARTIAL = replace(LIST, partial=True)
NEVER_ASKED = LastRefresh()
FAILED = LastRefresh(error="HTTP 500", retry_at=RETRY)
TAKE, RENEW, WAIT = Freshness.TAKE, Freshness.RENEW, Freshness.WAIT


@pytest.mark.parametrize(
    ("held", "last", "now", "wait", "required", "expected"),
    [
        (LIST, NEVER_ASKED, FRESH - 1, None, True, TAKE),
        (LIST, NEVER_ASKED, FRESH, None, True, RENEW),
        (LIST, FAILED, FRESH, 0, False, RENEW),
        (PARTIAL, NEVER_ASKED, RETRY, None, True, RENEW),
        (None, NEVER_ASKED, 0, None, True, WAIT),
        (None, NEVER_ASKED, 0, None, False, WAIT),
        (None, NEVER_ASKED, 0, 0, False, RENEW),
        (None, NEVER_ASKED, 0, 3.0, False, WAIT),
        (None, replace(NEVER_ASKED, too_slow=True), 0, 3.0, False, RENEW),
        (None, replace(NEVER_ASKED, too_slow=True), 0, None, True, WAIT),
        (None, FAILED, RETRY - 1, None, True, WAIT),
        (None, FAILED, RETRY - 1, None, False, TAKE),
        (None, FAILED, RETRY, None, False, WAIT),
        (None, FAILED, RETRY - 1, 3.0, False, TAKE),
        (None, replace(FAILED, error=None), RETRY - 1, None, False, WAIT),
    ],
)
def test_decision_follows_age_and_last_refresh(
    held: Snapshot | None, last: LastRefresh, now: float, wait: float | None, required: bool, expected: Freshness
) -> None:
    assert decide(held, last, now, wait, required) is expected


def test_partial_list_is_stale_sooner() -> None:
    assert not is_stale(LIST, RETRY)
    assert is_stale(PARTIAL, RETRY)
