"""Messages to the wire: every form that a LangChain history can hold."""

from __future__ import annotations

import base64
import copy
import json
import time
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from hubmix import ConfigurationError
from langchain_hubmix._messages import to_wire

MARKER = {"type": "ephemeral"}
PIXEL = "iVBORw0KGgo="


def one(message: BaseMessage) -> dict[str, Any]:
    (wire,) = to_wire([message])
    return wire


def part(block: Any) -> Any:
    """What becomes of one block between two words."""
    content = one(HumanMessage([block, {"type": "text", "text": "and", "cache_control": MARKER}]))["content"]
    return content[0] if len(content) == 2 else None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (HumanMessage("Hi"), {"role": "user", "content": "Hi"}),
        (HumanMessage("Hi", name="anna"), {"role": "user", "content": "Hi", "name": "anna"}),
        (HumanMessage(""), {"role": "user", "content": ""}),
        (SystemMessage("Be brief."), {"role": "system", "content": "Be brief."}),
        (
            SystemMessage("Be brief.", additional_kwargs={"__openai_role__": "developer"}),
            {"role": "developer", "content": "Be brief."},
        ),
        (ChatMessage("Hm", role="critic"), {"role": "critic", "content": "Hm"}),
        (FunctionMessage("4", name="add"), {"role": "function", "name": "add", "content": "4"}),
        (ToolMessage("4", tool_call_id="c1", name="add"), {"role": "tool", "tool_call_id": "c1", "content": "4"}),
        (ToolMessage("no", tool_call_id="c1", status="error"), {"role": "tool", "tool_call_id": "c1", "content": "no"}),
        (AIMessage("Hello"), {"role": "assistant", "content": "Hello"}),
        (AIMessage("Hello", name="bot"), {"role": "assistant", "content": "Hello", "name": "bot"}),
        (AIMessageChunk(content="Hello"), {"role": "assistant", "content": "Hello"}),
        (AIMessage(""), {"role": "assistant", "content": ""}),
        (AIMessage("No.", additional_kwargs={"refusal": "I will not."}), {"role": "assistant", "content": "No."}),
    ],
)
def test_plain_messages(message: BaseMessage, expected: dict[str, Any]) -> None:
    assert one(message) == expected


