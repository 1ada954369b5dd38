"""An answer as a chat completion: JSON, the events of its stream, usage.

The shapes are those of the recordings (an OpenAI vendor behind the hub; DeepSeek's for reasoning) and, for AIHubMix's
reasoning, of the stream in its documentation.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hubmix.embedded.models import pieces
from hubmix.embedded.rules.answer import Answer
from hubmix.embedded.rules.tools import Call

DONE = b"data: [DONE]\n\n"
FINGERPRINT = "fp_embedded"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every event of one completion carries, and how this completion is written.

    Args:
        style: `openai`; `deepseek` (reasoning_content, usage on the last chunk); `aihubmix` (reasoning_details
            too).
    """

    id: str
    created: int
    model: str
    style: str = "openai"
    salt: str = ""

    def call_id(self, call: Call, position: int) -> str:
        """Return an ID that is the same for the same call in the same request."""
        digest = hashlib.sha256(f"{self.salt}|{position}|{call.name}|{call.arguments}".encode())
        return f"call_{digest.hexdigest()[:20]}"


def usage(prompt: int, answers: Sequence[Answer]) -> dict[str, Any]:
    """The vendor's token counts of a completion."""
    completion = sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": sum(len(answer.reasoning) for answer in answers)},
    }


def counted_usage(prompt: int, completion: int) -> dict[str, Any]:
    """Return the usage that New API counts itself if a vendor gave none."""
    details = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, **details},
        "completion_tokens_details": {**details, "reasoning_tokens": 0},
        "input_tokens": 0,
        "output_tokens": 0,
        "input_tokens_details": None,
        "claude_cache_creation_5_m_tokens": 0,
        "claude_cache_creation_1_h_tokens": 0,
    }


def completion(
    envelope: Envelope, answers: Sequence[Answer], counts: dict[str, Any], top: int | None
) -> dict[str, Any]:
    """A whole answer as one JSON object.

    `top` is how many likely alternatives are wanted for each token; None wants no log probabilities.
    """
    choices = []
    for index, answer in enumerate(answers):
        wanted = logprobs(answer.text, top) if top is not None else None
        message = _message(envelope, answer)
        choices.append({"index": index, "message": message, "logprobs": wanted, "finish_reason": answer.finish_reason})
    return {
        "id": envelope.id,
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "choices": choices,
        "usage": counts,
        "system_fingerprint": FINGERPRINT,
    }


