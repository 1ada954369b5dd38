"""The options of a map as one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from hubmix.batch.progress import Listener
from hubmix.errors import ConfigurationError
from hubmix.failover.options import CallOptions

OnError = Literal["value", "raise"]


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How a map is made; `map_rows` says what each field means.

    Raises:
        ConfigurationError: a value cannot be used.
    """

    model: str
    fallbacks: Iterable[Any] | Literal["auto"] | None
    system: str | None
    concurrency: int
    on_error: OnError
    progress: bool | Listener | None
    resume: str | PathLike[str] | None
    retry_errors: bool
    options: CallOptions
    parameters: Mapping[str, Any]
    budget: object = None

    def __post_init__(self) -> None:
        concurrency = self.concurrency
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise ConfigurationError(f"concurrency is a number of calls, 1 or more; got {concurrency!r}.")
        if self.on_error not in ("value", "raise"):
            raise ConfigurationError(f'on_error is "value" or "raise"; got {self.on_error!r}.')

    @property
    def file(self) -> Path | None:
        """The resume file."""
        try:
            return None if self.resume is None else Path(self.resume).expanduser()
        except (TypeError, RuntimeError) as error:  # no path at all, or the home of an unknown user
            raise ConfigurationError(
                f"resume={str(self.resume)!r} cannot be used: {str(error).rstrip('.')}. Nothing was sent."
            ) from error
