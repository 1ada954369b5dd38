"""The reader, row by row: what a hub may send, and what comes out."""

from __future__ import annotations

import base64
import pickle
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubmix.wire import AnswerError, Reply, StreamReader, read_embeddings, read_reply, read_rerank, read_usage


def whole(message: Any = None, finish: Any = "stop", **top: Any) -> Reply:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return read_reply({"id": "chatcmpl-1", "choices": [choice], **top})


def chunk(delta: Any = None, *, index: int = 0, finish: Any = None, **top: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **top}


def streamed(*chunks: Any, n: int = 1) -> Reply:
    reader = StreamReader(n)
    for each in chunks:
        reader.feed(each)
    return reader.finish()


def call(index: int | None, id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    piece: dict[str, Any] = {"index": index, "id": id, "type": "function", "function": {"arguments": arguments}}
    if name is not None:
        piece["function"]["name"] = name
    return piece


END = chunk({}, finish="stop")
CALLS_END = chunk({}, finish="tool_calls")


# ------------------------------------------------------------------------------------------------------- reasoning


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "because"},
        {"reasoning": "because"},
        {"thinking": "because"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "because"}]}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "because"}]},
        {"reasoning_details": {"type": "thinking", "thinking": "because", "signature": "Er8C"}},
        {"reasoning": "because", "reasoning_content": "because", "reasoning_details": [{"text": "because"}]},
        {"reasoning_content": " ", "reasoning": "because"},
    ],
)
def test_reasoning_comes_out_once_whatever_it_is_called(message: dict[str, Any]) -> None:
    assert whole({"content": "x", **message} if "content" not in message else message).reasoning.strip() == "because"
    assert streamed(chunk(message), END).reasoning.strip() == "because"


def test_details_in_pieces_are_joined_and_kept() -> None:
    pieces = (
        {"type": "reasoning.text", "text": "be", "index": 0, "format": "anthropic-v1"},
        {"type": "reasoning.text", "text": "cause", "index": 0, "format": "anthropic-v1"},
        {"type": "reasoning.text", "signature": "Er8C", "index": 0, "format": "anthropic-v1"},
        {"type": "reasoning.encrypted", "data": "abc", "index": 0, "id": "rs_1"},
        {"type": "reasoning.encrypted", "data": "def", "index": 1, "id": "rs_2"},
    )
    reply = streamed(*(chunk({"reasoning_details": [piece]}) for piece in pieces), END)
    first = {"type": "reasoning.text", "text": "because", "signature": "Er8C", "index": 0, "format": "anthropic-v1"}
    assert reply.reasoning_details == [first, pieces[3], pieces[4]]
    assert pieces[0]["text"] == "be"


def test_an_object_of_details_is_joined_as_aihubmix_says() -> None:
    pieces = (
        {"type": "thinking"},
        {"type": "thinking", "thinking": "The "},
        {"thinking": "user"},
        {"signature": "EtkC"},
    )
    reply = streamed(*(chunk({"content": "", "reasoning_details": piece}) for piece in pieces), END)
    assert reply.reasoning_details == {"type": "thinking", "thinking": "The user", "signature": "EtkC"}
    assert reply.reasoning == "The user"


# --------------------------------------------------------------------------------------- finish reason and usage


