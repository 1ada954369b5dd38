"""`ModelCatalog`: which models a hub serves, what they can do and what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from typing_extensions import Unpack

from hubmix.catalog.cache import CatalogCache, Settings, run_in_thread
from hubmix.catalog.cost import cost_of
from hubmix.catalog.listing import Available, Criteria, ModelList, Price, check_supports, select
from hubmix.catalog.models import CatalogInfo, ModelInfo
from hubmix.catalog.readers import is_router
from hubmix.catalog.refused_apis import RefusedApis
from hubmix.catalog.snapshot import Document, Snapshot, check_overrides
from hubmix.catalog.substitutes import nearest
from hubmix.errors import ModelNotFoundError
from hubmix.transport.get import Fetcher, NoHub
from hubmix.wire import Usage
from hubmix.wire.values import Cost


class ModelCatalog:
    """What a hub can serve, asked from the hub itself.

    Nothing is asked until it is needed, and then at most every five minutes: an older list is served at once and
    renewed in the background. A copy on disk lets a program start offline. All methods may be called from any thread;
    those with an `a` in front are the same for asyncio.

    The metadata advises. It never blocks a call, and no call waits for it: `cached` looks only at what is already here.

    Args:
        fetch: what makes the requests, usually the `Hub`.
        base_url: the hub's base URL.
        key_id: a salted hash of the key, for the name of the copy on disk; each key has its own list.
        sources: the dialects to ask, of "aihubmix", "new-api", "one-hub", "litellm", "openai".
        aliases: the user's own names: alias to model id.
        overrides: the user's own facts: model id to fields of `ModelInfo`; they win over every source.
        cache_dir: where the copy is kept; None for none. Default: `HUBMIX_CACHE_DIR`, else the user's cache directory.
        price_group: the group whose ratio the key is billed with; see `Hub`.
        timeout: seconds for each request.
        clock, wall_clock, background: the time, and what runs a refresh in the background; for tests.

    Example:
        ```python
        hub.models.list("claude", supports={"tools"}, max_input_price=3)
        hub.models.get("gpt-4o").context_window  # 128000
        ```
    """

    def __init__(
        self,
        fetch: Fetcher,
        *,
        base_url: str,
        key_id: str = "",
        sources: tuple[str, ...] = ("new-api", "openai"),
        aliases: Mapping[str, str] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        cache_dir: Path | Literal["default"] | None = "default",
        price_group: str | None = None,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        background: Callable[[Callable[[], None]], None] = run_in_thread,
    ) -> None:
        self._cache = CatalogCache(
            Settings(
                fetch=fetch,
                base_url=base_url.rstrip("/"),
                key_id=key_id,
                sources=tuple(sources),
                aliases=dict(aliases or {}),
                overrides=check_overrides(overrides or {}),
                cache_dir=cache_dir,
                price_group=price_group,
                timeout=timeout,
                clock=clock,
                wall_clock=wall_clock,
                background=background,
            )
        )

        self.refused_apis = RefusedApis(cache_dir, base_url.rstrip("/"), key_id, clock=wall_clock)

    # What is already here: no network, no waiting.

    @property
    def cached(self) -> CachedModels:
        """What is known now, without asking the hub; the first look may read the disk."""
        return CachedModels(self._cache)

    def apis_of(self, model: str) -> tuple[frozenset[str], frozenset[str], bool]:
        """Return a model's listed APIs, its refused ones, and if Messages comes first."""
        info = self._cache.cached().find(model)
        refused = self.refused_apis.of(model)
        return (frozenset(), refused, False) if info is None else (info.apis, refused, info.lists_messages_first)

    def nearest(self, model: str, *, max_price_ratio: float = 1.5, limit: int = 3) -> ModelList:
        """Return models that can stand in for `model`, best first, from what is known now.

        One can if it is of the same kind, can all that `model` can, has as large a context window and costs at most
        `max_price_ratio` times as much. See `hubmix.catalog.substitutes`.
        """
        snapshot = self._cache.cached()
        info = snapshot.find(model)
        if info is None:
            return ModelList([])
        return ModelList(nearest(info, snapshot.models.values(), max_price_ratio=max_price_ratio, limit=limit))

    def warm(self, wait: float = 0) -> None:
        """Start a refresh in the background if the list is missing or old.

        Args:
            wait: seconds to give a first list to arrive. If it takes longer once, no later call waits again.
        """
        self._cache.snapshot(wait=wait, required=False)

    async def awarm(self, wait: float = 0) -> None:
        """`warm`, for asyncio."""
        await self._cache.asnapshot(wait=wait, required=False)

    def info(self) -> CatalogInfo:
        """Return where the list came from, its age, and what went wrong last."""
        return self._cache.info()

    # Verbs that may ask the hub, if there is no list yet.

    def list(
        self,
        query: str | None = None,
        *,
        kind: str | None = "chat",
        supports: Iterable[str] | str = (),
        modalities: Iterable[str] | str = (),
        min_context: int | None = None,
        max_input_price: Price | None = None,
        max_output_price: Price | None = None,
        free: bool | None = None,
        owner: str | None = None,
        available: Available = None,
        retired: bool = False,
        unknown: bool = False,
        unknown_prices: bool = False,
        sort: str = "id",
        descending: bool = False,
        limit: int | None = None,
    ) -> ModelList:
        """Return the models that meet every criterion given.

        Args:
            query: words that must all occur in id, name or owner; case does not matter.
            kind: chat, embedding, rerank, image, audio, video, or None for all.
            supports: capabilities that must be known: tools, vision, audio, pdf, reasoning, structured_output, or
                feature words of the hub.
            modalities: input modalities that must be known: text, image, audio, video, pdf.
            min_context: tokens; models of unknown window are left out.
            max_input_price, max_output_price: USD per 1,000,000 tokens; models of unknown price are left out.
            free: True for what costs nothing, False for what is known to cost something.
            owner: the vendor; case does not matter.
            available: None leaves out what the key's own list does not have, if that list is known; "any" shows all,
                True and False only those that are, or are not, in it.
            retired: show models that the hub has retired, too.
            unknown: let models pass of which the hub does not say whether they meet a criterion.
            unknown_prices: the same for the price limits alone.
            sort: id, name, owner, kind, context_window, max_output_tokens, input_price or output_price; what is not
                known comes last.
            descending: the largest first.
            limit: at most so many.

        Raises:
            CatalogError: there is no list, here or on disk, and the hub could not be asked.
            ConfigurationError: an unknown kind or sort key, or a capability that nothing is known to have.
        """
        criteria = Criteria(
            kind=kind,
            supports=supports,
            modalities=modalities,
            min_context=min_context,
            max_input_price=max_input_price,
            max_output_price=max_output_price,
            free=free,
            owner=owner,
            available=available,
            retired=retired,
            unknown=unknown,
            unknown_prices=unknown_prices,
            sort=sort,
            descending=descending,
            limit=limit,
        )
        return self._listing(self._cache.snapshot(), query, criteria)

    async def alist(self, query: str | None = None, **criteria: Unpack[Criteria]) -> ModelList:
        """`list`, for asyncio, with the same arguments."""
        criteria.setdefault("sort", "id")
        return self._listing(await self._cache.asnapshot(), query, criteria)

    def get(self, model: str) -> ModelInfo:
        """Return what the hub says of a model, by id or alias.

        Raises:
            ModelNotFoundError: no model of that name, with the names that look like it; or several, with the choices.
            CatalogError: there is no list, here or on disk, and the hub could not be asked.
        """
        return self._pick(self._cache.snapshot(required=not self._described(model)), model)

    async def aget(self, model: str) -> ModelInfo:
        """`get`, for asyncio."""
        return self._pick(await self._cache.asnapshot(required=not self._described(model)), model)

    def find(self, model: str) -> ModelInfo | None:
        """Return what `get` does; None if no single model is meant, or no list is known."""
        return self._cache.snapshot(required=False).find(model)

    async def afind(self, model: str) -> ModelInfo | None:
        """`find`, for asyncio."""
        return (await self._cache.asnapshot(required=False)).find(model)

    def resolve(self, alias: str) -> str:
        """Return the id that a name means; an unknown one passes through unchanged.

        In order: the user's own aliases, the id itself, in another case, without its vendor prefix, with one, and with
        `.`, `-` and `_` made equal. Never a guess.

        Raises:
            ModelNotFoundError: the name fits several models; the message and `suggestions` list them.
        """
        return self._resolved(self._cache.snapshot(required=False), alias)

    async def aresolve(self, alias: str) -> str:
        """`resolve`, for asyncio."""
        return self._resolved(await self._cache.asnapshot(required=False), alias)

    def suggest(self, model: str, *, limit: int = 3) -> tuple[str, ...]:
        """The ids that look most like `model`, best first: for a did-you-mean."""
        return self._cache.snapshot(required=False).index.suggest(model, limit)

    async def asuggest(self, model: str, *, limit: int = 3) -> tuple[str, ...]:
        """`suggest`, for asyncio."""
        return (await self._cache.asnapshot(required=False)).index.suggest(model, limit)

    def cost(self, model: str, usage: Usage | Mapping[str, Any] | None) -> Cost:
        """Return what a call cost.

        Args:
            model: the id that answered.
            usage: the reply's `Usage`, a `usage` object as the hub sent it, or LangChain's `usage_metadata`.

        Returns:
            A `Cost` in USD; if a price is not known, one with `complete=False` and no total.
        """
        return cost_of(model, self._cache.snapshot(required=False).find(model), usage)

    async def acost(self, model: str, usage: Usage | Mapping[str, Any] | None) -> Cost:
        """`cost`, for asyncio."""
        return cost_of(model, (await self._cache.asnapshot(required=False)).find(model), usage)

    def refresh(self, *, force: bool = False) -> CatalogInfo:
        """Ask the hub now. A list that cannot be renewed is kept.

        Args:
            force: believe a list that lost more than half of its models at once.

        Raises:
            CatalogError: the hub gave no list and there is none to keep.
        """
        self._cache.refresh(force=force)
        self._cache.needed()
        return self._cache.info()

    async def arefresh(self, *, force: bool = False) -> CatalogInfo:
        """`refresh`, for asyncio."""
        await self._cache.arefresh(force=force)
        self._cache.needed()
        return self._cache.info()

    # The pure part of the verbs.

    def _described(self, model: str) -> bool:
        """Whether the user's overrides describe this model, so that no list is needed."""
        return self._cache.overrides.find(model) is not None

    def _listing(self, snapshot: Snapshot, query: str | None, criteria: Criteria) -> ModelList:
        check_supports(criteria.get("supports", ()), snapshot.models.values())
        found, left_out = select(snapshot.models.values(), query, **criteria)
        return ModelList(found, as_of=self._cache.as_of(snapshot), left_out=left_out)

    def _pick(self, snapshot: Snapshot, model: str) -> ModelInfo:
        if (found := snapshot.find(model)) is not None:
            return found
        match = snapshot.index.match(model)
        if match.ambiguous:
            raise _ambiguous(model, match.choices)
        meant = match.only or model
        near = snapshot.index.suggest(meant)
        hint = f" Did you mean {_or(near)}?" if near else " hub.models.list() shows what it has."
        alias = "" if meant == model else f", which your alias {model!r} names"
        raise ModelNotFoundError(
            f"{self._cache.settings.base_url} lists no model {meant!r}{alias}.{hint}", model=model, suggestions=near
        )

    def _resolved(self, snapshot: Snapshot, alias: str) -> str:
        match = snapshot.index.match(alias)
        if match.ambiguous:
            raise _ambiguous(alias, match.choices)
        return match.only or alias

    # A pickle carries the list and no hub, since a hub may hold a key: in another process it is data to look at, and
    # `hub.models` of a hub there is what asks. A copy shares the hub.

    def __getstate__(self) -> tuple[Settings, Mapping[str, Document]]:
        snapshot = self._cache.held
        return replace(self._cache.settings, fetch=NoHub()), dict(snapshot.documents) if snapshot else {}

    def __setstate__(self, state: tuple[Settings, Mapping[str, Document]]) -> None:
        settings, documents = state
        self._cache = CatalogCache(settings)
        self._cache.use(documents)

    def __copy__(self) -> ModelCatalog:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> ModelCatalog:
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        twin._cache = CatalogCache(self._cache.settings)
        twin._cache.held = self._cache.held
        return twin

    def __repr__(self) -> str:
        return f"<ModelCatalog {self._cache.info()}>"

    def _repr_html_(self) -> str:
        return self._cache.info()._repr_html_()


