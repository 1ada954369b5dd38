"""One hub as routes see it, and the plan of a call.

Calls never wait for the catalog, except with `fallbacks="auto"` when the first model failed and no list is cached: then
up to 3 s, once.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from hubmix.errors import BadRequestError, ConfigurationError
from hubmix.failover.amendments import Learned, amend, learn
from hubmix.failover.breakers import HubBreakers, Key
from hubmix.failover.evidence import Evidence
from hubmix.failover.hedging import Hedging, PromptPrice
from hubmix.failover.limits import Limits
from hubmix.failover.options import CallOptions
from hubmix.failover.plan import Plan
from hubmix.failover.preference import preferred
from hubmix.failover.route import Route
from hubmix.hub.estimates import estimate_of
from hubmix.hub.served import Served, served_model, unread_marks, warn_of_the_end
from hubmix.hub.sharing import SharedBreakers
from hubmix.transport.answer import monotonic
from hubmix.transport.exchange import Request
from hubmix.wire.api import Api, BodyOptions, Payload, Reading
from hubmix.wire.api_choice import ApiChoice, choose_apis, ordered_apis
from hubmix.wire.apis import APIS, CHAT
from hubmix.wire.checks import check_headers
from hubmix.wire.expressible import HINTS, account_state, dropped_hints
from hubmix.wire.requirements import Requirements

if TYPE_CHECKING:
    from hubmix.catalog import ModelCatalog
    from hubmix.hub.budget import Budget, Estimate
    from hubmix.transport.connection import Connection

_log = logging.getLogger("hubmix.hub")

_MOST_LEARNED = 50  # amendments of one model over one API

_DEFAULT_PORTS = {"https": 443, "http": 80}


class ConnectedHub:
    """One hub with its connection and catalog; a `hubmix.failover.route.RouteHub`.

    Args:
        connection: the way to the hub.
        catalog: what the hub serves.
        budgets: what every call through the hub is held to.
        may_ask_list: a failed call may ask for the list to explain a mistyped model ID.
    """

    def __init__(
        self,
        connection: Connection,
        catalog: ModelCatalog,
        budgets: tuple[Budget, ...] = (),
        *,
        may_ask_list: bool = True,
        breaker_store: str | None = None,
    ) -> None:
        self._may_ask_list = may_ask_list
        self.connection = connection
        self.catalog = catalog
        self.known = catalog.cached
        self.timeout = connection.timeout
        self._has_key = self._loaded = False
        self.budgets = budgets
        self._hints_told: set[str] = set()
        self.answered: set[str] = set()  # names of the APIs
        self.batch_limits: dict[str, int] = {}  # texts that a model takes in one request
        self._learned: dict[tuple[str, str], tuple[Learned, ...]] = {}  # by model and API
        self.shared = None if breaker_store is None else self._share(breaker_store)

    def _share(self, store: str) -> SharedBreakers:
        if self.connection.key_source == "function":
            raise ConfigurationError("breaker_store needs a key: one that a function returns has no name elsewhere.")
        return SharedBreakers(store, self.breakers)

    @cached_property
    def name(self) -> str:
        """The host, with a port if it is not the scheme's own."""
        url = urlsplit(self.connection.base_url)
        host = url.hostname or self.connection.base_url
        return host if url.port in (None, _DEFAULT_PORTS.get(url.scheme)) else f"{host}:{url.port}"

    @cached_property
    def key_source(self) -> str:
        """Where the key came from: a variable's name, or another word."""
        return self.connection.key_source

    @cached_property
    def base_urls(self) -> Sequence[str]:
        """The base URL and its mirrors."""
        return self.connection.endpoint.base_urls

    @property
    def own_error_types(self) -> frozenset[str]:
        """The error types in which the hub speaks for itself."""
        return self.connection.endpoint.preset.own_error_types

    @property
    def free_limit(self) -> bool:
        """Whether free models have a limit of their own."""
        return self.connection.endpoint.preset.free_limit

    @cached_property
    def breakers(self) -> HubBreakers:
        """The circuit breakers of the hub and its key."""
        # A client of the user's may go through a proxy that nobody else uses.
        way = "" if self.connection.owns_clients else uuid.uuid4().hex
        return HubBreakers(self.base_urls, self.connection.key_id, way)

    @cached_property
    def spending_key(self) -> str:
        """What running totals are kept under: this hub and this key."""
        return self.connection.spending_key

    # -- what the catalog knows -------------------------------------------------------------------------------------

    def missing_capability(self, model: str, requirements: Requirements) -> str | None:
        """Return what the catalog says the model cannot do, or None."""
        info = self.known.find(model)
        if info is None:
            return None
        asked = (
            # No catalog says anything of a tool that must be called: its word on tools stands for both.
            (requirements.tools or requirements.forced_tool, info.tools, "tools"),
            (requirements.images, info.vision, "images"),
            (requirements.audio, info.audio, "audio"),
            (requirements.files, info.pdf, "files"),
            (requirements.structured_output, info.structured_output, "structured output"),
        )
        for needed, has, what in asked:
            if needed and has is False:
                return f"The catalog says that it does not take {what}."
        window, tokens = info.context_window, requirements.tokens
        if window is not None and tokens > window:
            return f"Its context window of {window} tokens is too small for about {tokens}."
        return None

    def window(self, model: str) -> int | None:
        """Return the context window in tokens; None if it is unknown."""
        info = self.known.find(model)
        return None if info is None else info.context_window

    def is_free(self, model: str) -> bool:
        """Return whether the catalog prices the model at 0."""
        info = self.known.find(model)
        return info is not None and info.free is True

    def has_answered(self, api: str) -> bool:
        """Return whether the hub has answered over this API before."""
        return api in self.answered

    def lists(self, model: str) -> bool | None:
        """Return whether the hub's list has the model; None if no list is known."""
        return self.catalog.cached.lists(model)

    def learn_models(self, timeout: float) -> None:
        """Get the hub's list if none is known, unless the user wants no such requests."""
        if self._may_ask_list:
            self.catalog.warm(timeout)

    async def alearn_models(self, timeout: float) -> None:
        """`learn_models`, for asyncio."""
        if self._may_ask_list:
            await self.catalog.awarm(timeout)

    def served(self, model: str, reply: Any) -> Served:
        """Return who answered and who is billed; warn once of a model that ends."""
        headers, info = reply.headers, self.known.find(model)
        if info is not None or headers:
            warn_of_the_end(self.name, model, info, headers)
        bills_served = self.connection.endpoint.preset.bills_served
        return served_model(model, headers, reply.model, self.known.find, bills_served=bills_served)

    def successor(self, model: str) -> str | None:
        """Return the model ID that follows a retired one, if the hub's list names it."""
        info = self.known.find(model)
        return info.successor if info is not None else None

    def suggest(self, model: str) -> Sequence[str]:
        """Return model IDs that are spelt like this one; none for one spelt as listed."""
        if not self.lists(model):
            return self.known.suggest(model)
        listed = self.known.id(model)
        return () if listed == model else (listed,)

    def discover_fallbacks(self, model: str, max_price_ratio: float, timeout: float) -> Sequence[str]:
        """Return the nearest models. Waits for the catalog for at most `timeout` seconds."""
        self.catalog.warm(timeout)
        return self._nearest(model, max_price_ratio)

    async def adiscover_fallbacks(self, model: str, max_price_ratio: float, timeout: float) -> Sequence[str]:
        """`discover_fallbacks`, for asyncio."""
        await self.catalog.awarm(timeout)
        return self._nearest(model, max_price_ratio)

    def _nearest(self, model: str, max_price_ratio: float) -> list[str]:
        """The catalog's choice among the models that are known now."""
        return [info.id for info in self.catalog.nearest(model, max_price_ratio=max_price_ratio)]

    # -- the plan of a call -----------------------------------------------------------------------------------------

    def plan(self, api: Api[Any], payload: Payload, options: CallOptions, *, streaming: bool = False) -> Plan:
        """Return the plan of a call, or raise if it cannot be sent at all."""
        if not self._has_key:  # once there is one, the clients hold it
            self.connection.require_key()
            self._has_key = True
        api.check(payload)
        if headers := _headers(options):
            check_headers(headers)
        model = payload.get("model")
        if not model:
            raise BadRequestError("No model was named: pass model=, for example 'gpt-4o-mini'.")
        routes, chosen = self._routes(api, payload, options), None
        bound = _bound(routes, payload) if options.fallbacks else None
        if options.prefer != "order":
            estimate = self._estimate_of(payload, options)
            routes, chosen = preferred(routes, options.prefer, lambda route: estimate(route).price, streaming=streaming)
        return Plan(
            routes,
            payload,
            policy=options.policy,
            timeout=options.timeout,
            total_timeout=options.total_timeout,
            streaming=streaming,
            chosen=chosen,
            bound=bound,
            hedging=None if options.policy.hedge_after is None else self._hedging(payload, options),
            discover=self._discovery(api, payload, options),
            on_attempt=options.on_attempt,
        )

    def _estimate_of(self, payload: Payload, options: CallOptions) -> Callable[[Route], Estimate]:
        """Return a function: route to the most that this call can cost over it."""

        def estimate(route: Route) -> Estimate:
            hub = route.hub if isinstance(route.hub, ConnectedHub) else self
            info, chat = hub.catalog.cached.find(route.model), route.api.stream is not None
            return estimate_of(route.model, info, payload, options.extra_body, chat=chat)

        return estimate

    def _hedging(self, payload: Payload, options: CallOptions) -> Hedging | None:
        """Return when a second route is asked; several choices are never paid for twice."""
        choices = (options.extra_body or {}).get("n", payload.get("n"))
        if options.policy.hedge_after is None or (isinstance(choices, int) and choices > 1):
            return None
        estimate = self._estimate_of(payload, options)

        def price(route: Route) -> PromptPrice:
            most = estimate(route)
            return PromptPrice(most.input, most.by_call)

        return Hedging(options.policy.hedge_after, price)

    def candidates(self, model: str, options: CallOptions) -> list[str]:
        """Return the models that a call would ask; "auto" may wait for the catalog."""
        if self._is_to_discover(model, options):
            self.catalog.find(model)
        return list(dict.fromkeys(name for _, name in self._targets(model, options)))

    def _is_to_discover(self, model: str, options: CallOptions) -> bool:
        return options.fallbacks == "auto" and self.known.find(model) is None

    def _targets(self, model: str, options: CallOptions) -> list[tuple[ConnectedHub, str]]:
        """The models to ask, each with its hub, in the order of the user."""
        if options.fallbacks == "auto":
            return [(self, name) for name in (model, *self._nearest(model, options.policy.max_price_ratio))]
        found: list[tuple[ConnectedHub, str]] = [(self, model)]
        for one in options.fallbacks:
            hub, name = (self, one) if isinstance(one, str) else one.fallback_for(model)
            found.append((cast("ConnectedHub", hub), name))
        return found

    def _routes(self, api: Api[Any], payload: Payload, options: CallOptions) -> list[Route]:
        targets = self._targets(payload["model"], options)
        choice = _choice(api, payload, options)
        if len(targets) == 1:
            return self._routes_to(targets[0][1], api, choice)
        if not api.other_models:
            targets = _of_one_model(targets)
        targets = list(dict.fromkeys(targets))
        others = {hub for hub, _ in targets} - {self}
        for hub in others:
            hub.connection.require_key()
        routes = [route for hub, model in targets for route in hub._routes_to(model, api, choice)]
        if not others:
            return routes
        first: dict[object, Route] = {}  # two hubs may be the same server with the same key
        for route in routes:
            first.setdefault((route.served, route.api.name, route.mirror), route)
        return list(first.values())

    def _routes_to(self, model: str, api: Api[Any], choice: ApiChoice) -> list[Route]:
        """Return the routes to one model of this hub: its APIs, each at every base URL."""
        mirrors = (None,) if choice.tied or len(self.base_urls) == 1 else (None, *self.base_urls[1:])
        return [
            Route(model, self, over, mirror, alternate=number > 0)
            for number, over in enumerate(self._apis(model, choice.able) if choice.able else (api,))
            for mirror in mirrors
        ]

    def _discovery(self, api: Api[Any], payload: Payload, options: CallOptions) -> Callable[[str], list[Route]] | None:
        """Return how a model is reached that is found later; None if none is looked for."""
        if not self._is_to_discover(payload["model"], options):
            return None
        return lambda model: self._routes_to(model, api, _choice(api, payload, options))

    def _apis(self, model: str, able: tuple[str, ...]) -> Sequence[Api[Any]]:
        """The API to ask a model over, and those to try if it is the wrong one."""
        if len(able) == 1:
            return (APIS[able[0]],)
        listed, refused, messages_first = self.catalog.apis_of(model)
        ordered = ordered_apis(able, listed=listed, refused=refused, messages_first=messages_first)
        return [APIS[name] for name in ordered]

    def remember_wrong_api(self, model: str | None, api: str) -> None:
        """Remember that the hub refused an API for a model (None: for every one)."""
        self.catalog.refused_apis.remember(api, model)

    # -- one request ------------------------------------------------------------------------------------------------

    def request(self, route: Route, payload: Payload, options: CallOptions, *, stream: bool = False) -> Request:
        """Return the request for one route of a call."""
        preset = self.connection.endpoint.preset
        model_id = self.known.id(route.model)
        body_options = BodyOptions(
            route.model, model_id, preset.reasoning_replay, options.extra_body, stream, self.name
        )
        if route.api.name in HINTS:
            self._tell_of_hints(route.api.name, payload)
        body = route.api.body(payload, body_options)
        learned = self._learned.get((route.model, route.api.name), ())
        body, amended = amend(body, learned) if learned else (body, ())
        asked = {**payload, **options.extra_body} if options.extra_body else payload
        own = self.connection.headers_for(route.api) if route.api.headers or route.api.key_header else None
        headers = _headers(options)
        headers = {**own, **(headers or {})} if own else headers
        base_url = route.mirror or self.connection.endpoint.base_url
        url, sizes = f"{base_url}/{route.api.path}", self.connection.sizes
        return Request(url, body, Reading(route.api, asked), headers, amended, learned, sizes)

    def _tell_of_hints(self, api: str, payload: Payload) -> None:
        dropped = set(dropped_hints(api, payload)) - self._hints_told
        if dropped:
            self._hints_told |= dropped
            _log.warning("The API %r has no place for %s; left out.", api, ", ".join(sorted(dropped)))

    def tell_of_marks(self, route: Route, payload: Payload, usage: Any) -> None:
        """Say once of a model that its hub reads no cache marks."""
        if route.api is not CHAT or not unread_marks(payload, route.model, usage):
            return
        told = f"marks of {route.model}"
        if told not in self._hints_told:
            self._hints_told.add(told)
            said = "Cache marks were sent to the model %r at %s, and nothing was written to or read from a cache. "
            _log.warning(said + "Over its Messages API (api='messages') they may count.", route.model, self.name)

    def learn(self, evidence: Evidence, route: Route, request: Request) -> Evidence:
        """Remember how to send differently what was refused, if that is known."""
        key = (route.model, route.api.name)
        learned = learn(evidence, request.body, request.learned)
        if learned is None:
            return evidence
        known = self._learned.get(key, ())
        if learned not in known:  # another call may have learned it meanwhile
            self._learned[key] = (*known, learned)[-_MOST_LEARNED:]
        level = logging.WARNING if learned.amendment.warns else logging.INFO
        said = "The model %r at %s refused a request; from now on: %s."
        _log.log(level, said, route.model, self.name, learned.name)
        return replace(evidence, cause="amended", amendment=learned.name)

    def load(self) -> None:
        """Import the SDK and make its client, which is no part of a call's time."""
        if not self._loaded:
            self.connection.client()
            self._loaded = True

    async def aload(self) -> None:
        """`load`, for asyncio."""
        if not self._loaded:
            await self.connection.pool.current()
            self._loaded = True

    def client(self, limits: Limits) -> Any:
        """Return the SDK's client for one attempt, once the rate limit allows it."""
        if self.connection.rate_limit is not None and (limiter := self.connection.limiter()) is not None:
            limiter.acquire(_left(limits))
        return self.connection.client()

    async def aclient(self, limits: Limits) -> Any:
        """`client`, for asyncio."""
        if self.connection.rate_limit is not None and (limiter := self.connection.limiter()) is not None:
            await limiter.aacquire(_left(limits))
        return await self.connection.pool.current()


