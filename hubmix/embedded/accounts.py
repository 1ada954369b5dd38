"""Keys and money: who may call, what was spent, how many calls a minute are left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

DEFAULT_KEY = "sk-embedded"
UNLIMITED_USD = 100_000_000  # what every measured hub reports for a key without a quota of its own
QUOTA_PER_USD = 500_000

# The states a key can be in, and the error each is answered with.
STATES: Mapping[str, str | None] = {
    "good": None,
    "expired": "key_expired",
    "disabled": "key_disabled",
    "spent": "key_spent",
    "short": "key_short",
    "banned": "account_banned",
    "empty": "account_empty",
    "ip_denied": "key_ip_denied",
    "model_denied": "key_model_denied",
}
# These are found out only when a model is called; the others at the door, on every path that wants a key.
_LATE = {"key_short", "account_empty", "key_model_denied"}


@dataclass(slots=True)
class Account:
    """One key: its state, the USD it was granted (None: no limit), and used."""

    state: str = "good"
    granted: float | None = None
    used: float = 0.0
    calls: list[float] = field(default_factory=list)


class Accounts:
    """The keys of a hub; thread-safe.

    Args:
        keys: Key to state (see `STATES`), or to the USD it was granted; or just keys that are good.
        balance: USD on the account behind all keys.
        rate_limit: Calls of a model that each key may make in a minute; None is no limit.
        clock: Seconds; monotonic.
    """

    def __init__(
        self,
        keys: Mapping[str, str | float] | Sequence[str] = (),
        *,
        balance: float = 10.0,
        rate_limit: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.balance = balance
        self.rate_limit = rate_limit
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts = {DEFAULT_KEY: Account()}
        items = keys.items() if isinstance(keys, Mapping) else [(key, "good") for key in keys]
        for key, state in items:
            self.set(key, state)

    def set(self, key: str, state: str | float) -> None:
        """Register a key, or change its state.

        Raises:
            ValueError: there is no such state.
        """
        if isinstance(state, str) and state not in STATES:
            raise ValueError(f"no state {state!r} of a key; there are: {', '.join(STATES)}")
        with self._lock:
            self._accounts[key] = Account(state) if isinstance(state, str) else Account(granted=float(state))

    def find(self, key: str) -> Account | None:
        """The account of a key, or None."""
        return self._accounts.get(key)

    def account(self, key: str) -> Account:
        """The account of a key that was let in.

        Raises:
            KeyError: the key is unknown.
        """
        return self._accounts[key]

    def left(self, key: str) -> float:
        """USD left on the account behind a key."""
        return 0.0 if self.account(key).state == "empty" else self.balance - self.used

    def refuse_at_door(self, key: str | None) -> str | None:
        """The case of the error for a key on any path, or None if it may enter."""
        if not key:
            return "no_key"
        account = self._accounts.get(key)
        if account is None:
            known = key.rpartition("-")[0]
            return "key_with_channel" if known in self._accounts else "bad_key"
        case = "key_spent" if _is_spent(account) else STATES[account.state]
        return None if case in _LATE else case

    def refuse_call(self, key: str) -> str | None:
        """Return the case of the error for a call of a model; None if it is answered."""
        case = STATES[self._accounts[key].state]
        return case if case in _LATE else None

    def over_limit(self, key: str) -> bool:
        """Count a call, and say whether it is one too many for this minute."""
        if self.rate_limit is None:
            return False
        now = self._clock()
        with self._lock:
            account = self._accounts[key]
            account.calls = [at for at in account.calls if now - at < 60]
            if len(account.calls) >= self.rate_limit:
                return True
            account.calls.append(now)
            return False

    def charge(self, key: str, usd: float) -> None:
        """Book what a call cost."""
        with self._lock:
            self._accounts[key].used += usd

    @property
    def used(self) -> float:
        """USD spent by all keys."""
        return sum(account.used for account in self._accounts.values())

    def clear(self) -> None:
        """Forget what was used and how often was called; the keys stay."""
        with self._lock:
            for account in self._accounts.values():
                account.used = 0.0
                account.calls.clear()


def _is_spent(account: Account) -> bool:
    return account.granted is not None and account.used >= account.granted
