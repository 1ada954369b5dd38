"""JSON that no vendor would send: known names with values of any type."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

_NAMES = re.findall(
    r"\S+",
    """
choices message delta content role tool_calls function name arguments index id type text reasoning_content
reasoning_details reasoning refusal annotations url_citation url title logprobs bytes token top_logprobs
finish_reason usage prompt_tokens completion_tokens total_tokens prompt_tokens_details cached_tokens
completion_tokens_details reasoning_tokens input_tokens output_tokens cache_read_input_tokens model created object
error code param status output item item_id output_index content_index summary summary_index encrypted_content
call_id action queries results response incomplete_details reason sequence_number part annotation output_text
function_call thinking signature input content_block partial_json stop_reason stop_sequence data embedding
relevance_score document audio transcript images image_url system_fingerprint service_tier citations search_results
video_url success detail errors base_resp
""",
)

_WORDS = re.findall(
    r"\S+",
    """
chat.completion chat.completion.chunk assistant function stop length tool_calls content_filter error text
output_text message reasoning function_call web_search_call image_generation_call code_interpreter_call mcp_call
custom_tool_call response.created response.in_progress response.output_item.added response.output_item.done
response.output_text.delta response.output_text.done response.content_part.added
response.function_call_arguments.delta response.function_call_arguments.done response.reasoning_summary_text.delta
response.completed response.incomplete response.failed message_start content_block_start content_block_delta
content_block_stop message_delta message_stop text_delta thinking_delta signature_delta input_json_delta tool_use
server_tool_use end_turn completed in_progress failed incomplete url_citation file_citation reasoning.text
reasoning.summary reasoning.encrypted ping refusal
""",
)

_TEXTS = [
    "",
    "{}",
    '{"a": 1}',
    '{"a"',
    "null",
    "[1]",
    '"{}"',
    "\x1b[2J",
    "\u202e",
    "\x00",
    "\ud800",
    "a\r\nb",
    "😀",
    "[" * 300,
]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2, 10**30, -(10**18), 1.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan")]),
    st.sampled_from(_WORDS),
    st.sampled_from(_TEXTS),
    st.text(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=12,
)


def _object(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return objects with these fields, as named or of any type, and further ones."""
    known = {name: st.one_of(value, value, value, VALUES) for name, value in fields.items()}
    return st.builds(
        lambda own, more: {**more, **own},
        st.fixed_dictionaries({}, optional=known),
        st.dictionaries(st.sampled_from(_NAMES), VALUES, max_size=2),
    )


def _few(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3)


_TEXT = st.sampled_from([*_TEXTS, *_WORDS]) | st.text(max_size=5)
_NUMBER = st.integers(-1, 3)
_FUNCTION = _object(name=_TEXT, arguments=_TEXT)
_CALL = _object(index=_NUMBER, id=_TEXT, type=st.just("function"), function=_FUNCTION)
_LOGPROBS = _object(
    content=_few(_object(token=_TEXT, logprob=st.floats(), bytes=_few(_NUMBER), top_logprobs=_few(VALUES)))
)
_PART = _object(
    type=st.sampled_from(["text", "output_text", "refusal", "image_url", "audio"]), text=_TEXT, annotations=_few(VALUES)
)
_MESSAGE = _object(
    role=st.just("assistant"),
    content=_TEXT | _few(_PART),
    tool_calls=_few(_CALL),
    reasoning_content=_TEXT,
    reasoning_details=_few(_object(type=_TEXT, text=_TEXT, index=_NUMBER, id=_TEXT)),
    refusal=_TEXT,
    annotations=_few(_object(type=_TEXT, url_citation=_object(url=_TEXT, title=_TEXT, start_index=_NUMBER))),
    audio=_object(id=_TEXT, data=_TEXT, transcript=_TEXT),
    images=_few(_object(type=_TEXT, image_url=_object(url=_TEXT))),
)
_FINISH = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "error", "", None, "MAX_TOKENS"])
_USAGE = _object(
    prompt_tokens=_NUMBER,
    completion_tokens=_NUMBER,
    total_tokens=_NUMBER,
    prompt_tokens_details=_object(cached_tokens=_NUMBER),
    completion_tokens_details=_object(reasoning_tokens=_NUMBER),
    input_tokens=_NUMBER,
    output_tokens=_NUMBER,
)
_TOP = {"id": _TEXT, "model": _TEXT, "created": _NUMBER, "usage": _USAGE, "object": _TEXT}
ERRORS = _object(error=_TEXT | _object(message=_TEXT, code=_TEXT | _NUMBER, type=_TEXT, param=_TEXT), message=_TEXT)

