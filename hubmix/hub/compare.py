"""The same prompts through several models: answers, time, speed and cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hubmix._compat import extra
from hubmix._html import Records, table
from hubmix._text import in_columns, one_line, plain
from hubmix.batch.drive import Caller
from hubmix.batch.workers import Workers
from hubmix.errors import CatalogError, ConfigurationError, HubmixError
from hubmix.failover.options import DEFAULT_OPTIONS, CallOptions
from hubmix.wire import Reply
from hubmix.wire.values import Cost

if TYPE_CHECKING:
    from collections.abc import Generator

    from hubmix.transport.clients import ClientPool
    from hubmix.wire import Delta

Prompt = str | Sequence[Mapping[str, Any]]
_Job = tuple[Prompt, str]  # with the model
_SHOWN = 60  # characters of an answer in a table


class Asked(Caller, Protocol):
    """What a comparison asks of a hub."""

    @property
    def pool(self) -> ClientPool:
        """The SDK clients."""

    def stream_chat(self, payload: Mapping[str, Any], options: CallOptions) -> Generator[Delta, None, None]:
        """Ask for an answer in pieces."""


@dataclass(frozen=True, slots=True)
class Timed:
    """An answer with its times in seconds: to the first content, and in all."""

    reply: Reply
    first: float | None
    total: float


@dataclass(frozen=True, slots=True)
class Compared:
    """What one model made of one prompt.

    Args:
        prompt: the prompt, or the last message of it.
        model: the model that was asked.
        timed: the answer; None if the call failed.
        cost: what it cost, as far as the catalog knows.
        error: why the call failed.
    """

    prompt: str
    model: str
    timed: Timed | None = None
    cost: Cost | None = None
    error: HubmixError | None = None

    @property
    def answer(self) -> str | None:
        """The text; None if the call failed."""
        return self.timed.reply.text.strip() if self.timed else None

    @property
    def first_token_s(self) -> float | None:
        """Seconds to the first content."""
        return self.timed.first if self.timed else None

    @property
    def output_tokens(self) -> int | None:
        """Tokens of the answer, reasoning included."""
        usage = self.timed.reply.usage if self.timed else None
        return usage.output_tokens if usage else None

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens a second after the first content."""
        if self.timed is None or self.timed.first is None or not self.output_tokens:
            return None
        span = self.timed.total - self.timed.first
        return self.output_tokens / (span if span > 0.001 else max(self.timed.total, 0.001))

    def to_dict(self) -> dict[str, Any]:
        """The columns of the table as JSON values; the cost in USD."""
        total = self.cost.total if self.cost else None
        return {
            "model": self.model,
            "answer": self.answer,
            "first_token_s": self.first_token_s,
            "tokens_per_s": self.tokens_per_s,
            "cost": None if total is None else float(total),
            "error": str(self.error) if self.error else None,
        }

    def cells(self) -> tuple[str, ...]:
        """The columns as text."""
        answer = one_line(self.answer or "")
        answer = answer if len(answer) <= _SHOWN else answer[: _SHOWN - 1] + "…"
        first, speed = self.first_token_s, self.tokens_per_s
        return (
            self.model,
            answer,
            "" if first is None else f"{first:.2f}",
            "" if speed is None else f"{speed:,.0f}",
            "" if self.cost is None or self.cost.total is None else plain(self.cost.total),
            type(self.error).__name__ if self.error else "",
        )


_COLUMNS = ("model", "answer", "first_token_s", "tokens_per_s", "cost", "error")


class Comparison(Records[Compared]):
    """The answers, prompt by prompt, in the order of the models."""

    def to_pandas(self) -> Any:
        """A data frame with the columns of the table.

        `prompt` comes first if there are several prompts."""
        several = len({row.prompt for row in self._rows}) > 1
        prompts = [{"prompt": row.prompt} if several else {} for row in self._rows]
        rows = [{**prompt, **row.to_dict()} for prompt, row in zip(prompts, self._rows, strict=True)]
        return extra("pandas", "to_pandas()", "notebook").DataFrame(
            rows, columns=[*(["prompt"] if several else []), *_COLUMNS]
        )

    def plot(self) -> Any:
        """Axes of matplotlib: cost against seconds to the first content."""
        _, axes = extra("matplotlib.pyplot", "plot()", "notebook").subplots()
        for model in dict.fromkeys(row.model for row in self._rows):
            found = [row.to_dict() for row in self._rows if row.model == model]
            known = [row for row in found if row["cost"] is not None and row["first_token_s"] is not None]
            label = model.replace("$", r"\$")  # between dollar signs matplotlib reads a formula
            axes.scatter([row["first_token_s"] for row in known], [row["cost"] for row in known], label=label)
        axes.set(xlabel="seconds to the first content", ylabel="cost of the call (USD)")
        axes.legend()
        return axes

    def __repr__(self) -> str:
        return in_columns([_COLUMNS, *(row.cells() for row in self._rows)])

    def _repr_html_(self) -> str:
        return table(_COLUMNS, [row.cells() for row in self._rows], numeric={2, 3, 4})


