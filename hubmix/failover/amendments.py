"""Which refusal of a vendor is answered by which change of the body. Pure.

What one vendor demands another refuses. If a refusal names something that hubmix added, or that can be said otherwise,
the same route is asked once more with the change, and the change is remembered for that model at that hub. A new
amendment is one row in `AMENDMENTS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubmix.failover.changes import (
    SAMPLING,
    bound_marks_of,
    digest,
    free_choice,
    in_messages,
    joined_text,
    mapped_ids,
    reasoning_as_effort,
    renamed,
    system_role,
    thinking_as,
    unique_ids,
    without_bound_items,
    without_encrypted,
    without_fields,
    without_named_sampling,
    without_reasoning,
    without_strict,
    without_unsigned_thinking,
)
from hubmix.failover.classify import effective_status
from hubmix.failover.evidence import Evidence
from hubmix.wire.messages.thinking import with_adaptive, with_budget

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Amendment:
    """One row.

    Args:
        name: what is done, as the trace tells it.
        refused: a pattern in the parameter and the words of the refusal.
        change: returns the changed body; the same object if there is nothing to change. The second argument is the
            text of the refusal, "" when the change is made from memory.
        of_refusal: the change depends on the words, so the words are remembered.
        of_body: the change depends on what was sent, of which this is remembered.
        warns: the user asked for what is left out, and is warned when the refusal is met.
    """

    name: str
    refused: re.Pattern[str]
    change: Callable[[Body, str], Body]
    of_refusal: bool = False
    of_body: Callable[[Body], str] | None = None
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Learned:
    """A remembered amendment, with the words if the change depends on them."""

    amendment: Amendment
    said: str = ""

    @property
    def name(self) -> str:
        """What is done, as the trace tells it."""
        return self.amendment.name

    def apply(self, body: Body) -> Body:
        """Return the changed body; the same object if there is nothing to change."""
        return self.amendment.change(body, self.said)


def learn(evidence: Evidence, body: Body, known: Sequence[Learned] = ()) -> Learned | None:
    """Return the amendment that answers a refusal of this body; None if no row does.

    Args:
        evidence: the refusal.
        body: what was refused, with what is known applied.
        known: what was learned before: a row that has not helped is not tried again.
    """
    if evidence.phase == "committed" or effective_status(evidence) not in _REFUSALS:
        return None
    said = f"{evidence.param or ''} {evidence.message}"
    for amendment in AMENDMENTS:
        if amendment.refused.search(said):
            learned = Learned(amendment, _remembered(amendment, body, said))
            if learned not in known and learned.apply(body) is not body:
                return learned
    return None


def _remembered(amendment: Amendment, body: Body, said: str) -> str:
    if amendment.of_body is not None:
        return amendment.of_body(body)
    return said if amendment.of_refusal else ""


def amend(body: dict[str, Any], learned: Iterable[Learned]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the changed body, and the names of the amendments that changed it."""
    changed: Body = body
    names = []
    for one in learned:
        before, changed = changed, one.apply(changed)
        if changed is not before:
            names.append(one.name)
    return dict(changed) if changed is not body else body, tuple(names)


# New API gives many refusals as 500, and some come inside a 200 without any status.
_REFUSALS = frozenset({0, 400, 404, 413, 415, 422, 500})


def _row(name: str, refused: str, change: Callable[[Body, str], Body], **more: Any) -> Amendment:
    return Amendment(name, re.compile(refused, re.IGNORECASE | re.DOTALL), change, **more)


_REFUSES = (
    r"(not (been |be )?(support|permit|allow|accept|recogni|expect|includ)|n.t support|unsupported|unknown|unexpected"
    r"|unrecogni[sz]ed|extra (inputs|fields)|additional propert|no such|cannot find field|forbidden"
    r"|no endpoints found that support)"
)


def _refuses(what: str) -> str:
    return rf"({what}\b.{{0,160}}{_REFUSES}|{_REFUSES}.{{0,80}}{what}\b)"


