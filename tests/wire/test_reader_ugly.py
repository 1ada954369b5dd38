"""One value at a time of a good answer is replaced by nonsense."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hubmix.wire import AnswerError, StreamReader, read_embeddings, read_reply, read_rerank

UGLY: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**400, 1e308, float("nan"), float("inf"), "", "x", "\ud83d", "0"),
    *([], [None], [[]], [1], ["a"], [{"text": 5}], [{"type": "thinking", "thinking": {}}], {}, {"a": 1}, {"index": 0}),
)
USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 5,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 1, "cache_write_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
    "claude_cache_tokens_details": {"cache_read_input_tokens": 1, "cache_creation_input_tokens": 2},
}
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {}}
MESSAGE = {
    "role": "assistant",
    "content": [
        *("a", {"type": "text", "text": "x"}, {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}),
        *({"refusal": "r"}, {"type": "image_url", "image_url": {"url": "x"}}),
    ],
    "reasoning_content": "r",
    "reasoning": "q",
    "reasoning_details": [{"type": "reasoning.text", "text": "x", "index": 0, "id": "a", "signature": "s"}],
    "tool_calls": [CALL],
    "function_call": {"name": "f", "arguments": "{}"},
    "refusal": "no",
    "audio": {"id": "a", "data": "x", "transcript": "y"},
    "images": [{"type": "image_url", "image_url": {"url": "data:"}}],
    "annotations": [{"type": "url"}],
}
ANSWER = {
    "id": "i",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop", "logprobs": {"content": [{}]}, "usage": {}}],
    "usage": USAGE,
    "x_groq": {"usage": USAGE},
    "citations": ["a"],
    "error": None,
}
VECTORS = {"data": [{"index": i, "embedding": [0.1, 0.2]} for i in (0, 1)], "model": "m", "usage": USAGE}
RANKED = {"results": [{"index": i, "relevance_score": 0.5} for i in (0, 1)], "meta": {"tokens": {"input_tokens": 1}}}


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield from places(below, (*above, key))


def replaced(value: Any, place: tuple[Any, ...], ugly: Any) -> Any:
    if not place:
        return ugly
    made = copy.deepcopy(value)
    target = made
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = ugly
    return made


def as_chunk(answer: Any) -> Any:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list):
        return answer
    moved = [
        {"delta" if key == "message" else key: value for key, value in choice.items()}
        if isinstance(choice, dict)
        else choice
        for choice in choices
    ]
    return answer | {"choices": moved}


def streamed(*chunks: Any) -> None:
    reader = StreamReader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()


@pytest.mark.parametrize(
    ("good", "read"),
    [
        (ANSWER, read_reply),
        (ANSWER, lambda answer: streamed(as_chunk(answer), as_chunk(ANSWER), as_chunk(answer))),
        (ANSWER, lambda answer: streamed(as_chunk(ANSWER), as_chunk(answer))),
        (VECTORS, lambda answer: read_embeddings(answer, 2)),
        (RANKED, lambda answer: read_rerank(answer, 2)),
    ],
    ids=["whole", "first chunk", "second chunk", "vectors", "ranked"],
)
def test_one_ugly_value_raises_nothing_but_the_readers_own_error(good: Any, read: Callable[[Any], Any]) -> None:
    read(good)
    for place in places(good):
        for ugly in UGLY:
            try:
                read(replaced(good, place, ugly))
            except AnswerError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, it says where it came from
                pytest.fail(f"{ugly!r:.40} at {place}: {error!r:.200}")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), None, "x", [1], 10**400])
def test_what_is_no_number_is_no_vector_and_no_score(number: Any) -> None:
    with pytest.raises(AnswerError):
        read_embeddings({"data": [{"embedding": [0.1, number]}]}, 1)
    with pytest.raises(AnswerError):
        read_rerank({"results": [{"index": 0, "relevance_score": number}]}, 1)


def test_audio_that_begins_or_ends_with_null_is_joined() -> None:
    reader = StreamReader()
    for data in (None, "ab", "cd", None):
        reader.feed({"choices": [{"index": 0, "delta": {"audio": {"id": "a", "data": data}}}]})
    reader.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert reader.finish().audio == {"id": "a", "data": "abcd"}