@pytest.mark.parametrize(
    ("sent", "standard", "native"),
    [
        ("stop", "stop", None),
        ("tool_use", "tool_calls", "tool_use"),
        ("MAX_TOKENS", "length", "MAX_TOKENS"),
        ("TOOL_USE", "tool_calls", "TOOL_USE"),
        ("refusal", "content_filter", "refusal"),
        ("MODEL_ARMOR", "content_filter", "MODEL_ARMOR"),
        ("MALFORMED_FUNCTION_CALL", "error", "MALFORMED_FUNCTION_CALL"),
        ("something_new", "something_new", None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_finish_reasons_have_standard_names(sent: Any, standard: str | None, native: str | None) -> None:
    for reply in (whole({"content": "x"}, sent), streamed(chunk({"content": "x"}), chunk({}, finish=sent))):
        assert (reply.finish_reason, reply.native_finish_reason) == (standard, native)


def test_the_first_finish_reason_counts_and_an_empty_one_is_none() -> None:
    reasons = ("", "tool_calls", "", "stop")
    reply = streamed(chunk({"tool_calls": [call(0, "a", "f", "{}")]}), *(chunk({}, finish=r) for r in reasons))
    assert reply.finish_reason == "tool_calls"


def test_cumulative_usage_is_read_once() -> None:
    counts = [{"prompt_tokens": 5, "completion_tokens": i, "total_tokens": 5 + i} for i in (1, 2, 3)]
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    reply = streamed(*(chunk({"content": "x"}, usage=u) for u in counts), END, chunk({}, usage=zeros))
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (5, 3, 8)


@pytest.mark.parametrize(
    "last",
    [
        {"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 3}}, "choices": []},
        {"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 5, "completion_tokens": 3}}]},
        {"choices": None, "usage": {"prompt_tokens": 5, "completion_tokens": 3}},
    ],
)
def test_usage_is_found_wherever_it_is(last: dict[str, Any]) -> None:
    reply = streamed(chunk({"content": "x"}), END, last)
    assert reply.usage is not None
    assert reply.usage.total_tokens == 8


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}},
            (9, 1, 10, 4, None),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, (9, 1, 10, 4, None)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "num_cached_tokens": 4}, (9, 1, 10, 4, None)),
        # Claude through AIHubMix: the cache comes on top.
        (
            {
                "prompt_tokens": 22,
                "completion_tokens": 810,
                "total_tokens": 832,
                "prompt_tokens_details": {"cached_tokens": 6266},
                "claude_cache_tokens_details": {"cache_creation_input_tokens": 100, "cache_read_input_tokens": 6266},
            },
            (6388, 810, 7198, 6266, 100),
        ),
        # Claude through New API of 2025: more cached than prompt tokens.
        (
            {
                "prompt_tokens": 22,
                "completion_tokens": 9,
                "total_tokens": 31,
                "prompt_tokens_details": {"cached_tokens": 6266},
            },
            (6288, 9, 6297, 6266, None),
        ),
        # Claude through New API of 2026: inclusive, with empty twins.
        (
            {
                "prompt_tokens": 6388,
                "completion_tokens": 9,
                "total_tokens": 6397,
                "input_tokens": 0,
                "output_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 6266, "cache_write_tokens": 100},
            },
            (6388, 9, 6397, 6266, 100),
        ),
        *(
            ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {name: 4}}, (9, 1, 10, None, 4))
            for name in ("cache_write_tokens", "cached_creation_tokens", "cache_creation_tokens")
        ),
        ({"input_tokens": 7, "output_tokens": 2}, (7, 2, 9, None, None)),
        # A negative count is none.
        ({"prompt_tokens": -1, "input_tokens": 7, "completion_tokens": 2}, (7, 2, 9, None, None)),
        # Gemini: thoughts are in the total only, and billed as output.
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 57}, (5, 52, 57, None, None)),
        ({"prompt_tokens": "5", "completion_tokens": "2", "total_tokens": 7.0}, (5, 2, 7, None, None)),
        # xAI: the completion does not include reasoning.
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 2,
                "total_tokens": 331,
                "completion_tokens_details": {"reasoning_tokens": 317},
            },
            (12, 319, 331, None, None),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 2, "reasoning_tokens": 5}, (9, 7, 16, None, None)),
    ],
)
def test_token_counts_have_one_meaning(raw: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    usage = read_usage(raw)
    assert usage is not None
    found = (usage.input_tokens, usage.output_tokens, usage.total_tokens, usage.cache_read, usage.cache_creation)
    assert found == expected
    assert usage.raw is raw


@pytest.mark.parametrize("raw", [None, {}, [], "12", {"prompt_tokens": None}, {"prompt_tokens": True}])
def test_no_counts_are_no_usage(raw: Any) -> None:
    assert read_usage(raw) is None


# ------------------------------------------------------------------------------------------------------ tool calls


def two_calls(*deltas: Any) -> list[tuple[str, str]]:
    reply = streamed(*deltas, CALLS_END)
    return [(c.name, c.arguments) for c in reply.tool_calls]


PARIS, OSLO = '{"city": "Paris"}', '{"city": "Oslo"}'


@pytest.mark.parametrize(
    "pieces",
    [
        [[call(0, "a", "f", PARIS)], [call(1, "b", "f", OSLO)]],
        [[call(1, "a", "f", PARIS)], [call(2, "b", "f", OSLO)]],
        [[call(0, "a", "f", PARIS)], [call(0, "b", "f", OSLO)]],
        [[call(None, "a", "f", PARIS)], [call(None, "b", "f", OSLO)]],
        [[call(0, "a", "f", PARIS), call(1, "b", "f", OSLO)]],
        [[call(0, "a", "f", '{"city":')], [call(0, "a", "f", ' "Paris"}')], [call(1, "b", "f", OSLO)]],
        [[call(None, "a", "f", "")], [call(None, None, None, PARIS)], [call(None, "b", "f", OSLO)]],
        [[call(0, "a", "f", {"city": "Paris"})], [call(1, "b", "f", {"city": "Oslo"})]],
    ],
    ids=["plain", "from one", "one index", "no index", "one delta", "repeated", "continued", "objects"],
)
def test_streamed_calls_are_told_apart(pieces: list[list[dict[str, Any]]]) -> None:
    assert two_calls(*(chunk({"tool_calls": calls}) for calls in pieces)) == [("f", PARIS), ("f", OSLO)]


def test_a_call_continues_under_another_choice_index() -> None:
    reply = streamed(
        chunk(
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}],
            }
        ),
        chunk({"tool_calls": [{"type": None, "function": {"arguments": '{"city":'}}]}, index=1),
        chunk({"tool_calls": [{"type": None, "function": {"arguments": ' "Paris"}'}}]}, index=2),
        chunk({}, finish="tool_use"),
    )
    assert [(c.name, c.args) for c in reply.tool_calls] == [("f", {"city": "Paris"})]