AMENDMENTS: tuple[Amendment, ...] = (
    _row("stream_options left out", r"stream_options", without_fields("stream_options")),
    # gpt-5 and the o models want the one, older vendors the other. The value stays what the user said.
    _row(
        "max_tokens sent as max_completion_tokens",
        rf"\bmax_tokens\b.{{0,60}}{_REFUSES}|use .?max_completion_tokens",
        renamed("max_tokens", "max_completion_tokens"),
    ),
    _row(
        "max_completion_tokens sent as max_tokens",
        # Not the advice that stands behind a refusal of max_tokens: "Use 'max_completion_tokens' instead."
        _refuses(r"(?<!use .)\bmax_completion_tokens"),
        renamed("max_completion_tokens", "max_tokens"),
    ),
    # Groq and Mistral refuse what DeepSeek and Kimi insist on.
    _row(
        "reasoning of earlier turns left out",
        _refuses(r"\breasoning_(content|details)"),
        in_messages(without_reasoning),
    ),
    # It belongs to OpenRouter and to the Responses API; OpenAI's chat completions have the effort by another name.
    _row("reasoning sent as reasoning_effort", _refuses(r"(?<!\w)reasoning(?!\w)"), reasoning_as_effort),
    # A model that does not think (pydantic-ai #2865).
    _row("encrypted reasoning not asked for", r"encrypted content is not supported", without_encrypted),
    # Only the account that encrypted can read, and a hub has many (litellm #22651). What a call was refused is
    # left out of later calls; the reasoning of other answers goes back as before.
    Amendment(
        "reasoning and ids of earlier answers left out",
        re.compile(
            r"encrypted content\b.{0,300}(could not be|cannot be|failed to).{0,20}(verif|decrypt|pars)"
            r"|item with id .{0,80} not found|provided without its required",
            re.IGNORECASE | re.DOTALL,
        ),
        without_bound_items,
        of_body=bound_marks_of,
    ),
    # Gateways that convert to the Responses API, and Gemini; Kimi numbers its calls anew in every turn.
    _row(
        "repeated tool call ids made unique",
        r"duplicate.{0,80}\b(call_id|tool_call|tool_use|function_call|id)|\bids?\b.{0,40}must be unique",
        unique_ids,
    ),
    _row(
        "tool call ids mapped to nine letters and digits",
        r"(tool[ _]?call|call|tool)\b.{0,20}\bid\b.{0,120}length of 9\b",
        mapped_ids(re.compile(r"[A-Za-z0-9]{9}"), lambda given: digest(given)[:9]),
    ),
    _row(
        "tool call ids mapped to at most 40 letters and digits",
        r"(tool_use|tool_calls?|call|function_call)[\w\[\].']{0,20}[._ ]?id\b.{0,120}"
        r"(pattern|too long|maximum length|at most \d+ char|only contain)",
        mapped_ids(re.compile(r"[A-Za-z0-9_-]{1,40}"), lambda given: "call_" + digest(given)[:24]),
    ),
    # Thinking models; a structured answer then depends on the model calling the tool by itself.
    _row(
        "forced tool_choice changed to auto",
        _refuses(r"\btool_choice")
        + r"|\btool[_ ]choice\b.{0,160}(thinking|only\W{0,3}support|(must|should) be|\bauto\b)"
        r"|thinking.{0,80}\btool_choice\b",
        free_choice,
    ),
    _row("strict left out", _refuses(r"\bstrict") + r"|invalid schema for (function|response_format)", without_strict),
    _row(
        "text parts joined to one string",
        r"\bcontent\b.{0,80}(must be a string|should be a( valid)? string|is not a string|expected a? ?string"
        r"|not of type .string)|sequence, expected a string",
        in_messages(joined_text),
    ),
    _row(
        "role developer sent as system",
        _refuses(r"\bdeveloper") + r"|developer.{0,20}not one of|\brole\b.{0,80}\bsystem\b",
        in_messages(system_role),
    ),
    # Claude before 4.6 takes a budget alone, Claude from 4.7 an effort alone.
    _row(
        "adaptive thinking sent as a budget",
        r"adaptive thinking is not supported|thinking.{0,40}adaptive.{0,80}(input should be|not supported)",
        thinking_as("adaptive", with_budget),
    ),
    _row(
        "thinking budget sent as adaptive",
        r"thinking\.type\.enabled.{0,40}not supported|use .?thinking\.type\.adaptive",
        thinking_as("enabled", with_adaptive),
    ),
    # Gateways' chat completions carry no signatures, and Claude then refuses the second turn of a tool loop.
    _row(
        "thinking left off: the history has no signatures",
        r"must (start|begin) with .{0,12}thinking|expected .?thinking.?.{0,60}(found|but)"
        r"|signature.{0,40}(required|missing)|thinking blocks? (is|are|must be) (required|present)"
        r"|invalid .?signature.{0,20}thinking",
        without_unsigned_thinking,
        warns=True,
    ),
    _row(
        "sampling parameters that the model refuses left out",
        rf"\b({'|'.join(SAMPLING)})\b.{{0,160}}({_REFUSES}|both|only (the default|1|one)|deprecated|does not support)",
        without_named_sampling,
        of_refusal=True,
    ),
)


_BATCH_LIMITS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"batch size.{0,80}(?:larger than|exceed\w*|at most|maximum(?: allowed)?(?: batch size)?(?: of)?) ?(\d+)",
        r"(?:at most|maximum(?: of)?|up to|limit(?: of)?) (\d+) (?:requests|texts|inputs|documents|items)",
        r"array too long.{0,60}maximum length (\d+)",
        r"(?:max\w*|limit) (?:number )?(?:of )?(?:inputs?|texts|documents|items)(?: is| of|:)? (\d+)",
        r"(?:inputs|texts|documents|items)\b.{0,20} exceeds? (?:the |a )?(?:limit|max\w*)(?: of)? (\d+)",
        r"(?:数组|批量|batch).{0,20}(?:不得超过|最大|不能超过)\D{0,6}(\d+)",
    )
)


_ONE_TEXT = re.compile(
    r"batch(es|ing)?( \w+){0,2} (is |are )?(not |un)supported|not support \w* ?batch"
    r"|(single|only one) (input|text)\b",
    re.IGNORECASE,
)
_TOO_MUCH = re.compile(
    r"too many (inputs|texts|documents|items)|batch( size)? (is )?too (large|big)|tokens? (allowed )?per request"
    r"|(entity|payload|body) too large",
    re.IGNORECASE,
)


def batch_limit(said: str, count: int) -> int | None:
    """Return the texts that a vendor takes in one request, or None.

    Args:
        said: the words of its refusal.
        count: how many texts it refused.
    """
    found = (pattern.search(said) for pattern in _BATCH_LIMITS)
    limits = [int(match[1]) for match in found if match]
    if _ONE_TEXT.search(said):
        limits.append(1)
    return next((limit for limit in limits if 0 < limit < count), None)


def is_too_much(said: str) -> bool:
    """Whether a vendor refused texts for their number or size, with no limit named."""
    return _TOO_MUCH.search(said) is not None
