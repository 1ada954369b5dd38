"""The order of a call's routes: the user's, or by price, latency or throughput."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal

from hubmix.errors import ConfigurationError
from hubmix.failover.measurements import MEASUREMENTS, PREFERENCES, Measurements, Prefer, RouteKey
from hubmix.failover.route import Route


def check_preference(prefer: object) -> None:
    """Refuse a word that names no order."""
    if prefer not in PREFERENCES:
        raise ConfigurationError(f"prefer must be one of {', '.join(map(repr, PREFERENCES))}, not {prefer!r}.")


def measured_as(route: Route, *, streaming: bool) -> RouteKey:
    """Return what a route is measured under."""
    return RouteKey(route.hub.name, route.hub.breakers.account, route.model, route.api.name, streaming)


def preferred(
    routes: Sequence[Route],
    prefer: Prefer,
    price: Callable[[Route], Decimal | None],
    *,
    streaming: bool,
    measurements: Measurements = MEASUREMENTS,
) -> tuple[list[Route], str | None]:
    """Return the routes in the preferred order, and why the first one is first.

    Mirrors and other APIs stay behind their route. What is unknown goes last, by price, and first once, by measurement.

    Args:
        routes: in the order of the user.
        prefer: what decides.
        price: the most that the request can cost over a route, in USD; None if that is unknown.
        streaming: whether the call is a stream.
        measurements: what is known of the routes.
    """
    groups: dict[Hashable, list[Route]] = {}
    for route in routes:
        groups.setdefault((route.hub.name, route.hub.breakers.account, route.model), []).append(route)
    if prefer == "order" or len(groups) < 2:
        return list(routes), None
    firsts = [group[0] for group in groups.values()]
    if prefer == "price":
        prices = [price(first) for first in firsts]
        ranks = sorted(range(len(firsts)), key=lambda rank: (prices[rank] is None, prices[rank] or 0))
        reason: str | None = _price_reason([prices[rank] for rank in ranks])
    else:
        order = measurements.order([measured_as(first, streaming=streaming) for first in firsts], prefer)
        ranks, reason = order.ranks, order.reason
    ordered = list(groups.values())
    return [route for rank in ranks for route in ordered[rank]], reason


def _price_reason(prices: Sequence[Decimal | None]) -> str:
    first, second = prices[0], prices[1]
    if first is None:
        return "price unknown"
    return f"price {first:.6f} USD" + (f" < {second:.6f} USD" if second is not None and second != first else "")