def test_several_choices_are_not_mixed() -> None:
    roles = [chunk({"role": "assistant", "content": ""}, index=i) for i in (0, 1)]
    words = [chunk({"content": word}, index=i) for word, i in (("Not ", 0), ("Hello ", 1), ("much", 0), ("you", 1))]
    assert streamed(*roles, *words, END).text == "Not much"
    assert streamed(*words, END, n=2).text == "Not much"


def test_calls_of_two_choices_are_not_mixed() -> None:
    """The reader does not see the `n` of the request; each choice begins with a role."""
    pieces = [("c1", PARIS[:5], 0), ("c2", OSLO[:5], 1), (None, PARIS[5:], 0), (None, OSLO[5:], 1)]
    chunks = [
        chunk({"role": "assistant" if id else None, "tool_calls": [call(0, id, id and "f", text)]}, index=index)
        for id, text, index in pieces
    ]
    assert two_calls(*chunks) == [("f", PARIS)]


def test_one_call_that_is_no_list_is_a_call() -> None:
    entry = call(0, "a", "f", '{"x": 1}')
    for reply in (whole({"tool_calls": entry}), streamed(chunk({"tool_calls": entry}), CALLS_END)):
        assert [(each.name, each.args) for each in reply.tool_calls] == [("f", {"x": 1})]