def compare(
    hub: Asked,
    prompts: Prompt | Sequence[Prompt],
    models: Sequence[str],
    *,
    concurrency: int = 8,
    options: CallOptions = DEFAULT_OPTIONS,
    **parameters: Any,
) -> Comparison:
    """Ask several models the same, at the same time; see `hubmix.Hub.compare`."""
    asked = _prompts(prompts)
    names = [models] if isinstance(models, str) else list(dict.fromkeys(models))
    if not asked or not names:
        raise ConfigurationError('compare needs a prompt and a model: hub.compare("Hello", ["gpt-4o-mini", "qwen3"]).')
    if concurrency < 1:
        raise ConfigurationError(f"concurrency must be at least 1, not {concurrency}.")
    hub.require_key()
    _get_ready(hub)

    def ask(job: _Job) -> Compared:
        prompt, model = job
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        said = _last_words(messages)
        try:
            timed = timed_stream(hub, {"model": model, "messages": messages, **parameters}, options)
        except HubmixError as error:
            return Compared(said, model, error=error)
        return Compared(said, model, timed, cost_of(hub, timed.reply))

    jobs = [(prompt, model) for prompt in asked for model in names]
    return Comparison(_side_by_side(ask, jobs, concurrency))


def timed_stream(
    hub: Asked,
    payload: Mapping[str, Any],
    options: CallOptions,
    *,
    on_text: Callable[[str], None] | None = None,
    on_reasoning: Callable[[str], None] | None = None,
) -> Timed:
    """Ask for a stream, measure it, and pass on its text and reasoning as they come."""
    hub.models.warm()  # for the cost; the call does not wait for it
    hub.pool.sync()  # the import of the SDK is no time of the model's
    started, first, reply = time.monotonic(), None, Reply()
    with closing(hub.stream_chat(payload, options)) as deltas:
        for delta in deltas:
            if first is None and delta.has_content:
                first = time.monotonic() - started
            if (text := delta.text or delta.refusal) and on_text is not None:
                on_text(text)
            if delta.reasoning and on_reasoning is not None:
                on_reasoning(delta.reasoning)
            if delta.final is not None:
                reply = delta.final
    return Timed(reply, first, time.monotonic() - started)


def cost_of(hub: Asked, reply: Reply) -> Cost | None:
    """Return what an answer cost, waiting for the catalog if it was not there in time."""
    if (reply.cost is not None and reply.cost.complete) or reply.served is None:
        return reply.cost
    try:
        return hub.models.cost(reply.cost.model if reply.cost is not None else reply.served, reply.usage)
    except CatalogError:
        return None


def _get_ready(hub: Asked) -> None:
    """Make the client and ask for prices, so that neither counts as a model's time."""
    hub.pool.sync()
    with suppress(CatalogError):
        hub.models.list(kind=None)


def _prompts(prompts: Prompt | Sequence[Prompt]) -> list[Prompt]:
    if isinstance(prompts, str):
        return [prompts]
    given: list[Any] = list(prompts)
    return [given] if given and isinstance(given[0], Mapping) else given


def _last_words(messages: Sequence[Mapping[str, Any]]) -> str:
    content = messages[-1].get("content") if messages else ""
    if isinstance(content, list):
        content = " ".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return str(content or "")


def _side_by_side(ask: Callable[[_Job], Compared], jobs: Sequence[_Job], concurrency: int) -> list[Compared]:
    with Workers(concurrency) as workers:
        asked = [workers.submit(ask, job) for job in jobs]
        waiting = set(asked)
        while waiting:
            # Windows does not let Ctrl-C through to a wait without a timeout.
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()  # raises what is no error of a hub at once, whatever is still asked
        return [future.result() for future in asked]
