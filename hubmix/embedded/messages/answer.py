"""`POST /v1/messages`: from the body of a request to a response."""

from __future__ import annotations

from dataclasses import replace

from hubmix.embedded.call import Answered, ModelCall
from hubmix.embedded.chat.answer import prompt_tokens, refuse_what_the_model_cannot
from hubmix.embedded.checks import RefusedError
from hubmix.embedded.messages.body import cached_tokens, content_blocks, salt_of, stop_of, usage_of
from hubmix.embedded.messages.request import read_messages
from hubmix.embedded.messages.stream import MessagesOutgoing
from hubmix.embedded.rules import respond
from hubmix.embedded.streams import respond as as_response


def answer_messages(call: ModelCall) -> Answered:
    """Return the response to a request, and the usage it is charged for.

    A model that New API resells through a channel of OpenAI's kind drops cache marks and does not think.

    Raises:
        RefusedError: the hub or the vendor does not answer it.
    """
    resold = "messages" not in call.model.apis
    if resold and "chat" not in call.model.apis:
        raise RefusedError("not implemented", case="api_not_served")
    if resold:
        call = replace(call, body={key: value for key, value in call.body.items() if key != "thinking"})
    request = read_messages(call)
    prompt = prompt_tokens(request.chat)
    refuse_what_the_model_cannot(call, request.chat, prompt)
    answer = respond(call.model, request.chat)
    if not request.thinks:
        answer = replace(answer, reasoning=())
    counts = {"prompt_tokens": prompt, "completion_tokens": answer.tokens}
    blocks = content_blocks(call, request, answer)
    usage = usage_of(counts, cached=0 if resold else cached_tokens(call, prompt))
    usage |= {"output_tokens_details": {"thinking_tokens": len(answer.reasoning)}} if request.thinks else {}
    body = {
        "id": f"msg_{salt_of(call)[:24]}",
        "type": "message",
        "role": "assistant",
        "model": call.model.id,
        "content": blocks,
        **stop_of(call, request, answer),
        "usage": usage,
    }
    return as_response(MessagesOutgoing(call, body, answer), request.chat.stream), counts