def test_the_same_call_twice_is_one_call() -> None:
    assert two_calls(
        chunk({"tool_calls": [call(None, "a", "f", "")]}), chunk({"tool_calls": [call(None, "a", "f", "{}")]})
    ) == [("f", "{}")]
    twice = [call(None, "a", "f", "{}"), call(None, "a", "f", "{}")]
    assert len(whole({"tool_calls": twice}, "tool_calls").tool_calls) == 1


@pytest.mark.parametrize(("arguments", "text"), [("", "{}"), (None, "{}"), ({}, "{}"), ({"a": 1}, '{"a": 1}')])
def test_arguments_are_json_text(arguments: Any, text: str) -> None:
    (found,) = whole({"tool_calls": [call(0, "a", "f", arguments)]}, "tool_calls").tool_calls
    assert (found.arguments, found.error) == (text, None)


@pytest.mark.parametrize("arguments", ["", '{"city": "Par', '{"city": "Paris"', "[1]", '"text"', "nonsense"])
def test_broken_arguments_are_never_executable(arguments: str) -> None:
    for reply in (
        whole({"tool_calls": [call(0, "a", "f", arguments)]}, "length"),
        streamed(chunk({"tool_calls": [call(0, "a", "f", arguments)]}), chunk({}, finish="length")),
    ):
        (found,) = reply.tool_calls
        assert found.args is None
        assert found.error
        assert found.arguments == arguments


@pytest.mark.parametrize("arguments", ["", None, {}, "{}"])
def test_only_the_last_call_of_a_cut_answer_may_lack_arguments(arguments: Any) -> None:
    calls = [call(0, "a", "f", arguments), call(1, "b", "g", arguments)]
    for finish in ("length", "tool_calls"):
        # Streamed, an empty object is what the model wrote; in a whole answer it may be a gateway's word for nothing.
        for reply, cut in (
            (whole({"tool_calls": calls}, finish), True),
            (streamed(chunk({"tool_calls": calls}), chunk({}, finish=finish)), not arguments and arguments != {}),
        ):
            executable = [found.args is not None for found in reply.tool_calls]
            assert executable == [True, not (cut and finish == "length")]


def test_a_phantom_call_is_dropped() -> None:
    phantom = call(1, "b", "", "")
    assert len(whole({"tool_calls": [call(0, "a", "f", "{}"), phantom]}, "tool_calls").tool_calls) == 1
    assert len(streamed(chunk({"tool_calls": [call(0, "a", "f", "{}"), phantom]}), CALLS_END).tool_calls) == 1


def test_legacy_and_custom_calls_are_calls() -> None:
    legacy = {"function_call": {"name": "f", "arguments": PARIS}}
    custom = {"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sum", "input": "4 + 4"}}]}
    assert whole(legacy).tool_calls[0].args == {"city": "Paris"}
    assert streamed(chunk(legacy), END).tool_calls[0].args == {"city": "Paris"}
    found = whole(custom).tool_calls[0]
    assert (found.kind, found.name, found.arguments) == ("custom", "sum", "4 + 4")


def test_a_call_without_an_id_gets_a_stable_one_of_its_own() -> None:
    calls = {"tool_calls": [call(0, None, "f", "{}"), call(1, None, "f", "{}")]}
    first, again = whole(calls).tool_calls, whole(calls).tool_calls
    assert [c.id for c in first] == [c.id for c in again]
    assert first[0].id != first[1].id


def test_what_stands_beside_a_call_is_kept_for_the_way_back() -> None:
    given = {**call(0, "a", "f", "{}"), "extra_content": {"google": {"thought_signature": "CsYB"}}}
    for reply in (whole({"tool_calls": [given]}), streamed(chunk({"tool_calls": [given]}), CALLS_END)):
        assert reply.to_wire_message()["tool_calls"][0]["extra_content"] == given["extra_content"]


