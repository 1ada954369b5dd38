"""The hub: one base URL and one key, and everything that is done through them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from hubmix._html import table
from hubmix.batch import amap_rows, map_rows
from hubmix.catalog import ModelCatalog
from hubmix.errors import ConfigurationError
from hubmix.failover.options import DEFAULT_OPTIONS, CallOptions
from hubmix.hub.budget import Budget, check_budget
from hubmix.hub.calls import Calls
from hubmix.hub.embedding import aembed, embed
from hubmix.hub.model import HubModel
from hubmix.hub.planning import ConnectedHub
from hubmix.transport.connection import Connection
from hubmix.transport.endpoint import Endpoint, resolve_endpoint, resolve_key
from hubmix.transport.get import Pages
from hubmix.transport.sizes import SIZES, Sizes
from hubmix.wire.apis import CHAT, EMBEDDINGS, RERANK
from hubmix.wire.checks import check_headers

if TYPE_CHECKING:
    from decimal import Decimal
    from types import TracebackType

    from pydantic import SecretStr
    from typing_extensions import Self

    from hubmix.failover.breakers import BreakerState
    from hubmix.hub.balance import Balance
    from hubmix.hub.compare import Comparison
    from hubmix.hub.spending import HubSpending, LimitedSpending
    from hubmix.hub.stats import HubStats
    from hubmix.transport.clients import ClientPool
    from hubmix.transport.endpoint import KeyProvider
    from hubmix.transport.get import Fetched
    from hubmix.transport.rate_limit import SharedRateLimit
    from hubmix.wire import Delta, EmbeddingReply, Reply, RerankReply


observe: Callable[[Hub, Calls], Calls] | None = None
"""Wraps the calls of every hub, for telemetry; None calls them directly."""


class Hub:
    """A model hub.

    Nothing is sent and no client is made until the first call. A hub may be shared between threads, event loops and
    model objects; it pickles and deep-copies without its connections.

    Args:
        preset: A hub known by name, `"aihubmix"` or `"aihubapi"`. Any other hub is named by its `base_url`.
        base_url: An OpenAI-compatible base URL. `/v1` is added if it has no path. Plain http is accepted for this
            machine, private addresses, names without a dot, `*.local`, `*.internal` and `*.lan`.
        api_key: The key. Left out, it is read from `HUBMIX_API_KEY` or the hub's own variable.
        app_code: AIHubMix's discount code, sent as `APP-Code`; nothing is sent without it.
        default_headers: Headers of your own, sent with every request; None leaves one of the SDK's out.
        default_query: Parameters of the URL of every request.
        timeout: Seconds for one attempt where a call does not say otherwise (600).
        http_client: Your own `httpx.Client` (`httpx2.Client` on openai 3.x), for proxies and the like.
        http_async_client: The same for async calls.
        rate_limit: How many attempts at calls to make at most, retries and fallbacks included, such as `"180/min"`;
            shared by every hub of this process with the same key. The model list and the balance do not count.
        aliases: Your own names for models.
        model_overrides: What you know better than the hub: model ID to fields of `ModelInfo`.
        catalog_refresh: After a call has been answered, ask for the catalog in the background where it is missing or
            older than five minutes, so that later calls know prices and capabilities. `HUBMIX_CATALOG_REFRESH=0` in
            the environment turns it off for all hubs.
        allow_http: Accept plain http for any host: the key then crosses the network in the open. None reads
            `HUBMIX_ALLOW_HTTP`.
        price_group: The group of a New API or one-hub gateway whose ratio the key is billed with, such as `"vip"`.
            Without it, a cost has no total where the usable groups have different ratios.
        budget: What the calls through this hub may cost together; see `hubmix.Budget`.
        max_body: How many bytes of a whole answer or a page are read, counted after decompression (64,000,000). A
            stream may have four times as many, one event of it a quarter, and the body of an error 1,000,000. What is
            larger ends in a `MalformedAnswerError`.
        breaker_store: Where processes tell each other of models and accounts whose circuit breakers are open,
            `"sqlite:///path"` for those of one machine, `"redis://…"` for several machines (`ratelimit` extra). None
            keeps them in this process. If it cannot be reached, calls go on without it.

    Raises:
        ConfigurationError: If the name, the URL, the key or `max_body` cannot be used.

    Example:
        ```python
        from hubmix import Hub

        hub = Hub()
        print(hub.models.list().ids[:3])
        ```
    """

    def __init__(
        self,
        preset: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | SecretStr | KeyProvider | None = None,
        app_code: str | None = None,
        default_headers: Mapping[str, str | None] | None = None,
        default_query: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        http_client: Any = None,
        http_async_client: Any = None,
        rate_limit: str | SharedRateLimit | None = None,
        aliases: Mapping[str, str] | None = None,
        model_overrides: Mapping[str, Mapping[str, Any]] | None = None,
        catalog_refresh: bool | None = None,
        allow_http: bool | None = None,
        price_group: str | None = None,
        budget: Budget | None = None,
        max_body: int | None = None,
        breaker_store: str | None = None,
    ) -> None:
        endpoint = resolve_endpoint(preset, base_url, os.environ, allow_http=allow_http)
        self._connection = Connection(
            endpoint,
            resolve_key(api_key, endpoint, os.environ),
            _headers(app_code, default_headers),
            timeout=timeout,
            rate_limit=rate_limit,
            query=default_query,
            sizes=SIZES if max_body is None else Sizes(max_body),
            http_client=http_client,
            http_async_client=http_async_client,
        )
        if catalog_refresh is None:
            catalog_refresh = os.environ.get("HUBMIX_CATALOG_REFRESH", "1") not in ("0", "false", "no", "off")
        self._catalog_refresh = catalog_refresh
        self._aliases = dict(aliases or {})
        self._price_group = price_group
        self._budgets = check_budget(budget)
        self._breaker_store = breaker_store
        self._overrides = {model: dict(fields) for model, fields in (model_overrides or {}).items()}
        self._prepare()

    def _prepare(self) -> None:
        """Make what a copy in another process makes anew."""
        self._pages = Pages(self._connection)
        self._catalog = ModelCatalog(
            self._pages,
            base_url=self.base_url,
            key_id=self._connection.key_id,
            sources=self.endpoint.preset.catalog_sources,
            aliases=self._aliases,
            overrides=self._overrides,
            price_group=self._price_group,
        )
        self._connected = ConnectedHub(
            self._connection,
            self._catalog,
            self._budgets,
            may_ask_list=self._catalog_refresh,
            breaker_store=self._breaker_store,
        )
        self._plain_calls = Calls(self._connected, refresh_catalog=self._catalog_refresh)

    @property
    def _calls(self) -> Calls:
        return self._plain_calls if observe is None else observe(self, self._plain_calls)

    # ------------------------------------------------------------------------------------------------ what it is

    @property
    def base_url(self) -> str:
        """The base URL, ending in its path (`/v1`)."""
        return self._connection.endpoint.base_url

    @property
    def endpoint(self) -> Endpoint:
        """The preset, the base URLs and where a key may come from."""
        return self._connection.endpoint

    @property
    def host(self) -> str:
        """The host, with a port that is not the scheme's own, as answers name the hub."""
        return self._connected.name

    @property
    def name(self) -> str:
        """The preset's name, or `"custom"`."""
        return self.endpoint.preset.name

    @property
    def timeout(self) -> float | None:
        """Seconds for one attempt, or None for the default."""
        return self._connection.timeout

    @property
    def rate_limit(self) -> str | SharedRateLimit | None:
        """The limit on requests, as it was given."""
        return self._connection.rate_limit

    @property
    def key_id(self) -> str:
        """A salted hash that tells this key from others."""
        return self._connection.key_id

    @property
    def headers_id(self) -> str:
        """The same for the headers that go with every request."""
        return self._connection.headers_id

    @property
    def key_source(self) -> str:
        """Where the key came from: a variable's name, `"argument"` or `"none"`."""
        return self._connection.key_source

    def require_key(self) -> None:
        """Raise `ConfigurationError` if there is no key to send."""
        self._connection.require_key()

    @property
    def pool(self) -> ClientPool:
        """The SDK clients, made on first use."""
        return self._connection.pool

    def __repr__(self) -> str:
        return f"Hub({self.base_url!r}, key from {self.key_source})"

    def _repr_html_(self) -> str:
        return _card(self)

    # ------------------------------------------------------------------------------------------------------ chat

    def chat(self, payload: Mapping[str, Any], options: CallOptions = DEFAULT_OPTIONS) -> Reply:
        """Ask for one whole answer.

        Args:
            payload: The body of a chat completion as plain dicts: `model`, `messages` and parameters.
            options: Fallbacks, timeouts and the rest.

        Returns:
            The answer, with `trace`, `cost`, `served` and `request_id` filled in.

        Raises:
            HubmixError: The exception of the failure table; `AllModelsFailedError` when several were asked.

        Example:
            ```python
            from hubmix import Hub

            reply = Hub().chat({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
            print(reply.text, reply.usage)
            ```
        """
        return self._calls.whole(CHAT, payload, options)

    async def achat(self, payload: Mapping[str, Any], options: CallOptions = DEFAULT_OPTIONS) -> Reply:
        """`chat`, for asyncio."""
        return await self._calls.awhole(CHAT, payload, options)

    def stream_chat(
        self, payload: Mapping[str, Any], options: CallOptions = DEFAULT_OPTIONS
    ) -> Generator[Delta, None, None]:
        """Ask for an answer in pieces.

        The model is settled at the first word; what fails later raises `StreamInterruptedError` with what had
        arrived. Close the generator to end the stream early.

        Yields:
            Deltas; the last one carries the whole answer in `final`.
        """
        yield from self._calls.stream(CHAT, payload, options)

    def astream_chat(
        self, payload: Mapping[str, Any], options: CallOptions = DEFAULT_OPTIONS
    ) -> AsyncGenerator[Delta, None]:
        """`stream_chat`, for asyncio; cancelling the task closes the connection at once."""
        return self._calls.astream(CHAT, payload, options)

    def model(self, model: str) -> HubModel:
        """Return one model of this hub, as a fallback of calls through another hub.

        Args:
            model: the model ID, as this hub lists it.

        Example:
            ```python
            from hubmix import Hub

            main, spare = Hub(), Hub(base_url="http://localhost:3000/v1")
            fallbacks = ["claude-haiku-4.5", spare.model("gpt-4o-mini"), spare]  # spare: the call's own model there
            ```
        """
        if not isinstance(model, str) or not model:
            raise ConfigurationError(f"hub.model() takes the ID of a model, not {model!r}.")
        return HubModel(self, model)

    def fallback_for(self, model: str) -> tuple[ConnectedHub, str]:
        """Return the hub and model to ask when a call for `model` fails over to this hub."""
        return self._connected, model

    def candidates(self, model: str, options: CallOptions = DEFAULT_OPTIONS) -> list[str]:
        """Return the model IDs that a call would ask, in order."""
        return self._connected.candidates(model, options)

    # ------------------------------------------------------------------------------------- embeddings and rerank

    def embed(self, payload: Mapping[str, Any], options: CallOptions = DEFAULT_OPTIONS) -> EmbeddingReply:
        """Turn texts into vectors.

        Args:
            payload: `model`, `input` (a list of strings) and parameters. Never token IDs: gateways turn them into
                empty input on channels that are not OpenAI's (measured).
            options: Timeouts; fallbacks are not used, since vector spaces of two models do not mix.

        Returns:
            The vectors in the order of the texts.
        """
        return embed(lambda part: self._calls.whole(EMBEDDINGS, part, options), payload, self._connected.batch_limits)

    async def aembed(self, payload: Mapping[str, Any], options: CallOptions = DEFAULT_OPTIONS) -> EmbeddingReply:
        """`embed`, for asyncio."""
        limits = self._connected.batch_limits
        return await aembed(lambda part: self._calls.awhole(EMBEDDINGS, part, options), payload, limits)

    def rerank(self, payload: Mapping[str, Any], options: CallOptions = DEFAULT_OPTIONS) -> RerankReply:
        """Order documents by their relevance to a query.

        Args:
            payload: `model`, `query`, `documents` and, if wanted, `top_n`.
            options: Timeouts and fallbacks.

        Returns:
            The documents' positions and scores, best first.
        """
        return self._calls.whole(RERANK, payload, options)

    async def arerank(self, payload: Mapping[str, Any], options: CallOptions = DEFAULT_OPTIONS) -> RerankReply:
        """`rerank`, for asyncio."""
        return await self._calls.awhole(RERANK, payload, options)

    # ------------------------------------------------------------------------------------------------ many calls

    def compare(
        self,
        prompts: Any,
        models: Sequence[str],
        *,
        concurrency: int = 8,
        options: CallOptions = DEFAULT_OPTIONS,
        **parameters: Any,
    ) -> Comparison:
        """Ask several models the same, and compare answers, speed and cost.

        Args:
            prompts: a question, several of them, or lists of messages.
            models: the model IDs.
            concurrency: how many calls run at once.
            options: fallbacks, timeouts and the rest, for every call.
            **parameters: parameters of the request, such as `temperature`.

        Returns:
            A table: model, answer, seconds to the first content, tokens a second, cost in USD, error. A call that
            fails is a row with its error.

        Example:
            ```python
            from hubmix import Hub

            answers = Hub().compare("Why is the sky blue?", ["gpt-4o-mini", "deepseek-chat"])
            print(answers)
            ```
        """
        from hubmix.hub.compare import compare

        return compare(self, prompts, models, concurrency=concurrency, options=options, **parameters)

    map = map_rows
    amap = amap_rows

    # -------------------------------------------------------------------------------- catalog, money, health

    @property
    def models(self) -> ModelCatalog:
        """What the hub serves. Asked when first needed, kept for five minutes."""
        return self._catalog

    def get(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched:
        """GET a page: `"/models"` below the base URL, `"//api/pricing"` below the host.

        Returns:
            Status, headers and body, whatever the status.
        """
        return self._pages.get(url_or_path, headers=headers, authorized=authorized, timeout=timeout)

    async def aget(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched:
        """`get`, for asyncio."""
        return await self._pages.aget(url_or_path, headers=headers, authorized=authorized, timeout=timeout)

    def balance(self) -> Balance:
        """What is left on the key, in USD, or a plain word that this hub does not say."""
        from hubmix.hub.balance import balance

        self.require_key()
        return balance(self._pages, dialect=self.endpoint.preset.balance, base_url=self.base_url)

    async def abalance(self) -> Balance:
        """`balance`, for asyncio."""
        from hubmix.hub.balance import abalance

        self.require_key()
        return await abalance(self._pages, dialect=self.endpoint.preset.balance, base_url=self.base_url)

    @overload
    def spending(self) -> HubSpending: ...

    @overload
    def spending(self, limit: str | Decimal | float) -> LimitedSpending: ...

    def spending(self, limit: str | Decimal | float | None = None) -> HubSpending | LimitedSpending:
        """Return what calls through this hub cost.

        `with hub.spending() as spent:` counts the calls made inside.

        Args:
            limit: USD that the calls of the block may cost together. The call that would pass it raises
                `BudgetExceededError` before anything is sent.
        """
        from hubmix.hub.spending import LimitedSpending, spending

        total = spending(self._connection.spending_key)
        return total if limit is None else LimitedSpending(total, limit)

    def stats(self) -> HubStats:
        """Return what this process measured of the routes: failures, speed and cost."""
        from hubmix.hub.stats import stats_of

        return stats_of(self._connected.name, self.key_id, self.spending().by_model)

    def health(self) -> list[BreakerState]:
        """The state of the circuit breakers that concern this hub and key."""
        self._share_breakers()
        return self._connected.breakers.snapshot()

    def reset_health(self) -> None:
        """Close every breaker of this hub and key: ask all models again at once."""
        self._share_breakers()
        self._connected.breakers.reset()
        self._share_breakers()

    def _share_breakers(self) -> None:
        if self._connected.shared is not None:
            self._connected.shared.share()

    # ------------------------------------------------------------------------------------------------- lifecycle

    def close(self) -> None:
        """Close the sync connections. The hub can be used again; it then opens new ones."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and the sync ones."""
        await self._connection.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def __getstate__(self) -> dict[str, Any]:
        kept = (
            "_connection",
            "_catalog_refresh",
            "_aliases",
            "_overrides",
            "_price_group",
            "_budgets",
            "_breaker_store",
        )
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def __copy__(self) -> Hub:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Hub:
        made = Hub.__new__(Hub)
        made.__setstate__({**self.__getstate__(), "_connection": self._connection.copy()})
        return made


def _headers(app_code: str | None, given: Mapping[str, str | None] | None) -> dict[str, str | None]:
    # New API 2026 words its errors in the client's language; the table knows English and Chinese.
    headers: dict[str, str | None] = {"Accept-Language": "en"}
    if app_code:
        headers["APP-Code"] = app_code
    for name, value in (given or {}).items():
        for known in [h for h in headers if h.lower() == name.lower()]:
            del headers[known]
        headers[name] = value
    check_headers({name: value for name, value in headers.items() if value is not None})
    return headers


def _card(hub: Hub) -> str:
    """Return a small table of the hub: URL, key, catalog and health; asks nothing."""
    info = hub.models.info()
    troubled = [_trouble(state) for state in hub.health() if state.state != "closed"]
    rows = [
        ("hub", hub.name),
        ("base URL", hub.base_url),
        ("key from", hub.key_source),
        ("catalog", "not asked yet" if info.age is None else info.held()),
        ("health", "; ".join(troubled) or "good"),
    ]
    return table((), rows)


def _trouble(state: BreakerState) -> str:
    what = state.model or f"the {state.target}"
    why = f" after {state.kind}" if state.kind else ""
    until = f", left alone for {state.retry_in:.0f} s" if state.state == "open" else ", about to be tried again"
    return f"{what} failing{why}{until}"