def test_a_message_that_is_no_message_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="RemoveMessage"):
        to_wire([RemoveMessage(id="1")])


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("word", {"type": "text", "text": "word"}),
        ({"text": "untyped"}, {"type": "text", "text": "untyped"}),
        ({"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}),
        ({"type": "text", "text": "a", "index": 0, "id": "x"}, {"type": "text", "text": "a"}),
        (
            {"type": "text", "text": "a", "extras": {"cache_control": MARKER}},
            {"type": "text", "text": "a", "cache_control": MARKER},
        ),
        # OpenAI's own parts
        (
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}, "cache_control": MARKER},
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}, "cache_control": MARKER},
        ),
        (
            {"type": "image_url", "image_url": "https://a/b.png"},
            {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
        ),
        (
            {"type": "input_image", "image_url": "https://a/b.png", "detail": "high"},
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "high"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ),
        ({"type": "file", "file": {"file_id": "f1"}}, {"type": "file", "file": {"file_id": "f1"}}),
        (
            {"type": "input_file", "file_url": "https://a/b.pdf"},
            {"type": "file", "file": {"filename": "b.pdf", "file_data": "https://a/b.pdf"}},
        ),
        ({"type": "video_url", "video_url": {"url": "u"}}, {"type": "video_url", "video_url": {"url": "u"}}),
        # LangChain's standard blocks, version 1
        ({"type": "image", "url": "https://a/b.png"}, {"type": "image_url", "image_url": {"url": "https://a/b.png"}}),
        (
            {"type": "image", "base64": PIXEL, "mime_type": "image/png", "extras": {"detail": "low"}},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
        ),
        ({"type": "image", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
        (
            {"type": "audio", "base64": "AA==", "mime_type": "audio/mpeg"},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        ),
        (
            {"type": "audio", "url": "data:audio/wav;base64,AA=="},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ),
        ({"type": "audio", "url": "https://a/b.wav"}, {"type": "audio_url", "audio_url": {"url": "https://a/b.wav"}}),
        ({"type": "audio", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
        ({"type": "video", "url": "https://a/b.mp4"}, {"type": "video_url", "video_url": {"url": "https://a/b.mp4"}}),
        (
            {"type": "video", "base64": "AA==", "mime_type": "video/webm"},
            {"type": "video_url", "video_url": {"url": "data:video/webm;base64,AA=="}},
        ),
        (
            {"type": "file", "base64": "JVBE", "mime_type": "application/pdf", "filename": "a.pdf"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        ),
        (
            {"type": "file", "base64": "JVBE", "mime_type": "application/pdf"},
            {"type": "file", "file": {"filename": "file.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        ),
        (
            {"type": "file", "url": "https://a/b.pdf?x=1"},
            {"type": "file", "file": {"filename": "b.pdf", "file_data": "https://a/b.pdf?x=1"}},
        ),
        ({"type": "file", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
        ({"type": "text-plain", "text": "Body", "title": "T"}, {"type": "text", "text": "T\n\nBody"}),
        (
            {"type": "text-plain", "base64": base64.b64encode("Grüße".encode()).decode(), "mime_type": "text/plain"},
            {"type": "text", "text": "Grüße"},
        ),
        (
            {"type": "text-plain", "url": "https://a/b.txt"},
            {"type": "file", "file": {"filename": "b.txt", "file_data": "https://a/b.txt"}},
        ),
        ({"type": "non_standard", "value": {"type": "clip", "clip": 1}}, {"type": "clip", "clip": 1}),
        # version 0
        (
            {"type": "image", "source_type": "base64", "data": PIXEL, "mime_type": "image/png"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ),
        (
            {"type": "image", "source_type": "url", "url": "https://a/b.png"},
            {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
        ),
        ({"type": "file", "source_type": "id", "id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
        ({"type": "file", "source_type": "text", "text": "Body"}, {"type": "text", "text": "Body"}),
        # Anthropic's, Gemini's, and one that is nobody's
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}, "cache_control": MARKER},
            {"type": "image_url", "image_url": {"url": "https://a/b.png"}, "cache_control": MARKER},
        ),
        (
            {"type": "document", "source": {"type": "text", "data": "Body"}, "title": "T"},
            {"type": "text", "text": "T\n\nBody"},
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
            {"type": "file", "file": {"filename": "file.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        ),
        (
            {"type": "media", "mime_type": "image/png", "data": PIXEL},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ),
        ({"type": "hologram", "data": "x"}, {"type": "hologram", "data": "x"}),
        # what is no content
        ({"type": "reasoning", "reasoning": "Hm"}, None),
        ({"type": "thinking", "thinking": "Hm", "signature": "s"}, None),
        ({"type": "tool_call", "id": "c", "name": "f", "args": {}}, None),
    ],
)
def test_content_blocks(block: Any, expected: Any) -> None:
    assert part(block) == expected


@pytest.mark.parametrize("kind", ["image", "audio", "video", "file", "text-plain"])
def test_a_block_with_nothing_in_it_is_refused(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind!r}"):
        part({"type": kind, "mime_type": "x/y"})


def test_base64_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        part({"type": "text-plain", "base64": base64.b64encode(b"\xff\xfe").decode()})


def test_text_becomes_one_string_unless_it_has_a_cache_marker() -> None:
    assert one(HumanMessage(["a", {"type": "text", "text": "b"}]))["content"] == "a\nb"
    marked = [{"type": "text", "text": "a", "cache_control": MARKER}]
    assert one(SystemMessage(marked))["content"] == marked
    assert one(ToolMessage(marked, tool_call_id="c"))["content"] == marked


def test_tool_messages_keep_pictures_and_files() -> None:
    content = [{"type": "text", "text": "here"}, {"type": "image", "base64": PIXEL, "mime_type": "image/png"}]
    assert [p["type"] for p in one(ToolMessage(content, tool_call_id="c"))["content"]] == ["text", "image_url"]
    assert one(ToolMessage([{"type": "json", "json": {"a": "ü"}}], tool_call_id="c"))["content"] == '{"a": "ü"}'


def test_tool_calls_go_back_valid_or_not() -> None:
    message = AIMessage(
        "",
        tool_calls=[{"name": "f", "args": {"city": "Köln"}, "id": "c1"}],
        invalid_tool_calls=[{"name": "g", "args": '{"a": ', "id": "c2", "error": None}],
    )
    said, told = to_wire([message])
    assert said == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Köln"}'}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"a": '}},
        ],
    }
    assert (told["role"], told["tool_call_id"]) == ("tool", "c2")  # vendors refuse a call that nobody answers
    assert "was not executed" in told["content"]
    answered = [message, ToolMessage("no", tool_call_id="c2")]
    assert [entry["role"] for entry in to_wire(answered)] == ["assistant", "tool"]


def test_a_call_goes_back_with_what_came_beside_it() -> None:
    extras = {"c1": {"extra_content": {"google": {"thought_signature": "sig"}}}, "c2": {"custom": "4 + 4"}}
    message = AIMessage(
        "",
        tool_calls=[{"name": "f", "args": {}, "id": "c1"}],
        invalid_tool_calls=[{"name": "calc", "args": "4 + 4", "id": "c2", "error": "text"}],
        additional_kwargs={"tool_call_extras": extras},
    )
    first, second = one(message)["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "sig"}}
    assert second == {"id": "c2", "type": "custom", "custom": {"name": "calc", "input": "4 + 4"}}


def test_calls_that_stand_in_the_content_only() -> None:
    message = AIMessage(
        [{"type": "text", "text": "Let me see."}, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]
    )
    wire = one(message)
    assert wire["content"] == "Let me see."
    assert wire["tool_calls"] == [{"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]


def test_tool_results_in_a_human_message_become_tool_messages() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "green"}]}
    wire = to_wire([HumanMessage([result, {"type": "text", "text": "and now?"}]), HumanMessage([result])])
    answer = {"role": "tool", "tool_call_id": "t", "content": "green"}
    assert wire == [answer, {"role": "user", "content": "and now?"}, answer]


def test_legacy_function_call_and_audio_go_back() -> None:
    call = {"name": "f", "arguments": "{}"}
    assert one(AIMessage("", additional_kwargs={"function_call": call})) == {
        "role": "assistant",
        "content": None,
        "function_call": call,
    }
    spoken = AIMessage("", additional_kwargs={"audio": {"id": "a1", "data": "AA==", "transcript": "Hi"}})
    assert one(spoken) == {"role": "assistant", "content": None, "audio": {"id": "a1"}}


def ours(model: str | None = "claude", **extras: Any) -> AIMessage:
    return AIMessage(
        "Hi", additional_kwargs=extras, response_metadata={"model_provider": "hubmix", "model_name": model}
    )


def test_reasoning_goes_back_with_the_model_that_said_it() -> None:
    details = [{"type": "thinking", "thinking": "Hm", "signature": "s"}]
    wire = one(ours(reasoning_content="Hm", reasoning_details=details))
    assert wire["hubmix_reasoning"] == {"model": "claude", "text": "Hm", "details": details}
    assert "hubmix_reasoning" not in one(ours())


def test_reasoning_of_another_provider_goes_back_as_text_only() -> None:
    message = AIMessage(
        [{"type": "thinking", "thinking": "Hm", "signature": "foreign"}, {"type": "text", "text": "Hi"}],
        response_metadata={"model_provider": "anthropic", "model_name": "claude"},
    )
    wire = one(message)
    assert wire["content"] == "Hi"
    assert wire["hubmix_reasoning"] == {"model": None, "text": "Hm", "details": None}
    standard = AIMessage([{"type": "reasoning", "reasoning": "A"}, {"type": "text", "text": "B"}])
    assert one(standard)["hubmix_reasoning"]["text"] == "A"


def test_reasoning_that_stands_twice_in_a_message_goes_back_once() -> None:
    message = ours(reasoning_content="Hm").model_copy(
        update={"content": [{"type": "reasoning", "reasoning": "Hm"}, {"type": "text", "text": "Hi"}]}
    )
    wire = one(message)
    assert wire["content"] == "Hi"
    assert wire["hubmix_reasoning"]["text"] == "Hm"


def test_a_streamed_message_in_blocks_goes_back_as_one_text() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "annotations": []}]
    assert one(ours().model_copy(update={"content": blocks}))["content"] == "ab"


def test_the_history_stays_as_it_was() -> None:
    history = [
        SystemMessage([{"type": "text", "text": "a", "cache_control": MARKER}]),
        HumanMessage([{"type": "image", "base64": PIXEL, "mime_type": "image/png"}, "b"]),
        ours(reasoning_content="Hm", reasoning_details=[{"a": 1}]),
        AIMessage("", tool_calls=[{"name": "f", "args": {"a": [1]}, "id": "c1"}]),
        ToolMessage([{"type": "text", "text": "x"}], tool_call_id="c1"),
    ]
    before = copy.deepcopy(history)
    wire = to_wire(history)
    json.dumps(wire)
    for message in wire:
        message["content"] = "spoilt"
    assert history == before


def test_a_long_history_costs_in_proportion() -> None:
    def cost(length: int) -> float:
        history = [HumanMessage("question " * 8) if i % 2 else AIMessage("answer " * 8) for i in range(length)]
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            to_wire(history)
            best = min(best, time.process_time() - start)
        return best

    assert cost(4_000) < 40 * max(cost(400), 1e-5)


@pytest.mark.parametrize("marker", ["cache_control", "prompt_cache_breakpoint"])
def test_markers_of_a_prompt_cache_stay_on_their_block(marker: str) -> None:
    mark = {"type": "ephemeral"}
    blocks = [
        {"type": "text", "text": "long", "extras": {marker: mark, "other": 1}},
        {"type": "image", "url": "https://a.example/a.png", "extras": {marker: mark}},
        {"type": "file", "file_id": "f1", "extras": {marker: mark}},
    ]
    assert [part.get(marker) for part in to_wire([HumanMessage(blocks)])[0]["content"]] == [mark] * 3
    told = to_wire([ToolMessage([{"type": "text", "text": "x", "extras": {marker: mark}}], tool_call_id="c")])[0]
    assert told["content"] == [{"type": "text", "text": "x", marker: mark}]


def test_a_vendors_own_key_of_a_text_block_is_sent() -> None:
    marked = {"type": "text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit"}}
    blocks = [marked, {"type": "text", "text": "q", "id": "lc_1", "index": 0, "annotations": [], "citations": None}]
    assert to_wire([HumanMessage(blocks)])[0]["content"] == [marked, {"type": "text", "text": "q"}]