def test_deltas_carry_each_piece_of_a_call_once() -> None:
    reader = StreamReader()
    pieces = [("a", "f", '{"ci'), (None, None, 'ty": "Paris"}')]
    deltas = [reader.feed(chunk({"tool_calls": [call(0, i, n, a)]})) for i, n, a in pieces]
    found = [(d.index, d.id, d.name, d.arguments) for delta in deltas if delta for d in delta.tool_calls]
    assert found == [(0, "a", "f", '{"ci'), (0, None, None, 'ty": "Paris"}')]


# --------------------------------------------------------------------------------------------------------- content


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("x", "x"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "c"], "abc"),
        ({"city": "Paris"}, '{"city": "Paris"}'),
        (7, "7"),
    ],
)
def test_content_is_text_whatever_it_came_as(content: Any, text: str) -> None:
    assert whole({"content": content}).text == text


@pytest.mark.parametrize("message", [None, {}, "x", []])
def test_a_choice_without_a_message_still_has_its_finish_reason(message: Any) -> None:
    assert whole(message, "content_filter").finish_reason == "content_filter"


@pytest.mark.parametrize("key", ["citations", "search_results"])
def test_citations_are_kept(key: str) -> None:
    sources = [{"title": "t", "url": "https://a.example"}]
    assert whole({"content": "x"}, **{key: sources}).citations == {key: sources}
    assert streamed(*[chunk({"content": "x"}, **{key: sources})] * 3, END).citations == {key: sources}


def test_annotations_logprobs_refusal_and_the_rest_are_kept() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://a.example"}}
    logprobs = {"content": [{"token": "x", "logprob": -0.1}]}
    first = chunk(
        {"content": "x", "annotations": [note]}, system_fingerprint="fp", service_tier="default", provider="P"
    )
    first["choices"][0]["logprobs"] = logprobs
    second = chunk({"content": "y", "refusal": "no"})
    second["choices"][0]["logprobs"] = logprobs
    reply = streamed(first, second, END)
    assert reply.citations == {"annotations": [note]}
    assert reply.logprobs == {"content": logprobs["content"] * 2}
    assert (reply.refusal, reply.system_fingerprint, reply.service_tier) == ("no", "fp", "default")
    assert reply.extra == {"provider": "P"}


def test_odd_chunks_are_skipped_or_read() -> None:
    odd = (
        {"choices": None},
        {"choices": []},
        None,
        {"object": "", "choices": [{"delta": None}]},
        {"id": "other", "choices": []},
    )
    reply = streamed(*odd, {"choices": [{"delta": {"content": "x"}}]}, *odd, END)
    assert (reply.text, reply.finish_reason) == ("x", "stop")


# ---------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        ({"error": {"message": "no"}}, "error_body"),
        ({"error": "no"}, "error_body"),
        ({"success": False, "message": "no"}, "error_body"),
        ({"choices": [{"error": {"message": "no"}, "message": {"content": ""}}]}, "error_body"),
        ({"choices": []}, "no_choices"),
        ({"choices": None}, "no_choices"),
        ({"choices": [None]}, "no_choices"),
        ({"choices": [{"message": None}]}, "no_choices"),
        ({}, "no_choices"),
        ("a bare string", "undecodable"),
        ([], "undecodable"),
        (None, "undecodable"),
    ],
)
def test_what_is_no_answer_is_an_error(data: Any, cause: str) -> None:
    with pytest.raises(AnswerError) as found:
        read_reply(data)
    assert found.value.cause == cause
    assert pickle.loads(pickle.dumps(found.value)).body == data or cause == "error_body"


@pytest.mark.parametrize("bad", [{"error": {"message": "busy"}}, {"choices": [{"error": {"code": 502}}]}, "text", 7])
def test_an_error_inside_a_stream_is_an_error(bad: Any) -> None:
    reader = StreamReader()
    reader.feed(chunk({"content": "half"}))
    with pytest.raises(AnswerError):
        reader.feed(bad)
    assert reader.partial().text == "half"
    assert reader.partial().incomplete


