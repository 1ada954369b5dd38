"""What every test shares: no network, no key of the developer's, and cassettes."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import socket
import ssl
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from hubmix.failover import breakers as health
from hubmix.failover.plan import SystemClock
from tests.support import network
from tests.support.scripted_hub import Script, ScriptedHub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.answers import Answer

pytest_plugins = ["tests.cassettes.plugin"]

_load_verify_locations = ssl.SSLContext.load_verify_locations
_BUNDLES = {os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().openssl_cafile, certifi.where()}


def _without_bundles(context: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
    """Skip the machine's certificates, which cost 25 ms a client."""
    if cafile not in _BUNDLES:
        _load_verify_locations(context, cafile, capath, cadata)


# A developer's own settings decide nothing here; `tests/live` takes its key before this runs.
_SETTINGS = ("HUBMIX_", "AIHUBMIX_", "AIHUBAPI_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_configure() -> None:
    gc.disable()  # a collection makes only what stays
    network.install()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # What a shell started in the background ignores Ctrl-C, and so would every process that a test starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave the tests out of later searches for garbage: a million objects."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Remove the developer's key, base URL, proxy, tracing and model list on disk.

    For the whole session: what a module's tests share is made before anything that belongs to one test.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_SETTINGS) or name.lower() in _PROXIES:
                patch.delenv(name)
        patch.setenv("HUBMIX_CACHE_DIR", "")
        # LlamaIndex counts with the encoding that it brings along, and downloads one into any other folder.
        patch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
        # A test says which requests it means to make; those about the refresh during a call turn it on.
        patch.setenv("HUBMIX_CATALOG_REFRESH", "0")
        patch.setattr(ssl.SSLContext, "load_verify_locations", _without_bundles)
        # A retry waits for nothing; tests about the waits bring a clock of their own.
        patch.setattr(SystemClock, "sleep", lambda clock, seconds: None)
        patch.setattr(SystemClock, "async_sleep", lambda clock, seconds: asyncio.sleep(0))
        yield


def pytest_runtest_setup() -> None:
    """Forget what earlier tests found out about a hub's health."""
    health.REGISTRY.reset()
    network.take_stopped()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Fail a test that tried to reach another host, even if it swallowed the error."""
    if stopped := network.take_stopped():
        pytest.fail(f"reached for the network: {', '.join(stopped)}")


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedHub]]:
    """Start a hub of written answers: `serve(script)` or `serve(script, pages=…)`."""
    with ExitStack() as stack:

        def start(script: Script, pages: Mapping[str, Answer] | None = None) -> ScriptedHub:
            return stack.enter_context(ScriptedHub(script, pages))

        yield start


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("redis")
    pytest.importorskip("pyrate_limiter")
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed here (apt-get install redis-server)")
    where = tmp_path_factory.mktemp("redis")
    options = ["--bind", "127.0.0.1", "--save", "", "--dir", str(where)]
    for _ in range(5):  # another process may take the port first
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = subprocess.Popen([binary, "--port", str(port), *options], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        if any("Ready to accept connections" in line for line in iter(server.stdout.readline, "")):
            break
        server.wait(10)
    else:
        pytest.fail("redis-server did not start")
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)
