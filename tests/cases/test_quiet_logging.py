"""Kind: a library says nothing on stderr unless logging is set up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.answers import completion, error

PROGRAM = """
import logging, sys
from {package} import {name}

def ask(model):
    print({name}(model=model, fallbacks=["m"], base_url={url!r}, api_key="sk-test").{verb}("hi").{text})

ask("nope")
print("loud", file=sys.stderr)
logging.basicConfig(level="INFO")
ask("none")
"""


@pytest.mark.parametrize(
    ("package", "name", "verb", "text"),
    [("langchain_hubmix", "ChatHubmix", "invoke", "text"), ("llamaindex_hubmix", "Hubmix", "complete", "text")],
)
def test_failover_prints_nothing_unless_logging_is_set_up(package: str, name: str, verb: str, text: str, serve) -> None:  # type: ignore[no-untyped-def]
    refused = error(503, "No available channel for model nope", type="new_api_error", code="model_not_found")
    hub = serve(lambda request: refused if request.model != "m" else completion("hello"))
    program = PROGRAM.format(package=package, name=name, verb=verb, text=text, url=hub.base_url)
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["hello", "hello"]
    quiet, loud = ran.stderr.split("loud\n")
    assert quiet == ""
    assert "'none'" in loud
