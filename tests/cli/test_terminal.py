"""The command on a pseudo-terminal: a session, colours, tables, Ctrl-C."""

from __future__ import annotations

import os
import re
import select
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hubmix.embedded import EmbeddedHub
from tests.support.processes import Child, run_command

fcntl = pytest.importorskip("fcntl", reason="needs a pseudo-terminal")
pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
termios = pytest.importorskip("termios", reason="needs a pseudo-terminal")

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Terminal:
    """A process on a pseudo-terminal: what is typed and what is seen."""

    def __init__(self, arguments: list[str], columns: int = 120) -> None:
        self._screen, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

        variables = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
        env = {**variables, "TERM": "xterm-256color"}
        self._process = Child(run_command, *arguments, stdin=inner, stdout=inner, stderr=inner, env=env, terminal=True)
        os.close(inner)
        self.raw = ""

    @property
    def seen(self) -> str:
        """What was written, without colours and cursor movements."""
        return _CODES.sub("", self.raw).replace("\r\n", "\n")

    def _has_more(self, deadline: float) -> bool:
        return bool(select.select([self._screen], [], [], max(0, deadline - time.monotonic()))[0])

    def _read(self, deadline: float) -> bool:
        """Read what has come until `deadline`; False if the terminal is closed."""
        assert self._has_more(deadline), f"nothing came any more after {self.seen!r}"
        try:
            data = os.read(self._screen, 65536)
        except OSError:
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)

    def _waits_for_keys(self) -> bool:
        # What is typed before the line editor has taken over from the terminal is kept as lines: Ctrl-D gets lost then.
        return not termios.tcgetattr(self._screen)[3] & termios.ICANON

    def until(self, text: str, seconds: float = 30) -> None:
        """Read until `text` was seen; what came before it is forgotten by the next call."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert self._read(deadline), self.seen

    def ready(self, seconds: float = 30) -> None:
        """Read until the session waits for a question."""
        deadline = time.monotonic() + seconds
        while not self.seen.endswith("\n> "):
            assert self._read(deadline), self.seen
        while not self._waits_for_keys():
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.01)

    def type(self, text: str) -> None:
        self.raw = ""
        os.write(self._screen, text.encode())

    def interrupt(self, text: str) -> None:
        """Press Ctrl-C until `text` is seen; Python can miss one."""
        for _ in range(60):
            self.type("\x03")
            deadline = time.monotonic() + 0.5
            while text not in self.seen and self._has_more(deadline):
                assert self._read(deadline), self.seen
            if text in self.seen:
                return
        raise AssertionError(f"nothing was interrupted: {self.seen!r}")

    def end(self, seconds: float = 30) -> int:
        """The exit code, after everything was read."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self._process.wait(seconds)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._screen)


@contextmanager
def terminal(*arguments: str, columns: int = 120) -> Iterator[Terminal]:
    made = Terminal(list(arguments), columns)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedHub]:
    with EmbeddedHub(pace=0.01) as running:
        monkeypatch.setenv("HUBMIX_BASE_URL", running.base_url)
        monkeypatch.setenv("HUBMIX_API_KEY", running.api_key)
        yield running


def chats(server: EmbeddedHub) -> list[list[dict[str, str]]]:
    return [one.json["messages"] for one in server.requests if one.path.endswith("/chat/completions")]


