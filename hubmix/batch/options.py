"""The options of `hub.map`, once for its four spellings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal

from typing_extensions import TypedDict

from hubmix.batch.progress import Listener
from hubmix.failover.options import DEFAULT_OPTIONS, CallOptions

OnError = Literal["value", "raise"]


class RequestParameters(TypedDict, total=False):
    """What is sent with every request."""

    temperature: float | None
    max_tokens: int | None
    max_completion_tokens: int | None
    top_p: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    stop: str | Sequence[str] | None
    seed: int | None
    n: int | None
    logprobs: bool | None
    top_logprobs: int | None
    logit_bias: Mapping[str, float] | None
    reasoning_effort: str | None
    response_format: Any
    parallel_tool_calls: bool | None
    user: str | None
    service_tier: str | None
    tools: Sequence[Any] | None
    tool_choice: Any
    stream_options: Mapping[str, Any] | None
    modalities: Sequence[str] | None
    audio: Mapping[str, Any] | None
    prediction: Mapping[str, Any] | None
    metadata: Mapping[str, str] | None
    store: bool | None
    verbosity: str | None
    web_search_options: Mapping[str, Any] | None
    prompt_cache_key: str | None
    safety_identifier: str | None


class MapOptions(RequestParameters, total=False):
    """How a map is made.

    Attributes:
        fallbacks: model IDs to go on to, or "auto".
        system: a system message in front of every request.
        concurrency: how many calls are open at once.
        on_error: "value" puts an error into its row and goes on; "raise" raises the first one, in the order of the
            rows. A missing key is raised before anything is sent.
        progress: True for a progress line on stderr or in the notebook, or a function that is called with a `Progress`
            whenever a row is finished.
        resume: a file (JSON lines) that keeps each row as it is finished. Run again with the same rows, finished ones
            are read from it and not asked again; a row whose place or request has changed is asked anew.
        retry_errors: ask again for rows that the file has as failed.
        options: timeouts, failover policy and the rest; `fallbacks` above wins over its own.
    """

    fallbacks: Iterable[str] | Literal["auto"] | None
    system: str | None
    concurrency: int
    on_error: OnError
    progress: bool | Listener | None
    resume: str | PathLike[str] | None
    retry_errors: bool
    options: CallOptions


DEFAULTS = MapOptions(
    fallbacks=(),
    system=None,
    concurrency=8,
    on_error="value",
    progress=None,
    resume=None,
    retry_errors=True,
    options=DEFAULT_OPTIONS,
)
