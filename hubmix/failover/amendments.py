"""What one vendor demands another refuses: which refusal is answered by which change of the body. Pure.

If a refusal names something that hubmix added, or that can be said otherwise, the same route is asked once more with
the change, and the change is remembered for that model at that hub. A new amendment is one row in `AMENDMENTS`.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubmix.failover.classify import effective_status
from hubmix.failover.evidence import Evidence
from hubmix.wire.messages.thinking import is_kind, with_adaptive, with_budget, without_thinking
from hubmix.wire.responses.body import ENCRYPTED
from hubmix.wire.responses.items import bound_marks, without_bound

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
    """

    name: str
    refused: re.Pattern[str]
    change: Callable[[Body, str], Body]
    of_refusal: bool = False
    of_body: Callable[[Body], str] | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """An amendment as it is remembered: the row, and the words if the change depends on them."""

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
    """Return the body with everything that was learned, and the names of what had to be changed."""
    changed: Body = body
    names = []
    for one in learned:
        before, changed = changed, one.apply(changed)
        if changed is not before:
            names.append(one.name)
    return dict(changed) if changed is not body else body, tuple(names)


# New API gives many refusals as 500, and some come inside a 200 without any status.
_REFUSALS = frozenset({0, 400, 404, 413, 415, 422, 500})


# -- the changes ----------------------------------------------------------------------------------------------------


def _without(*names: str) -> Callable[[Body, str], Body]:
    def change(body: Body, said: str) -> Body:
        return _leave_out(body, names)

    return change


def _leave_out(body: Body, names: Iterable[str]) -> Body:
    found = [name for name in names if name in body]
    return {name: value for name, value in body.items() if name not in found} if found else body


def _renamed(old: str, new: str) -> Callable[[Body, str], Body]:
    def change(body: Body, said: str) -> Body:
        if old not in body or new in body:
            return body
        return {new if name == old else name: value for name, value in body.items()}

    return change


def _without_strict(body: Body, said: str) -> Body:
    if "input" in body:
        return _unstrict(body)
    return _without_key(body, ("tools", "response_format", "text"), "strict")


def _unstrict(body: Body) -> Body:
    """Say that nothing is strict: over the Responses API a tool that says nothing is taken for strict."""
    tools = [{**tool, "strict": False} if tool.get("strict") else tool for tool in body.get("tools") or ()]
    text = body.get("text") or {}
    described = text.get("format") or {}
    changed: dict[str, Any] = {}
    if any(new is not old for new, old in zip(tools, body.get("tools") or (), strict=True)):
        changed["tools"] = tools
    if described.get("strict"):
        changed["text"] = {**text, "format": {**described, "strict": False}}
    return {**body, **changed} if changed else body


def _without_key(body: Body, fields: tuple[str, ...], key: str) -> Body:
    changed = {name: _pruned(body[name], key) for name in fields if body.get(name)}
    if all(changed[name] is body[name] for name in changed):
        return body
    return {**body, **changed}


def _pruned(value: Any, key: str, depth: int = 3) -> Any:
    """Return `value` without a key of the outer objects; a schema deeper down may have a property of that name."""
    if depth == 0:
        return value
    if isinstance(value, list):
        items = [_pruned(item, key, depth) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    pruned = {name: _pruned(item, key, depth - 1) for name, item in value.items() if name != key}
    same = len(pruned) == len(value) and all(pruned[name] is value[name] for name in value)
    return value if same else pruned


def _in_messages(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Body, str], Body]:
    """Return the change of a body that changes each message; an unchanged message stays the same object."""

    def changed(body: Body, said: str) -> Body:
        messages = body.get("messages")
        if not isinstance(messages, list):
            return body
        shaped = [change(message) if isinstance(message, dict) else message for message in messages]
        same = all(new is old for new, old in zip(shaped, messages, strict=True))
        return body if same else {**body, "messages": shaped}

    return changed


_REASONING = ("reasoning_content", "reasoning_details", "reasoning")


def _without_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    return dict(_leave_out(message, _REASONING)) if any(name in message for name in _REASONING) else message


