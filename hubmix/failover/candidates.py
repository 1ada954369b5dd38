"""The routes of one call, and which of them is asked next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hubmix.errors import Scope
from hubmix.failover.breakers import OpenBreaker, Permit
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.plan import Plan
from hubmix.failover.route import Route

_WINDOW_IN_WORDS = re.compile(r"(?:maximum context length is|context size \(|context window of|maximum of)\s*(\d{3,})")


@dataclass(slots=True, eq=False)
class Candidate:
    """A route of the plan, and what has become of it in this call.

    Args:
        route: where it goes.
        tries: requests sent so far.
        done: it is not to be asked again in this call.
        locked: an alternate that may not be asked yet.
        ready_at: on the plan's clock; not before, unless every other route has failed.
        unfit: why, by the catalog, it cannot do what the request needs.
        reported: that it was passed over is in the trace.
        failure, evidence, partial: of the last request.
        unlisted: the hub's list was not known when it was asked, so the model ID went out as the caller wrote it.
    """

    route: Route
    tries: int = 0
    done: bool = False
    locked: bool = False
    ready_at: float = 0.0
    unfit: str | None = None
    reported: bool = False
    failure: Failure | None = None
    evidence: Evidence | None = None
    partial: Any = None
    unlisted: bool = False


class Candidates:
    """All candidates of a plan, in the order of the user; the primary is the first."""

    def __init__(self, plan: Plan) -> None:
        self.primary = Candidate(plan.routes[0], locked=plan.routes[0].alternate)
        """What the user asked for."""
        self._plan = plan
        self._registry = plan.breakers
        self._filtered = False
        self._window_above: int | None = None
        self._free_only: set[object] = set()  # accounts that are empty

    @cached_property
    def all(self) -> list[Candidate]:
        """Every candidate; a call whose primary answers never looks."""
        return [self.primary, *(Candidate(route, locked=route.alternate) for route in self._plan.routes[1:])]

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.all)

    def admit(self, models: Iterable[str]) -> None:
        """Add models of the primary's hub that were not known when the call began."""
        known, routes_to = {candidate.route.served for candidate in self}, self._plan.discover
        routes = [route for model in models for route in routes_to(model)] if routes_to else []
        self.all += [Candidate(route, locked=route.alternate) for route in routes if route.served not in known]

    # -- which is asked next ----------------------------------------------------------------------------------------

    def ranked(self) -> list[tuple[Candidate, OpenBreaker | None]]:
        """The candidates that may yet answer, in the order in which they are asked.

        What is ready and healthy keeps the user's order. Behind it come open breakers, the soonest to close first, and
        at the end what this call itself has to wait for.
        """
        now = self._plan.clock.monotonic()
        found = [(c, self.open_breaker(c)) for c in self.all if not (c.done or c.locked)]
        if len(found) > 1:
            found.sort(key=lambda pair: (max(pair[0].ready_at - now, 0.0), pair[1].order if pair[1] else _HEALTHY))
        return found

    def open_breaker(self, candidate: Candidate) -> OpenBreaker | None:
        """Return the open breaker of a candidate, or None."""
        keys = candidate.route.keys
        found = self._registry.block(keys)
        if found and self._goes_free(candidate, found):
            return self._registry.block((keys[0], keys[2]))
        return found

    def enter(self, candidate: Candidate) -> Permit:
        """Return the permit of one request."""
        keys = candidate.route.keys
        found = self._registry.block(keys)
        # What a free model answers says nothing of the empty account that it was asked past.
        free = found is not None and self._goes_free(candidate, found)
        return self._registry.enter((keys[0], keys[2]) if free else keys)

    def _goes_free(self, candidate: Candidate, found: OpenBreaker) -> bool:
        """An empty account does not keep a free model from being asked."""
        empty = found.target is Scope.ACCOUNT and found.failure.free_models_only
        return empty and candidate.route.hub.is_free(candidate.route.model)

    # -- whether it makes sense to ask them -------------------------------------------------------------------------

    def outside(self, failed: Candidate, failure: Failure) -> list[Candidate]:
        """Return the candidates that may answer, outside the scope of a failure."""
        able = [c for c in self.all if not (c.done or c.locked) or self._unlocks(failed, failure, c)]
        return [c for c in able if not self.holds_for(c, failed, failure) and not self.unfit(c)]

    def _unlocks(self, failed: Candidate, failure: Failure, candidate: Candidate) -> bool:
        """Whether a wrong API is the reason to ask an alternate."""
        return candidate.locked and failure.other_api and failed.route.shares(Scope.MODEL, candidate.route)

    def holds_for(self, candidate: Candidate, failed: Candidate, failure: Failure) -> bool:
        """Whether a failure of one candidate is sure to be another one's too."""
        if candidate is failed:
            return True
        if failure.free_models_only and candidate.route.hub.is_free(candidate.route.model):
            return candidate.route.shares(Scope.MODEL, failed.route)
        if failure.other_api and candidate.route.api is not failed.route.api:
            return False
        return failed.route.shares(_reach(failure), candidate.route)

    def finish_with(self, failed: Candidate, failure: Failure) -> None:
        """Nothing for which this failure holds is asked again in this call."""
        for candidate in self:
            if self._unlocks(failed, failure, candidate):
                candidate.locked = False
            if failure.free_models_only:  # the others are passed over as unfit, with the reason
                candidate.done |= failed.route.shares(Scope.MODEL, candidate.route)
            else:
                candidate.done |= self.holds_for(candidate, failed, failure)

    def hold_back(self, failed: Candidate, failure: Failure, until: float) -> None:
        """Ask nothing in a failure's scope before a moment, unless the rest failed."""
        for candidate in self:
            if self.holds_for(candidate, failed, failure):
                candidate.ready_at = max(candidate.ready_at, until)

    def unfit(self, candidate: Candidate) -> str | None:
        """Return why a candidate would fail for certain; the filter spares the primary."""
        route, plan = candidate.route, self._plan
        if plan.bound and route.account != plan.bound[0]:
            return plan.bound[1]
        if self._free_only and route.account in self._free_only and not route.hub.is_free(route.model):
            return "It costs money, and the account or key has too little."
        if self._window_above is not None:
            window = route.hub.window(route.model)
            if window is not None and window <= self._window_above:
                return f"Its context window of {window} tokens is not larger."
        if not plan.policy.capability_filter or route.served == self.primary.route.served:
            return None
        if not self._filtered:
            self._filtered = True
            self._filter()
        return candidate.unfit

    def narrow(self, failed: Candidate, failure: Failure, evidence: Evidence) -> None:
        """Keep free models, or those with a larger window, after such a failure."""
        route = failed.route
        if failure.free_models_only:
            self._free_only.add(route.account)
        if failure.larger_window_only:
            found = _WINDOW_IN_WORDS.search(evidence.message)
            window = route.hub.window(route.model) or (int(found.group(1)) if found else None)
            if window is None:
                window = route.api.requirements(self._plan.payload).tokens
            self._window_above = window

    def _filter(self) -> None:
        primary = self.primary.route
        fallbacks = [c for c in self if c.route.served != primary.served]
        requirements = primary.api.requirements(self._plan.payload)
        reasons = [c.route.hub.missing_capability(c.route.model, requirements) for c in fallbacks]
        # Catalogs err: if they leave no route, they are not believed.
        if all(reasons):
            return
        for candidate, reason in zip(fallbacks, reasons, strict=True):
            candidate.unfit = reason


_HEALTHY = (False, -1.0)


def _reach(failure: Failure) -> Scope:
    """Return the scope of a failure, or a smaller one if others are asked."""
    if failure.scope is None:
        return Scope.MODEL if failure.ask_one_more else Scope.ENDPOINT
    # A larger window may do, or the user wished it.
    others = failure.scope is Scope.REQUEST and (failure.larger_window_only or failure.opt_in)
    return Scope.MODEL if others else failure.scope
