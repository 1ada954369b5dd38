"""POST /v1/chat/completions: from the body of a request to a response."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from hubmix.embedded.call import Answered, ModelCall
from hubmix.embedded.chat.body import Envelope, completion, events, signature, usage
from hubmix.embedded.chat.request import read_chat
from hubmix.embedded.chat.stream import ChatOutgoing
from hubmix.embedded.checks import RefusedError, refused
from hubmix.embedded.conversation import ChatRequest, text_of
from hubmix.embedded.dialects import Dialect
from hubmix.embedded.models import EmbeddedModel, count_prompt
from hubmix.embedded.rules.answer import respond
from hubmix.embedded.streams import respond as as_response

_LOREM_BATCH = 8  # events of embedded/lorem that are written at once: it measures the client, not the socket


def answer(call: ModelCall) -> Answered:
    """Return the response to a chat request, and the usage it is charged for.

    Raises:
        RefusedError: the hub or the vendor does not answer it.
    """
    request = read_chat(call.body)
    prompt = prompt_tokens(request)
    if "chat" not in call.model.apis:
        raise _wrong_api(call)
    refuse_what_the_model_cannot(call, request, prompt)
    answers = [respond(call.model, request, choice) for choice in range(request.n)]
    counts = usage(prompt, answers)
    envelope = _envelope(call.dialect, call.model, call.body)
    top = request.top_logprobs if request.logprobs else None
    body = completion(envelope, answers, counts, top)
    found = events(envelope, answers, top) if request.stream else []
    batch = _LOREM_BATCH if call.model.rule == "lorem" else 1
    out = ChatOutgoing(call, envelope, found, body, counts, request.usage_asked, batch)
    return as_response(out, request.stream), counts


def prompt_tokens(request: ChatRequest) -> int:
    """Return the tokens of a request's messages and tools."""
    texts = [text_of(message.get("content")) for message in request.messages]
    calls = [json.dumps(message["tool_calls"]) for message in request.messages if message.get("tool_calls")]
    tools = [json.dumps(request.tools)] if request.tools else []
    return count_prompt([*texts, *calls, *tools])


def _envelope(dialect: Dialect, model: EmbeddedModel, body: Mapping[str, Any]) -> Envelope:
    style = "openai"
    if model.thinks:
        style = "aihubmix" if dialect.name == "aihubmix" else "deepseek"
    salt = hashlib.sha256(json.dumps(body.get("messages"), sort_keys=True).encode()).hexdigest()
    return Envelope(f"chatcmpl-{salt[:12]}", int(time.time()), model.id, style, salt)


def _wrong_api(call: ModelCall) -> RefusedError:
    if call.dialect.name == "aihubmix":
        words = "This model is only supported in v1/responses and not in v1/chat/completions."
    else:
        words = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."
    return refused(words, param="model", status=404)


def refuse_what_the_model_cannot(call: ModelCall, request: ChatRequest, prompt: int) -> None:
    """Refuse other kinds of model, unsupported tools and long prompts."""
    dialect, model = call.dialect, call.model
    if model.kind != "llm":
        raise refused(f"The model `{model.id}` does not support chat completions.", param="model")
    if request.tools and not model.takes_tools:
        raise refused(f"The model `{model.id}` does not support tools.", param="tools", code="unsupported_parameter")
    if prompt > model.context_length:
        raise refused(
            f"This model's maximum context length is {model.context_length} tokens. However, your messages resulted in "
            f"{prompt} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    if model.rule == "think-strict":
        _refuse_lost_reasoning(dialect, request)


def _refuse_lost_reasoning(dialect: Dialect, request: ChatRequest) -> None:
    for message in request.messages:
        if message.get("role") == "assistant" and message.get("tool_calls") and not _has_reasoning(dialect, message):
            raise refused(
                "The `reasoning_content` in the thinking mode must be passed back to the API.",
                code="invalid_request_error",
            )


def _has_reasoning(dialect: Dialect, message: Mapping[str, Any]) -> bool:
    if dialect.name != "aihubmix":
        return bool(message.get("reasoning_content"))
    details = message.get("reasoning_details")
    return isinstance(details, dict) and details.get("signature") == signature(str(details.get("thinking")))
