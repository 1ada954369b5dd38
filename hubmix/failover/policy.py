"""How failover behaves: when to retry, when to go on, when to give up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

from hubmix.errors import ConfigurationError
from hubmix.failover.evidence import Evidence, Failure

BACKOFF = 0.5  # seconds, doubled with every try of the same route
LONGEST_BACKOFF = 8.0  # seconds
RETRIES_ON_LAST = 2
"""Retries of a model while no other healthy one remains, where the policy allows any and not more."""

_OPTIONAL = ("first_token_timeout", "hedge_after", "idle_timeout")


@dataclass(frozen=True, slots=True)
class FailoverPolicy:
    """How a call walks its candidates. A frozen value; all times are in seconds.

    Args:
        max_retries: retries of the same model while another healthy one remains. On the last one it is at least two;
            0 means never.
        max_attempts: requests in all, whatever the number of candidates.
        first_token_timeout: the wait for the first content of a stream, after which the next model is asked; None
            leaves it to `timeout`. Comments and role chunks do not count as content.
        hedge_after: seconds without content after which the next route is asked at the same time. The first content
            wins, and the other request is closed; the hub may bill its prompt. None for never.
        idle_timeout: the longest silence inside a stream; None for no limit.
        max_retry_after: the longest single wait. A hub that asks for more is not waited for.
        fallback_on_content_filter: ask the next model where a content filter refused.
        capability_filter: pass over fallbacks that, by the catalog, cannot do what the request needs.
        max_price_ratio: with ``fallbacks="auto"``, how many times as much as the primary a fallback may cost.
        wait: a `tenacity` wait strategy between two tries of one route; the SDK's own by default, full jitter over
            0.5 s doubled each time, at most 8 s. A wait that the hub asked for comes before it.
        stop: a `tenacity` stop strategy that ends the retries of the call, such as `stop_before_delay(20)`.
        classify: may replace the failure that an attempt means; called with the evidence and the table's own verdict,
            returns another `Failure`, or None to leave it. It is not asked about a stream that broke off after its
            first content: that call ends with `StreamInterruptedError` in any case.

    Raises:
        ConfigurationError: If a number is none, or out of range.

    Example:
        >>> FailoverPolicy(max_retries=0).max_attempts
        6
    """

    max_retries: int = 1
    max_attempts: int = 6
    first_token_timeout: float | None = None
    hedge_after: float | None = None
    idle_timeout: float | None = 120.0
    max_retry_after: float = 60.0
    fallback_on_content_filter: bool = False
    capability_filter: bool = True
    max_price_ratio: float = 1.5
    wait: Callable[[Any], float] | None = None
    stop: Callable[[Any], bool] | None = None
    classify: Callable[[Evidence, Failure], Failure | None] | None = None

    def __post_init__(self) -> None:
        self._check_types()
        if self.max_retries < 0:
            raise ConfigurationError(f"max_retries must be 0 or more, not {self.max_retries}.")
        if self.max_attempts < 1:
            raise ConfigurationError(f"max_attempts must be 1 or more, not {self.max_attempts}.")
        if self.max_price_ratio <= 0:
            raise ConfigurationError(f"max_price_ratio must be more than 0, not {self.max_price_ratio}.")
        if self.max_retry_after < 0:
            raise ConfigurationError(f"max_retry_after must be 0 or more seconds, not {self.max_retry_after}.")
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigurationError(f"{name} must be more than 0 seconds, or None for no limit; not {value}.")

    def _check_types(self) -> None:
        for name in ("max_retries", "max_attempts"):
            if not isinstance(value := getattr(self, name), Integral):
                raise ConfigurationError(f"{name} must be a whole number, not {value!r}.")
        for name in (*_OPTIONAL, "max_retry_after", "max_price_ratio"):
            value = getattr(self, name)
            if not isinstance(value, Real) and not (value is None and name in _OPTIONAL):
                raise ConfigurationError(f"{name} must be a number, not {value!r}.")

    def retries(self, *, on_last: bool) -> int:
        """Return how often the same route may be asked again."""
        if on_last and self.max_retries > 0:
            return max(self.max_retries, RETRIES_ON_LAST)
        return self.max_retries

    def backoff(self, tries: int) -> float:
        """Return the seconds to wait after so many tries of one route."""
        return float((self.wait or _sdk_backoff())(_retry_state(tries)))

    def stops(self, requests: int, elapsed: float, wait: float) -> bool:
        """Whether no retry follows after so many requests and seconds, and another wait."""
        return self.stop is not None and bool(self.stop(_retry_state(requests, elapsed, wait)))


@lru_cache(maxsize=1)
def _sdk_backoff() -> Callable[[Any], float]:
    from tenacity import wait_random_exponential  # not on the way of a healthy call

    return wait_random_exponential(multiplier=BACKOFF, max=LONGEST_BACKOFF)


def _retry_state(attempt: int, elapsed: float = 0.0, wait: float = 0.0) -> Any:
    """Return the state that tenacity's strategies are called with."""
    from tenacity import RetryCallState

    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]  # nothing is called
    state.attempt_number, state.upcoming_sleep = attempt, wait
    state.outcome_timestamp = state.start_time + elapsed
    return state


def read_policy(given: Any) -> FailoverPolicy | None:
    """The policy as a user gives it: itself, or a dict of its parameters.

    Raises:
        ConfigurationError: If it is neither, or a parameter does not exist: a typo must not be swallowed.
    """
    if given is None or isinstance(given, FailoverPolicy):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"failover must be a FailoverPolicy or a dict of its parameters, not {type(given).__name__}."
        )
    names = [field.name for field in fields(FailoverPolicy)]
    for name in given:
        if name not in names:
            raise ConfigurationError(f"FailoverPolicy has no parameter {name!r}; it has {', '.join(names)}.")
    return FailoverPolicy(**given)