def _message(envelope: Envelope, answer: Answer) -> dict[str, Any]:
    thinking = "".join(answer.reasoning)
    calls: list[dict[str, Any]] = [
        {
            "id": envelope.call_id(call, i),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for i, call in enumerate(answer.calls)
    ]
    text: str | None = "".join(answer.text)
    if envelope.style == "openai":
        message: dict[str, Any] = {"role": "assistant", "content": None if answer.refusal or calls else text}
        if calls:
            message["tool_calls"] = calls
        return {**message, "refusal": "".join(answer.refusal) or None}
    message = {"role": "assistant", "content": text, "reasoning_content": thinking}
    if envelope.style == "aihubmix":
        message["reasoning_details"] = reasoning_details(thinking)
    if calls:
        numbered = envelope.style == "deepseek"
        message["tool_calls"] = [{"index": i, **call} if numbered else call for i, call in enumerate(calls)]
    return message


def signature(thinking: str) -> str:
    """Return the signature of a reasoning text."""
    return base64.b64encode(hashlib.sha256(b"embedded hub:" + thinking.encode()).digest()).decode()


def reasoning_details(thinking: str) -> dict[str, str]:
    """Return AIHubMix's `reasoning_details`; they must come back unchanged."""
    return {"type": "thinking", "thinking": thinking, "signature": signature(thinking)}


def logprobs(tokens: Sequence[str], top: int) -> dict[str, Any]:
    """Log probabilities that are the same for the same token, and mean nothing."""
    content = []
    for token in tokens:
        value = -round(0.01 + (sum(token.encode()) % 40) / 100, 2)
        likely = [_token(token, value)] + [_token(f"{token}{n}", round(value - n, 2)) for n in range(1, top)]
        content.append({**_token(token, value), "top_logprobs": likely[:top]})
    return {"content": content, "refusal": None}


def _token(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value if math.isfinite(value) else -9999.0, "bytes": list(token.encode())}


def events(envelope: Envelope, answers: Sequence[Answer], top: int | None) -> list[dict[str, Any]]:
    """Return the events of a stream up to the one with the finish reason."""
    found: list[dict[str, Any]] = []
    for index, answer in enumerate(answers):
        writer = _aihubmix if envelope.style == "aihubmix" else _deepseek if envelope.style == "deepseek" else _openai
        for choice in writer(envelope, answer, top):
            found.append(_event(envelope, {"index": index, **choice}))
    return found


def _event(envelope: Envelope, choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "object": "chat.completion.chunk",
        "created": envelope.created,
        "model": envelope.model,
        "system_fingerprint": FINGERPRINT,
        "choices": [choice],
    }


def usage_event(envelope: Envelope, counts: dict[str, Any]) -> dict[str, Any]:
    """The vendor's last event, with the counts and no choice."""
    kind = "" if envelope.style == "aihubmix" else "chat.completion.chunk"
    return {
        "id": envelope.id,
        "object": kind,
        "created": envelope.created,
        "model": envelope.model,
        "choices": [],
        "usage": counts,
    }


def counted_event(last: dict[str, Any] | None, model: str, counts: dict[str, Any]) -> dict[str, Any]:
    """Return New API's own usage event, with the ID of the last event it saw."""
    last = last or {}
    return {
        "id": last.get("id", ""),
        "object": "chat.completion.chunk",
        "created": last.get("created", 0),
        "model": last.get("model", model),
        "system_fingerprint": last.get("system_fingerprint", ""),
        "choices": [],
        "usage": counts,
    }


def _choice(delta: dict[str, Any], finish: str | None = None, probable: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"delta": delta, "logprobs": probable, "finish_reason": finish}


def _openai(envelope: Envelope, answer: Answer, top: int | None) -> list[dict[str, Any]]:
    first: dict[str, Any] = {"role": "assistant", "content": None if answer.calls else ""}
    calls = list(_call_deltas(envelope, answer))
    if calls:
        first["tool_calls"] = calls.pop(0)
    choices = [_choice({**first, "refusal": None})]
    for token in answer.text:
        choices.append(_choice({"content": token}, probable=logprobs([token], top) if top is not None else None))
    choices += [_choice({"refusal": token}) for token in answer.refusal]
    choices += [_choice({"tool_calls": delta}) for delta in calls]
    return [*choices, _choice({}, answer.finish_reason)]


def _deepseek(envelope: Envelope, answer: Answer, top: int | None) -> list[dict[str, Any]]:
    choices = [_choice({"role": "assistant", "content": None, "reasoning_content": ""})]
    choices += [_choice({"content": None, "reasoning_content": token}) for token in answer.reasoning]
    for token in answer.text:
        probable = logprobs([token], top) if top is not None else None
        choices.append(_choice({"content": token, "reasoning_content": None}, probable=probable))
    choices += [_choice({"tool_calls": delta}) for delta in _call_deltas(envelope, answer)]
    return [*choices, _choice({"content": "", "reasoning_content": None}, answer.finish_reason)]


def _aihubmix(envelope: Envelope, answer: Answer, top: int | None) -> list[dict[str, Any]]:
    thinking = "".join(answer.reasoning)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "reasoning_details": {"type": "thinking"}}]
    for token in answer.reasoning:
        details = {"type": "thinking", "thinking": token}
        deltas.append({"content": "", "reasoning_content": token, "reasoning_details": details})
    deltas.append({"content": "", "reasoning_details": {"type": "thinking", "signature": signature(thinking)}})
    if not answer.calls:
        deltas.append({"role": "assistant", "content": ""})
        deltas += [{"content": token} for token in answer.text]
    for delta in _call_deltas(envelope, answer):
        deltas.append({"role": "assistant", "tool_calls": delta} if "id" in delta[0] else {"tool_calls": delta})
    return [*({"delta": delta} for delta in deltas), {"delta": {"content": ""}, "finish_reason": answer.finish_reason}]


def _call_deltas(envelope: Envelope, answer: Answer) -> list[list[dict[str, Any]]]:
    deltas: list[list[dict[str, Any]]] = []
    for index, call in enumerate(answer.calls):
        function = {"name": call.name, "arguments": ""}
        deltas.append([{"index": index, "id": envelope.call_id(call, index), "type": "function", "function": function}])
        deltas += [[{"index": index, "function": {"arguments": part}}] for part in pieces(call.arguments)]
    return deltas
