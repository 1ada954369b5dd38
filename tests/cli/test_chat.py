"""hubmix chat: one question."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from hubmix.cli.attachments import LARGEST, content_of, part_of
from hubmix.embedded import EmbeddedHub
from hubmix.errors import ConfigurationError
from tests.cli.conftest import Command

ECHO = ("--model", "embedded/echo")


def asked(server: EmbeddedHub) -> dict[str, Any]:
    (request,) = [one for one in server.requests if one.path.endswith("/chat/completions")]
    body: dict[str, Any] = request.json
    return body


def test_the_answer_and_nothing_else_is_on_stdout(hubmix: Command) -> None:
    done = hubmix("chat", "Hello there", *ECHO)
    assert (done.code, done.out) == (0, "Hello there\n")
    assert done.err.startswith("embedded/echo · 7 in, 2 out · USD 0 · ")


def test_quiet_leaves_stderr_empty(hubmix: Command) -> None:
    done = hubmix("chat", "Hello", *ECHO, "--quiet")
    assert (done.out, done.err) == ("Hello\n", "")


def test_words_need_no_quotes(hubmix: Command) -> None:
    assert hubmix("chat", "Hello", "there", *ECHO).out == "Hello there\n"


def test_the_cost_is_that_of_the_catalog(hubmix: Command) -> None:
    assert "USD 0.0000" in hubmix("chat", "The cat sat. Where did the cat sit?", "-m", "embedded/extract").err


def test_what_is_piped_in_stands_below_the_prompt(hubmix: Command) -> None:
    assert hubmix("chat", "Say:", *ECHO, stdin="one\ntwo\n").out == "Say:\n\none\ntwo\n"
    assert hubmix("chat", *ECHO, stdin="only this").out == "only this\n"


def test_parameters_and_the_system_message_are_sent(hubmix: Command, server: EmbeddedHub) -> None:
    hubmix("chat", "Hi", *ECHO, "--system", "Be brief.", "--temperature", "0.5", "--max-tokens", "9")
    body = asked(server)
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (body["temperature"], body["max_tokens"], body["stream"]) == (0.5, 9, True)


def test_the_model_may_come_from_the_environment(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_MODEL", "embedded/echo")
    assert hubmix("chat", "Hi").out == "Hi\n"


def test_a_fallback_answers_and_the_failure_is_told(hubmix: Command, server: EmbeddedHub) -> None:
    server.fault("embedded/extract", "503", times=None)
    done = hubmix("chat", "Hi", "-m", "embedded/extract", "-f", "no-such-model", "-f", "embedded/echo")
    assert (done.code, done.out) == (0, "Hi\n")
    assert "embedded/extract: error (" in done.err
    assert "HTTP 503" in done.err
    assert "no-such-model: error (" in done.err
    assert "embedded/echo · " in done.err.splitlines()[-1]
    assert "breaker" not in done.err


def test_reasoning_is_shown_on_stderr_where_it_is_wanted(hubmix: Command) -> None:
    question = ("chat", "The cat sat on the mat. Where?", "-m", "embedded/think")
    silent, told = hubmix(*question), hubmix(*question, "--reasoning")
    assert silent.out == told.out != ""
    assert len(silent.err.splitlines()) == 1
    assert len(told.err.splitlines()) > 1


def test_a_failure_is_a_message_and_exit_code_1(hubmix: Command) -> None:
    done = hubmix("chat", "Hi", "-m", "no-such-model")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert "no-such-model" in done.err
    assert "Traceback" not in done.err


def test_when_all_fail_each_is_told(hubmix: Command) -> None:
    done = hubmix("chat", "Hi", "-m", "no-such-model", "-f", "no-such-either")
    assert done.code == 1
    assert "no-such-model" in done.err
    assert "no-such-either" in done.err
    assert "sub-exception" not in done.err


def test_an_answer_that_breaks_off_is_shown_as_far_as_it_came(hubmix: Command, server: EmbeddedHub) -> None:
    server.fault("embedded/lorem:40", "rude:5")
    done = hubmix("chat", "go", "-m", "embedded/lorem:40")
    assert done.code == 1
    assert done.out.startswith("lorem ")
    assert done.out.endswith("\n")
    assert done.err.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chat",), "Nothing to ask"),
        (("chat", "hi", "--modle", "x"), "--modle"),
        (("chat", "hi", "--max-tokens", "many"), "integer"),
        (("chat", "hi", "--attach", "no-such-file.png"), "no-such-file.png"),
        (("chat", "hi", "-f", "auto", "-f", "x"), "auto"),
        (("chat", "hi", "--hub", "aihubmx"), "aihubmix"),
        (("chat", "hi", "--base-url", "http://example.com"), "not encrypted"),
        (("models", "--kind", "cat"), "cat"),
        (("models", "--sort", "colour"), "colour"),
        (("compare", "hi", "-m", "one"), "two models"),
        (("embed",), "Nothing to embed"),
        (("rerank", "x"), "Nothing to order"),
        (("serve-embedded", "--dialect", "klingon"), "klingon"),
        (("serve-embedded", "--fault", "503"), "MODEL=FAULT"),
        (("nonsense",), "nonsense"),
    ],
)
def test_a_mistake_is_exit_code_2_and_sends_nothing(
    hubmix: Command, server: EmbeddedHub, arguments: tuple[str, ...], said: str
) -> None:
    done = hubmix(*arguments)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert not [one for one in server.requests if one.path.endswith("/chat/completions")]


def test_without_a_key_it_says_which_variable_to_set(hubmix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBMIX_API_KEY")
    done = hubmix("chat", "hi")
    assert done.code == 2
    assert "HUBMIX_API_KEY" in done.err
    assert "api_key=" not in done.err, "no option of the command takes a key"
    assert "hubmix demo" in done.err


def test_the_hub_may_be_named_before_or_after_the_command(hubmix: Command, server: EmbeddedHub) -> None:
    nowhere = "http://127.0.0.1:1/v1"
    assert hubmix("--base-url", server.base_url, "chat", "hi", *ECHO).code == 0
    assert hubmix("--base-url", nowhere, "chat", "hi", *ECHO, "--base-url", server.base_url).code == 0
    assert hubmix("--base-url", nowhere, "chat", "hi", *ECHO).code == 1


def test_no_option_takes_a_key(hubmix: Command) -> None:
    for command in ("", "chat", "models", "compare", "embed", "rerank", "balance", "doctor"):
        text = hubmix(*filter(None, [command]), "--help").out
        assert "hubmix" in text
        assert "--api-key" not in text
        assert "--key" not in text


# ---- attachments

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        (
            "a.png",
            PNG,
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}},
        ),
        (
            "a.pdf",
            b"%PDF-1.7",
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="}},
        ),
        ("a.WAV", b"RIFF", {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
        ("a.mp3", b"ID3", {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}}),
        ("a.txt", "Grüße".encode(), {"type": "text", "text": "File a.txt:\n\nGrüße"}),
        ("a.py", b"\xef\xbb\xbfx = 1", {"type": "text", "text": "File a.py:\n\nx = 1"}),
        ("a.svg", b"<svg/>", {"type": "text", "text": "File a.svg:\n\n<svg/>"}),
    ],
)
def test_files_become_parts(tmp_path: Path, name: str, data: bytes, part: dict[str, Any]) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert part_of(path) == part
    assert content_of("What?", [path]) == [part, {"type": "text", "text": "What?"}]


@pytest.mark.parametrize(("name", "data"), [("a.zip", b"PK\x03\x04\xff\xfe"), ("a.bin", b"a\0b")])
def test_what_no_model_takes_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match="neither an image"):
        part_of(path)


def test_what_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(ConfigurationError, match="20 MB"):
        part_of(path)
    with pytest.raises(ConfigurationError, match="cannot be attached"):
        part_of(tmp_path)


def test_attachments_arrive(hubmix: Command, server: EmbeddedHub, tmp_path: Path) -> None:
    picture, text = tmp_path / "a.png", tmp_path / "b.txt"
    picture.write_bytes(PNG)
    text.write_text("The kettle holds 1.7 litres.")
    done = hubmix("chat", "What is there?", "-a", str(picture), "-a", str(text), "-m", "embedded/vision")
    assert done.code == 0
    assert [part["type"] for part in asked(server)["messages"][0]["content"]] == ["image_url", "text", "text"]