def _choice(api: Api[Any], payload: Payload, options: CallOptions) -> ApiChoice:
    if api is not CHAT:
        return ApiChoice((), False)
    return choose_apis(options.api, payload, alone=not options.fallbacks)


def _headers(options: CallOptions) -> Mapping[str, str] | None:
    if options.session is None:
        return options.headers
    return {"X-Aihubmix-Session-Id": options.session, **(options.headers or {})}


def _of_one_model(targets: list[tuple[ConnectedHub, str]]) -> list[tuple[ConnectedHub, str]]:
    """Leave out other models of the same hub, and refuse those of other hubs."""
    (own, model), *others = targets
    for hub, name in others:
        if hub is not own and name != model:
            raise ConfigurationError(
                f"fallbacks: vectors of {model!r} and of {name!r} at {hub.name} do not mix; name the same model there."
            )
    return [(own, model), *((hub, name) for hub, name in others if hub is not own)]


def _bound(routes: Sequence[Route], payload: Payload) -> tuple[Key, str] | None:
    """Return the account that alone can read the request, and why; None if any can."""
    if len(routes) == 1 or all(route.hub is routes[0].hub for route in routes):
        return None
    kept = account_state(payload)
    return (routes[0].account, f"The request names {' and '.join(kept)}, which no other account has.") if kept else None


def _left(limits: Limits) -> float | None:
    return None if limits.total is None else max(limits.total.at - monotonic(), 0.0)
