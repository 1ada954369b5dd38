"""The IETF's fields of a rate limit, as hubs write them."""

from __future__ import annotations

import pytest

from hubmix.failover.classify import retry_after_of
from hubmix.failover.rate_fields import RateFields, read_rate_fields


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ratelimit": '"default";r=0;t=30'}, RateFields((), 30)),
        ({"ratelimit": '"default";r=5;t=30'}, RateFields()),
        ({"ratelimit": '"a";r=5;t=1, "b";r=0;t=9, "c,d";r=0;t=3'}, RateFields((), 9)),
        ({"ratelimit": "limit=100, remaining=0, reset=5"}, RateFields((), 5)),
        ({"ratelimit": "limit=100, remaining=7, reset=5"}, RateFields()),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "7", "ratelimit-limit": "9"}, RateFields((), 7)),
        ({"ratelimit-policy": '"burst";q=100;w=60,"daily";q=1000;w=86400'}, RateFields(((100, 60), (1000, 86400)))),
        ({"ratelimit-policy": "100;w=10"}, RateFields(((100, 10),))),
        ({"ratelimit-policy": '"b";q=5;w=1;qu="content-bytes"'}, RateFields()),
        ({"ratelimit-policy": '"b";q=0;w=1, "c";q=5;w=0, "d";q=x;w=1'}, RateFields()),
        ({"ratelimit-policy": '"b";q=99999999999999999999;w=1'}, RateFields()),
        ({"ratelimit": "x" * 100_000, "ratelimit-policy": '"' * 100_000}, RateFields()),
        ({}, RateFields()),
    ],
)
def test_fields_of_every_version_are_read(headers: dict[str, str], expected: RateFields) -> None:
    assert read_rate_fields(headers) == expected


def test_wait_comes_from_the_limit_if_nothing_else_says_it() -> None:
    used_up = {"ratelimit": '"default";r=0;t=30'}
    assert retry_after_of(used_up) == 30
    assert retry_after_of({**used_up, "retry-after": "2"}) == 2
    assert retry_after_of({**used_up, "retry-after-ms": "1500"}) == 1.5
    assert retry_after_of({"ratelimit": '"default";r=3;t=30'}) is None