def test_a_session(slow: EmbeddedHub) -> None:
    pytest.importorskip("readline", reason="without it input() edits no lines")
    with terminal("chat", "-m", "embedded/echo", "--system", "Be brief.") as screen:
        screen.ready()
        assert "embedded/echo at http://127.0.0.1" in screen.seen
        screen.type("first\n")
        screen.until("USD 0")
        screen.ready()
        screen.type("second \\\n")
        screen.until("... ")
        screen.type("line\n")
        screen.until("USD 0")
        screen.ready()
        screen.type("/undo\n")
        screen.until("1 questions")
        screen.ready()
        screen.type("/model no-such-model\n")
        screen.ready()
        screen.type("third\n")
        screen.until("error: ")
        screen.ready()
        screen.type("/model embedded/lorem:3000\n")
        screen.ready()
        screen.type("go\n")
        screen.until("lorem ipsum")
        screen.type("\x03")
        screen.until("(stopped")
        screen.ready()
        screen.type("/model embedded/echo\n")
        screen.ready()
        screen.type("half a line")
        screen.until("half a line")
        screen.interrupt("(Ctrl-D ends the session)")
        screen.ready()
        screen.type("/nonsense\n")
        screen.until("not known")
        screen.ready()
        screen.type("/attach ~no-such-user-here/a.txt\n")
        screen.until("cannot be attached")
        screen.ready()
        screen.type("/system\n")
        screen.until("no system message")
        screen.ready()
        screen.type("last\n")
        screen.until("USD 0")
        screen.ready()
        screen.type("\x04")
        assert screen.end() == 0
        assert re.search(r"\d answers, [\d,]+ tokens, USD 0", screen.seen)
        assert "Traceback" not in screen.raw
    system = {"role": "system", "content": "Be brief."}
    first = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "first"}]
    found = chats(slow)
    assert found[0] == [system, first[0]]
    assert found[1] == [system, *first, {"role": "user", "content": "second \nline"}]
    assert found[-1] == [*first, {"role": "user", "content": "last"}]


def test_ctrl_c_during_one_question(slow: EmbeddedHub) -> None:
    with terminal("chat", "go", "-m", "embedded/lorem:3000") as screen:
        screen.until("lorem ipsum")
        screen.type("\x03")
        assert screen.end() == 130
        assert "stopped" in screen.seen
        assert "Traceback" not in screen.seen


def test_tables_are_in_colour_and_keep_whole_ids(slow: EmbeddedHub) -> None:
    with terminal("models", columns=60) as screen:
        assert screen.end() == 0
        assert "\x1b[" in screen.raw
        assert "embedded/think-strict" in screen.seen
    with terminal("models", "--json") as screen:
        assert screen.end() == 0
        assert '\n    "id": ' in screen.seen


def test_a_narrow_terminal_leaves_columns_out_and_cuts_nothing(slow: EmbeddedHub) -> None:
    with terminal("models", columns=40) as screen:
        assert screen.end() == 0
        assert "embedded/think-strict" in screen.seen
        assert "…" not in screen.seen
        assert "in $/1M" in screen.seen
        assert "supports" not in screen.seen
    with terminal("models", columns=200) as screen:
        assert screen.end() == 0
        assert [line.split()[:3] for line in screen.seen.splitlines() if "supports" in line] == [
            ["model", "owner", "kind"]
        ]


def test_answers_stand_side_by_side_where_there_is_room(slow: EmbeddedHub) -> None:
    question = ("compare", "Hello", "-m", "embedded/echo,embedded/refuse")
    with terminal(*question, columns=120) as screen:
        assert screen.end() == 0
        assert [line for line in screen.seen.splitlines() if "embedded/echo" in line and "embedded/refuse" in line]
    with terminal(*question, columns=60) as screen:
        assert screen.end() == 0
        assert not [line for line in screen.seen.splitlines() if "embedded/echo" in line and "embedded/refuse" in line]
        assert "first token" in screen.seen
        assert "…" not in screen.seen


def test_alike_texts_are_a_table(slow: EmbeddedHub) -> None:
    with terminal("embed", "a cat", "a cat", "-m", "embedded/embed") as screen:
        assert screen.end() == 0
        assert "1.000" in screen.seen
        assert '"embedding"' not in screen.seen


def test_the_doctor_speaks_in_colour(slow: EmbeddedHub) -> None:
    with terminal("doctor", "-m", "embedded/echo") as screen:
        assert screen.end() == 0
        assert "\x1b[1;32mok" in screen.raw
        assert "All is well." in screen.seen


def test_a_model_cannot_move_the_cursor(slow: EmbeddedHub) -> None:
    with terminal("chat", "a\x1b[2Jb\x1b]0;title\x07c", "-m", "embedded/echo", "-q") as screen:
        assert screen.end() == 0
        assert screen.raw == "a[2Jb]0;titlec\r\n"