class CachedModels:
    """The models as they are known here and now; see `ModelCatalog.cached`."""

    __slots__ = ("_cache",)

    def __init__(self, cache: CatalogCache) -> None:
        self._cache = cache

    def find(self, model: str, *, disk: bool = True) -> ModelInfo | None:
        """Return what is known of a model, by id or alias; None if nothing is.

        Args:
            model: the id or alias.
            disk: False never reads the copy on disk, for callers that must do no I/O.
        """
        return self._cache.cached(disk=disk).find(model)

    def lists(self, model: str) -> bool | None:
        """Return whether the hub's list has the model; None if that is not known.

        A list that is old or has gaps says nothing, and the hub's own router need not be in it.
        """
        if is_router(model):
            return None
        snapshot = self._cache.cached()
        if snapshot.index.match(model).choices:
            return True
        return False if snapshot.documents and not snapshot.partial and not self._cache.is_old(snapshot) else None

    def id(self, model: str) -> str:
        """Return the id that a call sends; an unknown or ambiguous one passes unchanged."""
        return self._cache.cached().index.only(model) or model

    def cost(self, model: str, usage: Usage | Mapping[str, Any] | None) -> Cost:
        """Return what a call cost, as `ModelCatalog.cost` does."""
        return cost_of(model, self.find(model), usage)

    def suggest(self, model: str, *, limit: int = 3) -> tuple[str, ...]:
        """Return the ids that look most like `model`, best first."""
        return self._cache.cached().index.suggest(model, limit)


def _ambiguous(name: str, choices: tuple[str, ...]) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{name!r} fits several models: {_or(choices)}. Use one of these ids, or an alias of your own for it.",
        model=name,
        suggestions=choices,
    )


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)
