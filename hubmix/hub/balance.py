"""What is left on a key, in USD, as far as the hub says."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

from hubmix._html import line
from hubmix._text import plain
from hubmix.catalog.cells import mapping, number, tidy
from hubmix.failover.classify import classify
from hubmix.failover.report import to_exception
from hubmix.presets import Dialect
from hubmix.transport.evidence import page_evidence
from hubmix.transport.get import Ask, Conversation, Fetched, Fetcher, aconverse, converse
from hubmix.wire.json_text import loads

UNLIMITED_NOTE = "unlimited key; the account's balance is not visible"
SILENT_NOTE = "this hub does not say what is left on a key"

# New API and one-api give this sum for a key without a limit, whatever the account holds, an empty one too.
_UNLIMITED = Decimal(100_000_000)
_QUOTA_PER_USD = Decimal(500_000)
_MILLIONTH = Decimal("0.000001")
_ABSENT = frozenset({301, 302, 307, 308, 404, 405, 410, 501})


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left on a key.

    Attributes:
        remaining: what may still be spent; None if that is not visible, and `note` says why.
        granted: what the key was given in all, if the hub says.
        used: what it has spent, if the hub says.
        unlimited: the key has no limit of its own; the account behind it has one that a key cannot see.
        currency: always "USD": a hub that shows another currency is converted at its own rate.
        note: what to know about it; "" for nothing.
        source: the path that answered; "" for none.
    """

    remaining: Decimal | None = None
    granted: Decimal | None = None
    used: Decimal | None = None
    unlimited: bool = False
    currency: str = "USD"
    note: str = ""
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, amounts as floats."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: float(value) if isinstance(value, Decimal) else value for name, value in values.items()}

    def __str__(self) -> str:
        if self.remaining is None:
            spent = f" ({self.currency} {plain(self.used)} used)" if self.used is not None else ""
            return self.note + spent
        parts = [f"{self.currency} {plain(self.remaining)} left"]
        if self.granted is not None:
            parts.append(f"of {plain(self.granted)}")
        return " ".join(parts) + (f" ({self.note})" if self.note else "")

    def _repr_html_(self) -> str:
        return line(str(self))


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of the hub's sums, and its quota units for a USD."""

    per_usd: Decimal = Decimal(1)
    quota_per_usd: Decimal = _QUOTA_PER_USD


def balance(fetch: Fetcher, *, dialect: Dialect, base_url: str, timeout: float = 10.0) -> Balance:
    """Ask a hub what is left on the key.

    Args:
        fetch: what makes the requests, usually the `Hub`.
        dialect: "aihubmix", "new-api", or "generic" for a hub that nothing is known of.
        base_url: for error messages.
        timeout: seconds for each request.

    Returns:
        A `Balance`; its `note` says so if the hub does not tell.

    Raises:
        AuthenticationError: the hub does not accept the key.
        HubmixError: the hub could not be reached, or failed.
    """
    return converse(ask_balance(dialect, base_url), fetch, timeout=timeout)


async def abalance(fetch: Fetcher, *, dialect: Dialect, base_url: str, timeout: float = 10.0) -> Balance:
    """`balance`, for asyncio."""
    return await aconverse(ask_balance(dialect, base_url), fetch, timeout=timeout)


def ask_balance(dialect: Dialect, base_url: str) -> Conversation[Balance]:
    """The questions, in order, until one is answered."""
    status = yield Ask("//api/status", authorized=False)
    unit = read_unit(_json(status) if isinstance(status, Fetched) and status.status == 200 else None)
    for way in _WAYS[dialect]:
        found = yield from way(unit, base_url)
        if found is not None:
            return found
    return Balance(note=SILENT_NOTE)


# The readers: pure, JSON in, a Balance out, None for JSON that is something else.


def read_unit(payload: Any) -> Unit:
    """Read `GET /api/status`: in which unit the billing pages are.

    An operator may show CNY, or bare quota units.

    Source: QuantumNous/new-api, controller/misc.go and controller/billing.go; AIHubMix says the same of its own.
    """
    data = mapping(mapping(payload).get("data"))
    quota = number(data.get("quota_per_unit")) or _QUOTA_PER_USD
    shown = data.get("quota_display_type")
    if data.get("display_in_currency") is False or shown == "TOKENS":
        return Unit(quota, quota)
    if shown == "CNY":
        return Unit(number(data.get("usd_exchange_rate")) or Decimal(1), quota)
    return Unit(Decimal(1), quota)


