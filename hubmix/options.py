"""What one call may ask for beyond its payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hubmix.failover import Attempt, FailoverPolicy


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How a call is made.

    Args:
        fallbacks: Model IDs to go on to, in order; ``"auto"`` lets the catalog choose the nearest ones.
        policy: When to retry, when to go on, when to give up.
        timeout: Seconds for one attempt; for a stream, until its first word.
        total_timeout: Seconds for everything, waits included.
        headers: Sent with each attempt.
        extra_body: Fields merged last into the body, for a vendor's own parameters.
        on_attempt: Told of every failed or skipped attempt as it happens.
    """

    fallbacks: tuple[str, ...] | Literal["auto"] = ()
    policy: FailoverPolicy = field(default_factory=FailoverPolicy)
    timeout: float | None = None
    total_timeout: float | None = None
    headers: Mapping[str, str] | None = None
    extra_body: Mapping[str, Any] | None = None
    on_attempt: Callable[[Attempt], None] | None = None


DEFAULT_OPTIONS = CallOptions()