def _joined_text(message: dict[str, Any]) -> dict[str, Any]:
    parts = message.get("content")
    if not isinstance(parts, list) or not all(isinstance(part, dict) and part.get("type") == "text" for part in parts):
        return message
    return {**message, "content": "\n".join(str(part.get("text", "")) for part in parts)}


def _system_role(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message.get("role") == "developer" else message


def _free_choice(body: Body, said: str) -> Body:
    return body if body.get("tool_choice") in (None, "auto", "none") else {**body, "tool_choice": "auto"}


def _mapped_ids(fits: re.Pattern[str], make: Callable[[str], str]) -> Callable[[Body, str], Body]:
    def change(body: Body, said: str) -> Body:
        return _with_ids(body, lambda given: given if fits.fullmatch(given) else make(given))

    return change


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _with_ids(body: Body, rename: Callable[[str], str]) -> Body:
    """Return a body in which calls and their results have other ids."""

    def of_message(message: dict[str, Any]) -> dict[str, Any]:
        calls, answers = message.get("tool_calls"), message.get("tool_call_id")
        if isinstance(calls, list) and any(_id_of(call, rename) is not call for call in calls):
            message = {**message, "tool_calls": [_id_of(call, rename) for call in calls]}
        if isinstance(answers, str) and rename(answers) != answers:
            message = {**message, "tool_call_id": rename(answers)}
        return message

    changed = _in_messages(of_message)(body, "")
    items = changed.get("input")
    if not isinstance(items, list):
        return changed
    shaped = [_id_of(item, rename, "call_id") for item in items]
    same = all(new is old for new, old in zip(shaped, items, strict=True))
    return changed if same else {**changed, "input": shaped}


def _id_of(call: Any, rename: Callable[[str], str], name: str = "id") -> Any:
    given = call.get(name) if isinstance(call, dict) else None
    return {**call, name: rename(given)} if isinstance(given, str) and rename(given) != given else call


def _unique_ids(body: Body, said: str) -> Body:
    """Number the ids that come again in one history; each result follows the call that it answers."""
    seen: dict[str, int] = defaultdict(int)
    waiting: dict[str, deque[str]] = defaultdict(deque)

    def of_call(given: str) -> str:
        seen[given] += 1
        new = given if seen[given] == 1 else f"{given}-{seen[given]}"
        waiting[given].append(new)
        return new

    def of_result(given: str) -> str:
        return waiting[given].popleft() if waiting[given] else given

    def of_message(message: dict[str, Any]) -> dict[str, Any]:
        calls, answers = message.get("tool_calls"), message.get("tool_call_id")
        if isinstance(calls, list):
            renamed = [_renumbered(call, "id", of_call) for call in calls]
            if any(new is not old for new, old in zip(renamed, calls, strict=True)):
                message = {**message, "tool_calls": renamed}
        return _renumbered(message, "tool_call_id", of_result) if answers else message

    changed = _in_messages(of_message)(body, "")
    items = changed.get("input")
    if not isinstance(items, list):
        return changed
    shaped = [
        _renumbered(item, "call_id", of_result if str(item.get("type", "")).endswith("_output") else of_call)
        if isinstance(item, dict) and "call_id" in item
        else item
        for item in items
    ]
    same = all(new is old for new, old in zip(shaped, items, strict=True))
    return changed if same else {**changed, "input": shaped}


def _renumbered(holder: Any, name: str, number: Callable[[str], str]) -> Any:
    given = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(given, str):
        return holder
    new = number(given)
    return holder if new == given else {**holder, name: new}


def _without_encrypted(body: Body, said: str) -> Body:
    include = body.get("include")
    if not isinstance(include, list) or ENCRYPTED not in include:
        return body
    rest = [name for name in include if name != ENCRYPTED]
    return {**body, "include": rest} if rest else _leave_out(body, ("include",))


def _marks(body: Body) -> str:
    return bound_marks(body.get("input"))


def _without_bound(body: Body, marks: str) -> Body:
    items = body.get("input")
    unbound = without_bound(items, marks)
    return body if unbound is items else {**body, "input": unbound}


_SAMPLING = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed")


def _without_named_sampling(body: Body, said: str) -> Body:
    """Leave out the sampling parameters that the refusal names; of two that exclude each other, the second."""
    named = [name for name in _SAMPLING if name in body and re.search(rf"\b{name}\b", said)]
    return _leave_out(body, named[-1:] if _BOTH.search(said) else named)


_BOTH = re.compile(r"\b(both|together|only one)\b", re.IGNORECASE)


def _thinking_as(kind: str, change_it: Callable[[Body], Body]) -> Callable[[Body, str], Body]:
    def change(body: Body, said: str) -> Body:
        return change_it(body) if is_kind(body, kind) else body

    return change


_THINKING = ("reasoning_effort", "reasoning", "thinking", "enable_thinking")


def _without_unsigned_thinking(body: Body, said: str) -> Body:
    """Ask for no thinking if the history has calls whose thoughts have no signature: Claude wants one."""
    if not any(name in body for name in _THINKING):
        return body
    unsigned = [message for message in body.get("messages") or () if _is_unsigned_call(message)]
    if not unsigned:
        return body
    return _leave_out(without_thinking(body), _THINKING)


def _is_unsigned_call(message: Any) -> bool:
    if not isinstance(message, Mapping) or message.get("role") != "assistant":
        return False
    content = message.get("content")
    kinds = [block.get("type") for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []
    called = bool(message.get("tool_calls")) or "tool_use" in kinds
    return called and not message.get("reasoning_details") and "thinking" not in kinds


# -- the table ------------------------------------------------------------------------------------------------------


def _row(name: str, refused: str, change: Callable[[Body, str], Body], *, of_refusal: bool = False) -> Amendment:
    return Amendment(name, re.compile(refused, re.IGNORECASE | re.DOTALL), change, of_refusal)


_REFUSES = (
    r"(not (been |be )?(support|permit|allow|accept|recogni|expect|includ)|n.t support|unsupported|unknown|unexpected"
    r"|unrecogni[sz]ed|extra (inputs|fields)|additional propert|no such|cannot find field|forbidden"
    r"|no endpoints found that support)"
)


def _refuses(what: str) -> str:
    return rf"({what}\b.{{0,160}}{_REFUSES}|{_REFUSES}.{{0,80}}{what}\b)"


AMENDMENTS: tuple[Amendment, ...] = (
    _row("stream_options left out", r"stream_options", _without("stream_options")),
    # gpt-5 and the o models want the one, older vendors the other. The value stays what the user said.
    _row(
        "max_tokens sent as max_completion_tokens",
        rf"\bmax_tokens\b.{{0,60}}{_REFUSES}|use .?max_completion_tokens",
        _renamed("max_tokens", "max_completion_tokens"),
    ),
    _row(
        "max_completion_tokens sent as max_tokens",
        # Not the advice that stands behind a refusal of max_tokens: "Use 'max_completion_tokens' instead."
        _refuses(r"(?<!use .)\bmax_completion_tokens"),
        _renamed("max_completion_tokens", "max_tokens"),
    ),
    # Groq and Mistral refuse what DeepSeek and Kimi insist on.
    _row(
        "reasoning of earlier turns left out",
        _refuses(r"\breasoning_(content|details)"),
        _in_messages(_without_reasoning),
    ),
    # A model that does not think (pydantic-ai #2865).
    _row("encrypted reasoning not asked for", r"encrypted content is not supported", _without_encrypted),
    # Only the account that encrypted can read, and a hub has many (litellm #22651). What a call has sent in vain is
    # left out of later calls; the reasoning of other answers goes back as before.
    Amendment(
        "reasoning and ids of earlier answers left out",
        re.compile(
            r"encrypted content\b.{0,300}(could not be|cannot be|failed to).{0,20}(verif|decrypt|pars)"
            r"|item with id .{0,80} not found|provided without its required",
            re.IGNORECASE | re.DOTALL,
        ),
        _without_bound,
        of_body=_marks,
    ),
    # Gateways that convert to the Responses API, and Gemini; Kimi numbers its calls anew in every turn.
    _row(
        "repeated tool call ids made unique",
        r"duplicate.{0,80}\b(call_id|tool_call|tool_use|function_call|id)|\bids?\b.{0,40}must be unique",
        _unique_ids,
    ),
    _row(
        "tool call ids mapped to nine letters and digits",
        r"(tool[ _]?call|call|tool)\b.{0,20}\bid\b.{0,120}length of 9\b",
        _mapped_ids(re.compile(r"[A-Za-z0-9]{9}"), lambda given: _digest(given)[:9]),
    ),
    _row(
        "tool call ids mapped to at most 40 letters and digits",
        r"(tool_use|tool_calls?|call|function_call)[\w\[\].']{0,20}[._ ]?id\b.{0,120}"
        r"(pattern|too long|maximum length|at most \d+ char|only contain)",
        _mapped_ids(re.compile(r"[A-Za-z0-9_-]{1,40}"), lambda given: "call_" + _digest(given)[:24]),
    ),
    # Thinking models; a structured answer then depends on the model calling the tool by itself.
    _row(
        "forced tool_choice changed to auto",
        _refuses(r"\btool_choice") + r"|\btool_choice\b.{0,160}(thinking|only\W{0,3}(support|auto)|must be)"
        r"|thinking.{0,80}\btool_choice\b",
        _free_choice,
    ),
    _row(
        "strict left out",
        _refuses(r"\bstrict") + r"|invalid schema for (function|response_format)",
        _without_strict,
    ),
    _row(
        "text parts joined to one string",
        r"\bcontent\b.{0,80}(must be a string|should be a( valid)? string|is not a string|expected a? ?string"
        r"|not of type .string)|sequence, expected a string",
        _in_messages(_joined_text),
    ),
    _row(
        "role developer sent as system",
        _refuses(r"\bdeveloper") + r"|developer.{0,20}not one of|\brole\b.{0,80}\bsystem\b",
        _in_messages(_system_role),
    ),
    # Claude before 4.6 takes a budget alone, Claude from 4.7 an effort alone.
    _row(
        "adaptive thinking sent as a budget",
        r"adaptive thinking is not supported|thinking.{0,40}adaptive.{0,80}(input should be|not supported)",
        _thinking_as("adaptive", with_budget),
    ),
    _row(
        "thinking budget sent as adaptive",
        r"thinking\.type\.enabled.{0,40}not supported|use .?thinking\.type\.adaptive",
        _thinking_as("enabled", with_adaptive),
    ),
    # Gateways' chat completions carry no signatures, and Claude then refuses the second turn of a tool loop.
    _row(
        "thinking left off: the history has no signatures",
        r"must start with a thinking block|expected .?thinking.?.{0,60}(found|but)|signature.{0,40}(required|missing)",
        _without_unsigned_thinking,
    ),
    _row(
        "sampling parameters that the model refuses left out",
        rf"\b({'|'.join(_SAMPLING)})\b.{{0,160}}({_REFUSES}|both|only (the default|1|one)|deprecated|does not support)",
        _without_named_sampling,
        of_refusal=True,
    ),
)


_BATCH_LIMITS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"batch size.{0,80}(?:larger than|exceed\w*|at most|maximum(?: allowed)?(?: batch size)?(?: of)?) ?(\d+)",
        r"(?:at most|maximum(?: of)?|up to|limit(?: of)?) (\d+) (?:requests|texts|inputs|documents|items)",
        r"array too long.{0,60}maximum length (\d+)",
        r"(?:数组|批量|batch).{0,20}(?:不得超过|最大|不能超过)\D{0,6}(\d+)",
    )
)


def batch_limit(said: str, count: int) -> int | None:
    """Return how many texts a vendor takes in one request, if a refusal of `count` texts says so."""
    found = (pattern.search(said) for pattern in _BATCH_LIMITS)
    limits = [int(match[1]) for match in found if match]
    return next((limit for limit in limits if 0 < limit < count), None)
