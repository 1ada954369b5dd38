"""ChatMessage to the wire: every block and role, nothing internal."""

from __future__ import annotations

import base64
import copy
import sys
from io import BytesIO
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_message_function_tool_call import Function

from hubmix.errors import ConfigurationError
from llamaindex_hubmix._messages import RemoteContent, to_wire

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WAV = b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00data\x00\x00\x00\x00"
PDF = b"%PDF-1.4\n%%EOF\n"


def one(message: ChatMessage) -> dict[str, Any]:
    return to_wire([message])[0]


def user(*blocks: Any) -> dict[str, Any]:
    return one(ChatMessage(role="user", blocks=list(blocks)))


def assistant(*blocks: Any, **extras: Any) -> dict[str, Any]:
    return one(ChatMessage(role="assistant", blocks=list(blocks), additional_kwargs=extras))


# ------------------------------------------------------------------------------------------------- text and roles


@pytest.mark.parametrize(
    ("role", "wire"),
    [
        (MessageRole.SYSTEM, "system"),
        (MessageRole.DEVELOPER, "developer"),
        (MessageRole.USER, "user"),
        (MessageRole.ASSISTANT, "assistant"),
        (MessageRole.CHATBOT, "assistant"),
        (MessageRole.MODEL, "assistant"),
    ],
)
def test_role(role: MessageRole, wire: str) -> None:
    assert one(ChatMessage(role=role, content="hi")) == {"role": wire, "content": "hi"}


def test_text_blocks_are_one_string_as_the_caller_sees_it() -> None:
    message = ChatMessage(role="user", blocks=[TextBlock(text="a"), TextBlock(text="b")])
    assert one(message)["content"] == message.content == "a\nb"


def test_an_empty_message_is_an_empty_string() -> None:
    assert user() == {"role": "user", "content": ""}
    assert user(TextBlock(text="")) == {"role": "user", "content": ""}


def test_a_name_and_a_prefix_go_along_and_book_keeping_does_not() -> None:
    wire = assistant(TextBlock(text="x"), name="bob", prefix=True, tool_call_id="c1", documents=["d"])
    assert wire == {"role": "assistant", "content": "x", "name": "bob", "prefix": True}


# ---------------------------------------------------------------------------------------------------------- media


def test_an_image_url_goes_as_it_is() -> None:
    wire = user(TextBlock(text="look"), ImageBlock(url="https://pictures.example/a.png", detail="low"))
    assert wire["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png", "detail": "low"}},
    ]


def test_image_bytes_go_inline() -> None:
    part = user(ImageBlock(image=PNG))["content"][0]
    assert part == {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"},
    }


def test_an_image_file_is_read(tmp_path: Any) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert user(ImageBlock(path=path))["content"][0]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


def test_audio() -> None:
    part = user(AudioBlock(audio=WAV, format="wav"))["content"][0]
    assert part == {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}}


def test_a_video_goes_by_url_or_inline() -> None:
    by_url = user(VideoBlock(url="https://films.example/a.mp4", fps=2, detail="low"))["content"][0]
    assert by_url == {
        "type": "video_url",
        "video_url": {"url": "https://films.example/a.mp4", "detail": "low"},
        "fps": 2,
    }
    inline = user(VideoBlock(video=b"\x00\x00\x00\x18ftypmp42", video_mimetype="video/mp4"))["content"][0]
    assert inline["video_url"]["url"].startswith("data:video/mp4;base64,")


