"""The command as a shell sees it: streams, exit codes, signals, closed pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hubmix.embedded import EmbeddedHub
from tests.cli.conftest import Command
from tests.support.processes import Child, run_command

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")
HUBMIX = [sys.executable, "-m", "hubmix"]


def test_one_question_in_a_pipe(process: Command) -> None:
    done = process("chat", "Hello", "-m", "embedded/echo", FORCE_COLOR="1")
    assert (done.code, done.out) == (0, "Hello\n")
    assert "embedded/echo" in done.err
    assert process("chat", "Say:", "-m", "embedded/echo", "-q", stdin="Grüße").out == "Say:\n\nGrüße\n"


def test_a_failure_has_no_traceback(process: Command) -> None:
    done = process("chat", "Hello", "-m", "no-such-model")
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


@pytest.mark.skipif(
    not sys.getfilesystemencoding().startswith("utf"), reason="the locale cannot hand over the question"
)
def test_a_terminal_that_knows_no_unicode_gets_question_marks(process: Command) -> None:
    done = process("chat", "Grüße", "-m", "embedded/echo", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.code, done.out) == (0, "Gr??e\n")


@posix
@pytest.mark.parametrize("command", [["models"], ["chat", "go", "-m", "embedded/lorem:20000"]])
def test_a_reader_that_has_seen_enough(server: EmbeddedHub, command: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    running = Child(run_command, *command, stdout=write)
    os.close(write)
    _, said = running.communicate()
    assert running.returncode == 141
    assert b"Traceback" not in said
    assert b"BrokenPipe" not in said


def begin(hub: EmbeddedHub, *arguments: str) -> Child:
    """The command at work on a hub, with pipes for what it says."""
    env = {**os.environ, "HUBMIX_API_KEY": hub.api_key}
    return Child(run_command, *arguments, "--base-url", hub.base_url, env=env)


@posix
def test_ctrl_c_in_the_middle_of_an_answer() -> None:
    with EmbeddedHub(pace=0.02) as slow:
        running = begin(slow, "chat", "go", "-m", "embedded/lorem:5000")
        assert running.stdout is not None
        assert running.stdout.read(5) == b"lorem"
        running.send_signal(signal.SIGINT)
        out, said = running.communicate()
    assert running.returncode == 130
    assert out.endswith(b"\n")
    assert out.count(b"lorem") < 5000 / 8  # the text has eight words
    assert said.strip() == b"stopped"


@posix
def test_the_embedded_hub_serves_until_it_is_stopped() -> None:
    running = Child(run_command, "serve-embedded", "--port", "0", "--model", "gpt-4o", "--fault", "embedded/echo=503")
    assert running.stdout is not None
    base_url, key = running.stdout.readline().decode().split()
    from hubmix import Hub, HubmixError

    hub = Hub(base_url=base_url, api_key=key)
    question = {"messages": [{"role": "user", "content": "Hello"}]}
    assert hub.chat({"model": "gpt-4o", **question}).text
    with pytest.raises(HubmixError):
        hub.chat({"model": "embedded/echo", **question})
    hub.close()
    running.send_signal(signal.SIGINT)
    out, said = running.communicate()
    assert (running.returncode, out) == (0, b"")
    assert f"export HUBMIX_BASE_URL={base_url} HUBMIX_API_KEY={key}" in said.decode()


def test_a_port_that_is_taken(process: Command, server: EmbeddedHub) -> None:
    port = server.base_url.split(":")[2].split("/")[0]
    done = process("serve-embedded", "--port", port)
    assert done.code == 2
    assert f"Port {port} cannot be used" in done.err


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(\"No module named 'typer'\", name='typer')")
    done = subprocess.run(
        HUBMIX, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert 'pip install "hubmix[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_the_import_of_the_command_is_light() -> None:
    heavy = ("typer", "rich", "openai", "pydantic", "httpx")
    code = f"import sys, hubmix.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_help_asks_for_no_sdk() -> None:
    code = (
        "import sys; sys.argv = ['hubmix', 'chat', '--help']\n"
        "from hubmix.cli import main\n"
        "code = main()\n"
        "print(code, [m for m in ('openai', 'starlette', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


@posix
def test_ctrl_c_while_the_compared_models_are_silent() -> None:
    with EmbeddedHub(models=["one", "two"]) as silent:
        for model in ("one", "two"):
            silent.fault(model, "stall", times=None)
        running = begin(silent, "compare", "Hello", "-m", "one,two")
        try:
            deadline = time.monotonic() + 60
            while sum(one.path.endswith("/chat/completions") for one in silent.requests) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            running.send_signal(signal.SIGINT)
            out, said = running.communicate()
        finally:
            running.kill()
    assert (running.returncode, out, said.strip()) == (130, b"", b"stopped")


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["models"], ["chat", "Hello", "-m", "embedded/echo"]])
def test_a_full_disk_is_a_message(server: EmbeddedHub, command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        running = Child(run_command, *command, stdout=full.fileno())
    _, said = running.communicate()
    assert running.returncode == 1
    assert said.startswith(b"error: The output cannot be written: ")
    assert b"Traceback" not in said


@posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_leads_nowhere(server: EmbeddedHub, closed: str) -> None:
    line = f'exec "$0" -m hubmix chat Hello -m embedded/echo {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, timeout=60, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert done.stdout == ("" if closed == ">&-" else "Hello\n")


@posix
def test_piped_bytes_that_are_no_text_are_refused(process: Command) -> None:
    done = process("chat", "-m", "embedded/echo", stdin=b"\xff\xfe\x01", PYTHONIOENCODING="utf-8:surrogateescape")
    assert done.code == 2
    assert "is not text" in done.err