def read_remain(payload: Any, unit: Unit) -> Balance | None:
    """Read AIHubMix's `/dashboard/billing/remain`: `total_usage` is what remains."""
    body = mapping(payload)
    left = _signed(body.get("total_usage", mapping(body.get("data")).get("total_usage")))
    if left is None:
        return None
    if left >= _UNLIMITED:
        return Balance(unlimited=True, note=UNLIMITED_NOTE)
    return Balance(remaining=_usd(left / unit.per_usd))


def read_token_usage(payload: Any, unit: Unit) -> Balance | None:
    """Read New API's `/api/usage/token/`: granted, used and left, in quota units."""
    data = mapping(mapping(payload).get("data"))
    granted, used, left = (_signed(data.get(f"total_{name}")) for name in ("granted", "used", "available"))
    if left is None:
        return None
    spent = None if used is None else _usd(used / unit.quota_per_usd)
    if data.get("unlimited_quota") is True:
        return Balance(used=spent, unlimited=True, note=UNLIMITED_NOTE)
    total = None if granted is None else _usd(granted / unit.quota_per_usd)
    return Balance(remaining=_usd(left / unit.quota_per_usd), granted=total, used=spent)


def read_subscription(subscription: Any, usage: Any, unit: Unit) -> Balance | None:
    """Read `/dashboard/billing/subscription` and `/usage`: granted, and 100 x used.

    `soft_limit_usd` is not what is left: measured on running gateways, it stays what it was while the key spends.
    """
    granted = _signed(mapping(subscription).get("soft_limit_usd"))
    if granted is None:
        granted = _signed(mapping(subscription).get("hard_limit_usd"))
    if granted is None:
        return None
    hundredfold = _signed(mapping(usage).get("total_usage"))
    used = None if hundredfold is None else _usd(hundredfold / 100 / unit.per_usd)
    if granted >= _UNLIMITED:
        return Balance(used=used, unlimited=True, note=UNLIMITED_NOTE)
    total = _usd(granted / unit.per_usd)
    if used is None:
        return Balance(granted=total, note="the hub says what was granted, not what was used")
    return Balance(remaining=_usd(total - used), granted=total, used=used)


# The ways: each asks and reads, and returns None where this hub has no such page.

_Way = Callable[[Unit, str], Generator[Ask, "Fetched | Exception", "Balance | None"]]


def _remain(unit: Unit, base_url: str) -> Generator[Ask, Fetched | Exception, Balance | None]:
    path = "//dashboard/billing/remain"
    return _from(path, read_remain(_page((yield Ask(path)), base_url), unit))


def _token_usage(unit: Unit, base_url: str) -> Generator[Ask, Fetched | Exception, Balance | None]:
    # Without the last slash the hub redirects.
    path = "//api/usage/token/"
    return _from(path, read_token_usage(_page((yield Ask(path)), base_url), unit))


def _subscription(unit: Unit, base_url: str) -> Generator[Ask, Fetched | Exception, Balance | None]:
    path = "//dashboard/billing/subscription"
    subscription = _page((yield Ask(path)), base_url)
    if subscription is None:
        return None
    usage = _page((yield Ask("//dashboard/billing/usage")), base_url)
    return _from(path, read_subscription(subscription, usage, unit))


_WAYS: Mapping[Dialect, tuple[_Way, ...]] = {
    "aihubmix": (_remain, _subscription),
    "new-api": (_token_usage, _subscription),
    "generic": (_token_usage, _subscription),
}


def _from(path: str, found: Balance | None) -> Balance | None:
    return None if found is None else replace(found, source=path.lstrip("/"))


def _page(answer: Fetched | Exception, base_url: str) -> Any:
    """Return the JSON of an answer; None if there is no such page."""
    if isinstance(answer, Exception):
        raise answer
    if answer.status in _ABSENT:
        return None
    if answer.status == 200:
        # An error object under status 200, or the web page that unknown paths get, is as good as no page.
        payload = _json(answer)
        return None if "error" in mapping(payload) else payload
    evidence = page_evidence(answer.status, answer.headers, answer.body)
    # No vendor stands behind a page of the hub: whatever it says, the hub says it.
    raise to_exception(classify(evidence, frozenset()), evidence, model="", base_url=base_url)


def _json(answer: Fetched) -> Any:
    try:
        return loads(answer.body)
    except ValueError:
        return None


def _usd(amount: Decimal) -> Decimal:
    """Return USD to a millionth: what is finer is noise of the hub's floats."""
    return tidy(amount.quantize(_MILLIONTH))


def _signed(value: Any) -> Decimal | None:
    """A sum that may be negative: an account that was overdrawn."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        amount = number(-value)
        return None if amount is None else -amount
    return number(value)
