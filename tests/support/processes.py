"""Processes for tests, forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.reduction import DupFd
from typing import IO, Any

import pytest

# `readline` is left out: it looks at the terminal when it is imported.
IMPORTED = [
    *("hubmix.hub", "hubmix.batch", "hubmix.cli.app", "hubmix.cli.chat", "hubmix.cli.session", "hubmix.embedded"),
    *("openai", "openai.resources.chat", "openai.types.chat", "rich.console", "rich.table", "rich.progress"),
    *("langchain_hubmix.chat_models", "llamaindex_hubmix.llms", "llamaindex_hubmix.embeddings"),
    *("llama_index.core.ingestion", "multiprocessing.pool", "pyrate_limiter", "filelock", "redis", "redis.asyncio"),
]


class _Process(ForkServerProcess):
    """A process that gets the environment of the moment, as a spawned one does."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._environment = dict(os.environ)

    def run(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()


class _Context(ForkServerContext):
    Process = _Process


@cache
def warm() -> ForkServerContext:
    """Return a multiprocessing context whose processes start with these imports done."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    context = _Context()
    context.set_forkserver_preload(IMPORTED)
    return context


class Child:
    """A warm process that runs `work(*arguments)`, used like `subprocess.Popen`.

    Args:
        work: a function of a module; its return value is the exit code, None for 0.
        stdin: a file descriptor; by default nothing can be read.
        stdout: a file descriptor; by default a pipe.
        stderr: the same.
        env: the whole environment; by default this process's.
        terminal: whether stdin becomes the controlling terminal.
    """

    def __init__(
        self,
        work: Callable[..., object],
        *arguments: Any,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        env: Mapping[str, str] | None = None,
        terminal: bool = False,
    ) -> None:
        own: list[int] = []  # closed here once the process has them
        if stdin is None:
            stdin = os.open(os.devnull, os.O_RDONLY)
            own.append(stdin)
        (self.stdout, stdout), (self.stderr, stderr) = (_piped(given, own) for given in (stdout, stderr))
        streams = [_Inherited(stream) for stream in (stdin, stdout, stderr)]
        self._process = warm().Process(
            target=_run, args=(work, arguments, streams, dict(os.environ if env is None else env), terminal)
        )
        self._process.start()
        for each in own:
            os.close(each)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = 60) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(repr(self._process), timeout)
        return self._process.exitcode

    def communicate(self, timeout: float = 60) -> tuple[bytes, bytes]:
        """Return all of stdout and stderr, once the process has ended."""
        with ThreadPoolExecutor(2) as readers:
            out, err = readers.map(lambda pipe: pipe.read() if pipe else b"", (self.stdout, self.stderr))
        self.wait(timeout)
        for pipe in (self.stdout, self.stderr):
            if pipe:
                pipe.close()
        return out, err

    def send_signal(self, number: int) -> None:
        if self._process.pid is not None and self.poll() is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _piped(given: int | None, own: list[int]) -> tuple[IO[bytes] | None, int]:
    """Return what the parent reads and what the child writes to."""
    if given is not None:
        return None, given
    read, write = os.pipe()
    own.append(write)
    return os.fdopen(read, "rb"), write


@dataclass(frozen=True)
class _Inherited:
    """A file descriptor that the process gets with its arguments."""

    number: int

    def __reduce__(self) -> tuple[Any, ...]:
        return _detached, (DupFd(self.number),)


def _detached(duplicate: Any) -> int:
    return int(duplicate.detach())


def _run(
    work: Callable[..., object], arguments: tuple[Any, ...], streams: list[int], env: dict[str, str], terminal: bool
) -> None:
    """Become a process as a shell starts it, do the work, and exit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    if terminal:
        _lead()
    os.environ.clear()
    os.environ.update(env)
    _open_streams(*env.get("PYTHONIOENCODING", "utf-8").split(":"))
    code: object = 1
    try:
        code = work(*arguments)
        sys.stdout.flush()
    except SystemExit as left:
        code = left.code
    except BaseException:  # noqa: BLE001 - shown as an interpreter does at its end
        sys.excepthook(*sys.exc_info())
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _open_streams(encoding: str, errors: str = "strict") -> None:
    """Open the standard streams as an interpreter does at its start."""
    sys.stdin = open(0, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115 - open as long as the process
    buffering = 1 if os.isatty(1) else -1
    sys.stdout = open(1, "w", buffering, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _lead() -> None:
    """Take the terminal: Ctrl-C on it reaches only the processes whose terminal it is."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def run_command(*arguments: str) -> int:
    """Run the `hubmix` command; for `Child(run_command, "chat", …)`."""
    from hubmix.cli import main

    sys.argv = ["hubmix", *arguments]
    return main()
