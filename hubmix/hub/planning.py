"""The plan of a call: whom to ask, within which limits, and what the catalog knows of them.

No call waits for the catalog but one with ``fallbacks="auto"`` whose first model has failed while there is no list yet:
the list is given a moment, and if in vain, only once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hubmix.errors import BadRequestError
from hubmix.failover.breakers import HubHealth
from hubmix.failover.options import CallOptions
from hubmix.failover.plan import Plan
from hubmix.wire.api import Api
from hubmix.wire.checks import check_headers
from hubmix.wire.requirements import Requirements

if TYPE_CHECKING:
    from hubmix.catalog import ModelCatalog
    from hubmix.transport.connection import Connection


class Planning:
    """Makes the plans of one hub's calls."""

    def __init__(self, connection: Connection, catalog: ModelCatalog) -> None:
        self._connection = connection
        self._catalog = catalog
        self._made_health: HubHealth | None = None

    @property
    def health(self) -> HubHealth:
        """The breakers of this hub and key."""
        if self._made_health is None:
            mirrors = tuple(self._connection.endpoint.base_urls[1:])
            self._made_health = HubHealth(self._connection.base_url, self._connection.key_id, mirrors)
        return self._made_health

    def candidates(self, model: str, options: CallOptions) -> list[str]:
        """Whom a call would ask. Waits for the catalog, where ``fallbacks="auto"`` needs it."""
        if self._to_be_asked(model, options):
            self._catalog.find(model)
        return self._known_candidates(model, options)

    def _to_be_asked(self, model: str, options: CallOptions) -> bool:
        return options.fallbacks == "auto" and self._catalog.cached.find(model) is None

    def _known_candidates(self, model: str, options: CallOptions) -> list[str]:
        chosen: list[str] = [model]
        if options.fallbacks == "auto":
            chosen += self._nearest(model, options.policy.max_price_ratio)
        else:
            chosen += options.fallbacks
        return list(dict.fromkeys(chosen))

    def _nearest(self, model: str, max_price_ratio: float) -> list[str]:
        """The catalog's choice among what is known here and now; nobody, where that is nothing."""
        return [info.id for info in self._catalog.nearest(model, max_price_ratio=max_price_ratio)]

    def plan(self, api: Api[Any], payload: Mapping[str, Any], options: CallOptions, *, streaming: bool = False) -> Plan:
        """The plan of a call. Raises where it cannot be sent at all."""
        self._check(api, payload, options)
        if not api.other_models:
            options = replace(options, fallbacks=())
        plan = self._plan(api, payload, options, streaming)
        if self._to_be_asked(payload["model"], options):
            plan.late, plan.alate = partial(self._late, payload, options), partial(self._alate, payload, options)
        return plan

    def _late(self, payload: Mapping[str, Any], options: CallOptions, seconds: float) -> list[str]:
        self._catalog.warm(seconds)
        return self._known_candidates(payload["model"], options)

    async def _alate(self, payload: Mapping[str, Any], options: CallOptions, seconds: float) -> list[str]:
        await self._catalog.awarm(seconds)
        return self._known_candidates(payload["model"], options)

    def _check(self, api: Api[Any], payload: Mapping[str, Any], options: CallOptions) -> None:
        self._connection.require_key()
        api.check(payload)
        if options.headers:
            check_headers(options.headers)
        if not payload.get("model"):
            raise BadRequestError("No model was named: pass model=, for example 'gpt-4o-mini'.")

    def _plan(self, api: Api[Any], payload: Mapping[str, Any], options: CallOptions, streaming: bool) -> Plan:
        hub = self._connection
        return Plan(
            self._known_candidates(payload["model"], options),
            policy=options.policy,
            health=self.health,
            endpoints=hub.endpoint.base_urls,
            hub_types=hub.endpoint.preset.own_error_types,
            timeout=options.timeout if options.timeout is not None else hub.timeout,
            total_timeout=options.total_timeout,
            streaming=streaming,
            needs=lambda: api.requirements(payload),
            lacks=self._lacks,
            window=self._window,
            is_free=self._is_free,
            suggest=self._suggest,
            on_attempt=options.on_attempt,
        )

    def _lacks(self, model: str, needs: Requirements) -> str | None:
        """The catalog's explicit *no* to something the request needs; what it does not know is tried."""
        info = self._catalog.cached.find(model)
        if info is None:
            return None
        asked = (
            # Of a tool that must be called no catalog says anything: its word on tools stands for both.
            (needs.tools or needs.forced_tool, info.tools, "tools"),
            (needs.images, info.vision, "images"),
            (needs.audio, info.audio, "audio"),
            (needs.files, info.pdf, "files"),
            (needs.structured_output, info.structured_output, "structured output"),
        )
        for needed, has, what in asked:
            if needed and has is False:
                return f"The catalog says that it does not take {what}."
        if info.context_window is not None and needs.tokens > info.context_window:
            return f"Its context window of {info.context_window} tokens is too small for about {needs.tokens}."
        return None

    def _window(self, model: str) -> int | None:
        info = self._catalog.cached.find(model)
        return None if info is None else info.context_window

    def _is_free(self, model: str) -> bool:
        info = self._catalog.cached.find(model)
        return info is not None and info.free is True

    def _suggest(self, model: str) -> tuple[str, ...]:
        return self._catalog.cached.suggest(model)