@pytest.mark.parametrize(
    "chunks", [[], [{"choices": []}], [{"choices": [], "usage": {"prompt_tokens": 3}}], [chunk({"role": "assistant"})]]
)
def test_a_stream_with_nothing_in_it_is_an_error(chunks: list[Any]) -> None:
    with pytest.raises(AnswerError) as found:
        streamed(*chunks)
    assert found.value.cause == "empty_stream"


def test_a_stream_without_finish_reason_is_incomplete() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    assert streamed(chunk({"content": "half"}), {"choices": [], "usage": usage}).incomplete
    assert not streamed(chunk({"content": "all"}), END).incomplete


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "message",
                    "content",
                    "tool_calls",
                    "function",
                    "arguments",
                    "name",
                    "index",
                    "usage",
                    "reasoning_details",
                    "finish_reason",
                    "logprobs",
                    "type",
                    "text",
                    "error",
                    "role",
                    "audio",
                    "x_groq",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(st.lists(JSON, max_size=5))
def test_nothing_but_its_own_error_is_ever_raised(values: list[Any]) -> None:
    reader = StreamReader()
    try:
        for value in values:
            reader.feed(value)
        reader.finish()
    except AnswerError:
        pass
    for value in values:
        for read in (read_reply, lambda v: read_embeddings(v, 1), lambda v: read_rerank(v, 1)):
            try:
                read(value)
            except AnswerError:
                continue
    assert reader.partial().incomplete


# --------------------------------------------------------------------------------------------------------- vectors


def test_vectors_are_put_in_the_order_of_the_texts() -> None:
    packed = base64.b64encode(array("f", [3.0, 4.0]).tobytes()).decode()
    items = [{"index": 1, "embedding": packed}, {"index": 0, "embedding": [1, 2]}]
    reply = read_embeddings({"data": items, "model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7}}, 2)
    assert reply.vectors == [[1.0, 2.0], [3.0, 4.0]]
    assert reply.usage is not None
    assert (reply.model, reply.usage.input_tokens, reply.usage.output_tokens) == ("m", 7, 0)
    unnumbered = {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]}
    assert read_embeddings(unnumbered, 2).vectors == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "data",
    [
        {"data": None},
        {"data": [{"index": 0, "embedding": [1.0]}]},
        {"data": [{"embedding": []}, {"embedding": [1.0]}]},
        {"data": [{"embedding": "not base64!"}, {"embedding": [1.0]}]},
        {"error": {"message": "no"}},
        "text",
    ],
)
def test_a_missing_vector_is_an_error(data: Any) -> None:
    with pytest.raises(AnswerError):
        read_embeddings(data, 2)


def test_a_rerank_is_sorted_and_needs_little() -> None:
    data = {"results": [{"index": 1, "relevance_score": 0.2}, {"index": 0, "relevance_score": 0.9, "document": "d"}]}
    reply = read_rerank(data, 2)
    assert [(r.index, r.score, r.document) for r in reply.results] == [(0, 0.9, "d"), (1, 0.2, None)]


@pytest.mark.parametrize(
    "usage", [{"total_tokens": 90}, {"input_tokens": 90}, {"prompt_tokens": 90, "total_tokens": 90}]
)
def test_the_tokens_of_a_rerank_are_input_and_priced_as_it(usage: dict[str, int]) -> None:
    counted = read_rerank({"results": [], "usage": usage}, 2).usage
    assert counted is not None
    assert (counted.input_tokens, counted.output_tokens, counted.total_tokens) == (90, 0, 90)


@pytest.mark.parametrize("result", [{"index": 5, "relevance_score": 1}, {"index": 0}, {"relevance_score": 1}, None])
def test_a_rerank_result_that_points_nowhere_is_an_error(result: Any) -> None:
    with pytest.raises(AnswerError):
        read_rerank({"results": [result]}, 2)