_ITEM = _object(
    type=st.sampled_from(
        ["message", "reasoning", "function_call", "web_search_call", "image_generation_call", "mcp_call"]
    ),
    id=_TEXT,
    call_id=_TEXT,
    name=_TEXT,
    arguments=_TEXT,
    status=_TEXT,
    content=_few(_PART),
    summary=_few(_object(type=_TEXT, text=_TEXT)),
    action=_object(queries=_few(_TEXT), sources=_few(VALUES)),
    result=_TEXT,
)
_RESPONSE = _object(output=_few(_ITEM), status=st.sampled_from(["completed", "incomplete", "failed"]), **_TOP)
_BLOCK = _object(
    type=st.sampled_from(["text", "thinking", "tool_use", "server_tool_use", "redacted_thinking"]),
    id=_TEXT,
    name=_TEXT,
    text=_TEXT,
    thinking=_TEXT,
    signature=_TEXT,
    input=_object(a=VALUES),
    citations=_few(VALUES),
)
_STOP = st.sampled_from(["end_turn", "tool_use", "max_tokens", "refusal", "pause_turn", None])

WHOLES = {
    "chat": _object(
        choices=_few(_object(index=_NUMBER, message=_MESSAGE, finish_reason=_FINISH, logprobs=_LOGPROBS)), **_TOP
    ),
    "responses": _RESPONSE,
    "messages": _object(content=_few(_BLOCK), stop_reason=_STOP, role=st.just("assistant"), **_TOP),
}
"""Whole answers, by API."""

EVENTS = {
    "chat": _object(
        choices=_few(_object(index=_NUMBER, delta=_MESSAGE, finish_reason=_FINISH, logprobs=_LOGPROBS)), **_TOP
    ),
    "responses": _object(
        type=st.sampled_from([word for word in _WORDS if word.startswith("response.")]),
        item=_ITEM,
        item_id=_TEXT,
        output_index=_NUMBER,
        content_index=_NUMBER,
        summary_index=_NUMBER,
        delta=_TEXT,
        text=_TEXT,
        part=_PART,
        arguments=_TEXT,
        response=_RESPONSE,
    ),
    "messages": _object(
        type=st.sampled_from([word for word in _WORDS if word.startswith(("message_", "content_block"))]),
        index=_NUMBER,
        message=_object(**_TOP),
        content_block=_BLOCK,
        delta=_object(
            type=st.sampled_from([word for word in _WORDS if word.endswith("_delta")]),
            text=_TEXT,
            thinking=_TEXT,
            partial_json=_TEXT,
            signature=_TEXT,
            stop_reason=_STOP,
        ),
        usage=_USAGE,
    ),
}
"""Events of streams, by API."""

VECTORS = _object(data=_few(_object(index=_NUMBER, embedding=_few(st.floats()) | _TEXT)), **_TOP)
RANKING = _object(results=_few(_object(index=_NUMBER, relevance_score=st.floats(), document=_TEXT)), **_TOP)
MODELS = _object(data=_few(_object(id=_TEXT, object=_TEXT, owned_by=_TEXT, created=_NUMBER)), success=st.booleans())
