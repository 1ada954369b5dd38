"""The candidates of one call: which of them may be asked now, which would fail for certain, and at which base URL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hubmix.errors import Scope
from hubmix.failover.breakers import Block, Key, Permit
from hubmix.failover.evidence import Evidence, Failure
from hubmix.failover.plan import Plan
from hubmix.failover.verdict import Verdict

_WINDOW_IN_WORDS = re.compile(r"(?:maximum context length is|context size \(|context window of|maximum of)\s*(\d{3,})")


@dataclass(slots=True)
class Candidate:
    """A model of the plan, and what has become of it in this call.

    Args:
        model: the model ID.
        tries: requests sent for it, at the present base URL.
        done: it is not to be asked again in this call.
        unfit: why, by the catalog, it cannot do what the request needs.
        reported: that it was passed over is in the trace.
        verdict: the last failure seen of it, here or by its breaker.
    """

    model: str
    tries: int = 0
    done: bool = False
    unfit: str | None = None
    reported: bool = False
    verdict: Verdict | None = None


class Candidates:
    """All candidates of a plan, in order; the primary is the first."""

    def __init__(self, plan: Plan) -> None:
        self.all = [Candidate(model) for model in plan.models]
        self._plan = plan
        self._registry = plan.health.registry
        self._endpoint = 0
        self._filtered = False
        self._window_above: int | None = None
        self._free_only = False

    def admit(self, models: Iterable[str]) -> None:
        """Further candidates, which were not known when the call began."""
        known = {candidate.model for candidate in self.all}
        self.all += [Candidate(model) for model in models if model not in known]

    # -- where ------------------------------------------------------------------------------------------------------

    @property
    def mirror_url(self) -> str | None:
        """The base URL in use, where it is not the hub's first."""
        return self._plan.endpoints[self._endpoint] if self._endpoint else None

    @property
    def has_mirror(self) -> bool:
        """Whether there is another base URL to go to."""
        return self._endpoint + 1 < len(self._plan.endpoints)

    def go_to_mirror(self) -> None:
        self._endpoint += 1

    def choose_endpoint(self) -> None:
        """Go to the mirror at once while the breaker of the base URL is open."""
        while self.has_mirror and self._registry.block(self.keys(self.all[0])[:1]):
            self.go_to_mirror()

    def keys(self, candidate: Candidate) -> tuple[Key, Key, Key]:
        """The breakers on which a request for the candidate depends: endpoint, account, model."""
        return self._plan.health.keys(candidate.model, self.mirror_url)

    # -- whether they may be asked ----------------------------------------------------------------------------------

    def enter(self, candidate: Candidate) -> Permit | Block:
        """A permit for one request, or why there is none now."""
        keys = self.keys(candidate)
        entered = self._registry.enter(keys)
        if isinstance(entered, Block) and self._goes_free(candidate, entered):
            return self._registry.enter((keys[0], keys[2]))
        return entered

    def enter_anyway(self, candidate: Candidate) -> Permit:
        """A permit for one request that no breaker holds up, and that is the probe of none."""
        keys = self.keys(candidate)
        block = self._registry.block(keys)
        # What a free model answers says nothing of the empty account that it was asked past.
        free = block is not None and self._goes_free(candidate, block)
        return Permit((keys[0], keys[2]) if free else keys, self._plan.clock())

    def block(self, candidate: Candidate) -> Block | None:
        """Why the candidate may not be asked now; None where it may. Changes nothing."""
        keys = self.keys(candidate)
        block = self._registry.block(keys)
        if block and self._goes_free(candidate, block):
            return self._registry.block((keys[0], keys[2]))
        return block

    def _goes_free(self, candidate: Candidate, block: Block) -> bool:
        """An empty account does not keep a free model from being asked."""
        empty = block.target is Scope.ACCOUNT and block.failure.free_models_only
        return empty and self._plan.is_free(candidate.model)

    # -- whether it makes sense to ask them -------------------------------------------------------------------------

    def others(self, current: Candidate) -> list[Candidate]:
        """The candidates besides one that may yet answer this call."""
        return [c for c in self.all if c is not current and not c.done and not self.unfit(c)]

    def unfit(self, candidate: Candidate) -> str | None:
        """Why a candidate would fail for certain. The primary is what the user asked for: the filter spares it."""
        plan = self._plan
        if self._free_only and not plan.is_free(candidate.model):
            return "It costs money, and the account or key has too little."
        if self._window_above is not None:
            window = plan.window(candidate.model)
            if window is not None and window <= self._window_above:
                return f"Its context window of {window} tokens is not larger."
        if candidate is self.all[0] or not plan.policy.capability_filter:
            return None
        if not self._filtered:
            self._filtered = True
            self._filter()
        return candidate.unfit

    def narrow(self, candidate: Candidate, failure: Failure, evidence: Evidence) -> None:
        """Some failures leave only some candidates worth asking: free ones, or those with a larger window."""
        if failure.free_models_only:
            self._free_only = True
        if failure.larger_window_only:
            found = _WINDOW_IN_WORDS.search(evidence.message)
            window = self._plan.window(candidate.model) or (int(found.group(1)) if found else None)
            self._window_above = window if window is not None else self._plan.needs().tokens

    def _filter(self) -> None:
        fallbacks = self.all[1:]
        needs = self._plan.needs()
        reasons = [self._plan.lacks(candidate.model, needs) for candidate in fallbacks]
        # Catalogs err: where they leave nobody, they are not believed.
        if all(reasons):
            return
        for candidate, reason in zip(fallbacks, reasons, strict=True):
            candidate.unfit = reason
