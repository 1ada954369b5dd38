"""``hub.map`` and ``hub.amap``: the verbs of a hub that ask once for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hubmix.failover.options import DEFAULT_OPTIONS, CallOptions

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, Iterable

    from hubmix.batch.progress import Listener
    from hubmix.batch.requests import Prompt
    from hubmix.batch.rows import Rows
    from hubmix.hub.hub import Hub


class MapsRows:
    """What a hub gains by it: `map` and `amap`."""

    def _hub(self) -> Hub:
        raise NotImplementedError

    def map(
        self,
        rows: Iterable[Any],
        prompt: Prompt = None,
        *,
        model: str,
        fallbacks: Iterable[str] | Literal["auto"] | None = (),
        system: str | None = None,
        concurrency: int = 8,
        on_error: Literal["value", "raise"] = "value",
        progress: bool | Listener | None = None,
        resume: str | os.PathLike[str] | None = None,
        retry_errors: bool = True,
        options: CallOptions = DEFAULT_OPTIONS,
        **parameters: Any,
    ) -> Rows:
        """Ask once for each row, several at a time, answers in order; see :func:`hubmix.batch.map_rows`."""
        from hubmix.batch import map_rows

        return map_rows(
            self._hub(),
            rows,
            prompt,
            model=model,
            fallbacks=fallbacks,
            system=system,
            concurrency=concurrency,
            on_error=on_error,
            progress=progress,
            resume=resume,
            retry_errors=retry_errors,
            options=options,
            **parameters,
        )

    async def amap(
        self,
        rows: Iterable[Any] | AsyncIterable[Any],
        prompt: Prompt = None,
        *,
        model: str,
        fallbacks: Iterable[str] | Literal["auto"] | None = (),
        system: str | None = None,
        concurrency: int = 8,
        on_error: Literal["value", "raise"] = "value",
        progress: bool | Listener | None = None,
        resume: str | os.PathLike[str] | None = None,
        retry_errors: bool = True,
        options: CallOptions = DEFAULT_OPTIONS,
        **parameters: Any,
    ) -> Rows:
        """:meth:`map`, for asyncio."""
        from hubmix.batch import amap_rows

        return await amap_rows(
            self._hub(),
            rows,
            prompt,
            model=model,
            fallbacks=fallbacks,
            system=system,
            concurrency=concurrency,
            on_error=on_error,
            progress=progress,
            resume=resume,
            retry_errors=retry_errors,
            options=options,
            **parameters,
        )