JPEG = b"\xff\xd8\xff\xe0 and so on"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("paper", PDF, "application/pdf"),
        ("notes.txt", b"some words", "text/plain"),
        ("table.csv", b"a,b", "text/csv"),
        ("words", "Grüße".encode(), "text/plain"),
        ("numbers", b"\x00\xff", "application/octet-stream"),
    ],
)
def test_a_document_is_called_what_it_is(tmp_path: Any, name: str, data: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    for block in (DocumentBlock(path=path), DocumentBlock(data=BytesIO(data), title=name)):
        assert user(block)["content"][0]["file"]["file_data"].startswith(f"data:{kind};base64,")


def test_media_without_a_file_ending_are_known_by_first_bytes(tmp_path: Any) -> None:
    path = tmp_path / "picture"
    path.write_bytes(JPEG)
    assert user(ImageBlock(path=path))["content"][0]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    sound = user(AudioBlock(audio=BytesIO(b"ID3 and so on")))["content"][0]["input_audio"]
    assert sound["format"] == "mp3"
    assert user(AudioBlock(audio=BytesIO(b"?")))["content"][0]["input_audio"]["format"] == "wav"


def test_a_document() -> None:
    part = user(DocumentBlock(data=PDF, title="paper.pdf", document_mimetype="application/pdf"))["content"][0]
    data = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
    assert part == {"type": "file", "file": {"filename": "paper.pdf", "file_data": data}}


@pytest.mark.parametrize(
    "block",
    [AudioBlock(url="https://sounds.example/a.wav"), DocumentBlock(url="https://papers.example/a.pdf")],
    ids=["audio", "document"],
)
def test_media_without_url_form_are_not_fetched_on_event_loop(block: Any) -> None:
    with pytest.raises(RemoteContent):
        to_wire([ChatMessage(role="user", blocks=[block])], download=False)


def test_a_data_url_needs_no_fetching() -> None:
    block = AudioBlock(url=f"data:audio/wav;base64,{base64.b64encode(WAV).decode()}", format="wav")
    wire = to_wire([ChatMessage(role="user", blocks=[block])], download=False)
    assert wire[0]["content"][0]["input_audio"]["data"] == base64.b64encode(WAV).decode()


def test_a_block_without_content_is_an_error_that_says_so() -> None:
    with pytest.raises(ConfigurationError, match="ImageBlock in the messages has no content"):
        user(ImageBlock())


def test_a_citable_block_names_its_source() -> None:
    wire = user(
        CitableBlock(title="Atlas", source="p. 3", content=[TextBlock(text="Paris is a city.")]), TextBlock(text="?")
    )
    assert wire["content"] == "[Atlas] (p. 3)\nParis is a city.\n?"


def test_citation_annotates_the_text_and_is_not_sent_again() -> None:
    citation = CitationBlock(
        cited_content="source text", source="https://s.example", title="S", additional_location_info={}
    )
    assert assistant(TextBlock(text="answer"), citation)["content"] == "answer"
    assert user(citation)["content"] == "source text"


# --------------------------------------------------------------------------------------------------- cache markers


def test_a_cache_point_marks_what_stands_before_it() -> None:
    point = CachePoint(cache_control=CacheControl(type="ephemeral"))
    wire = user(TextBlock(text="long"), point, TextBlock(text="question"))
    assert wire["content"] == [
        {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "question"},
    ]


def test_a_cache_point_of_an_hour_says_so() -> None:
    point = CachePoint(cache_control=CacheControl(type="ephemeral", ttl="1h"))
    assert user(TextBlock(text="a"), point)["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_leading_cache_point_marks_the_message_before() -> None:
    point = CachePoint(cache_control=CacheControl(type="ephemeral"))
    wire = to_wire(
        [ChatMessage(role="system", content="rules"), ChatMessage(role="user", blocks=[point, TextBlock(text="q")])]
    )
    assert wire[0]["content"] == [{"type": "text", "text": "rules", "cache_control": {"type": "ephemeral"}}]
    assert wire[1]["content"] == "q"


# ------------------------------------------------------------------------------------------------------- tool calls


def call(arguments: Any, call_id: str = "c1") -> ToolCallBlock:
    return ToolCallBlock(tool_call_id=call_id, tool_name="f", tool_kwargs=arguments)


@pytest.mark.parametrize("arguments", [{"city": "München"}, '{"city": "München"}'], ids=["dict", "text"])
def test_a_tool_call_block(arguments: Any) -> None:
    wire = assistant(TextBlock(text=""), call(arguments))
    function = {"name": "f", "arguments": '{"city": "München"}'}
    assert wire == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }


@pytest.mark.parametrize("arguments", [{}, ""])
def test_a_call_without_arguments_has_an_empty_object(arguments: Any) -> None:
    assert assistant(call(arguments))["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_call_without_an_id_is_given_one() -> None:
    block = ToolCallBlock(tool_name="f", tool_kwargs={})
    ids = [c["id"] for c in assistant(block, block)["tool_calls"]]
    assert all(ids)
    assert len(set(ids)) == 2


LEGACY = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


@pytest.mark.parametrize(
    "stored",
    [
        LEGACY,
        {**LEGACY, "function": {"name": "f", "arguments": {"x": 1}}},
        {"id": "c1", "name": "f", "arguments": '{"x": 1}'},
        ChatCompletionMessageFunctionToolCall(
            id="c1", type="function", function=Function(name="f", arguments='{"x": 1}')
        ),
    ],
    ids=["wire", "arguments as an object", "flat", "SDK object"],
)
def test_legacy_tool_calls(stored: Any) -> None:
    assert assistant(TextBlock(text="t"), tool_calls=[stored]) == {
        "role": "assistant",
        "content": "t",
        "tool_calls": [LEGACY],
    }


def test_blocks_and_legacy_calls_are_the_same_calls() -> None:
    assert len(assistant(call({"x": 1}), tool_calls=[LEGACY])["tool_calls"]) == 1


def test_what_a_vendor_put_beside_a_call_goes_back() -> None:
    signed = {**LEGACY, "extra_content": {"google": {"thought_signature": "s"}}}
    wire = assistant(call({"x": 1}), tool_calls=[signed])
    assert wire["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "s"}}


def test_a_call_that_was_cut_short_is_not_sent_back() -> None:
    wire = assistant(TextBlock(text="t"), call('{"x": '), invalid_tool_calls=[{"id": "c1", "error": "cut"}])
    assert wire == {"role": "assistant", "content": "t"}


def test_a_tool_message() -> None:
    message = ChatMessage(role="tool", content="sunny", additional_kwargs={"tool_call_id": "c1"})
    assert one(message) == {"role": "tool", "content": "sunny", "tool_call_id": "c1"}


def test_a_tool_message_with_an_image() -> None:
    blocks = [TextBlock(text="seen"), ImageBlock(url="https://p.example/a.png")]
    wire = one(ChatMessage(role="tool", blocks=blocks, additional_kwargs={"tool_call_id": "c1"}))
    assert [part["type"] for part in wire["content"]] == ["text", "image_url"]


# -------------------------------------------------------------------------------------------------------- reasoning


def test_reasoning_goes_back_with_its_speaker_and_details() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}]
    block = ThinkingBlock(content="hm", additional_information={"model": "m", "reasoning_details": details})
    assert assistant(block, TextBlock(text="a")) == {
        "role": "assistant",
        "content": "a",
        "hubmix_reasoning": {"model": "m", "text": "hm", "details": details},
    }


def test_reasoning_of_another_provider_keeps_its_signature() -> None:
    block = ThinkingBlock(content="hm", additional_information={"signature": "s"})
    assert assistant(block)["hubmix_reasoning"] == {
        "model": None,
        "text": "hm",
        "details": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
    }


def test_several_thinking_blocks_are_one_reasoning() -> None:
    wire = assistant(ThinkingBlock(content="a"), TextBlock(text="x"), ThinkingBlock(content="b"))
    assert wire["hubmix_reasoning"] == {"model": None, "text": "a\nb", "details": None}
    assert wire["content"] == "x"


def test_reasoning_that_another_class_kept_beside_the_blocks() -> None:
    wire = assistant(TextBlock(text="x"), reasoning_content="hm")
    assert wire["hubmix_reasoning"] == {"model": None, "text": "hm", "details": None}


# ----------------------------------------------------------------------------------------------------- good manners


def test_the_callers_messages_are_left_alone() -> None:
    point = CachePoint(cache_control=CacheControl(type="ephemeral"))
    messages = [
        ChatMessage(role="system", content="rules"),
        ChatMessage(role="user", blocks=[point, TextBlock(text="q"), ImageBlock(image=PNG)]),
        ChatMessage(
            role="assistant",
            blocks=[ThinkingBlock(content="hm"), call({"x": 1})],
            additional_kwargs={"tool_calls": [LEGACY]},
        ),
        ChatMessage(role="tool", content="1", additional_kwargs={"tool_call_id": "c1"}),
    ]
    before = copy.deepcopy(messages)
    to_wire(messages)
    assert messages == before


def test_the_work_grows_with_the_length_and_no_faster() -> None:
    """Counted in calls of functions, which are the same on every machine."""

    def work(count: int) -> int:
        messages = [ChatMessage(role="user", content=f"message {n}") for n in range(count)]
        calls = 0

        def count_call(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count_call)
        try:
            to_wire(messages)
        finally:
            sys.setprofile(None)
        return calls

    assert work(4000) < 4.1 * work(1000)
    assert work(1000) < 4 * 1000
