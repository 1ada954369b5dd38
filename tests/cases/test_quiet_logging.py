"""Kind: a library says nothing on stderr unless logging is set up."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from tests.support.answers import completion, error
from tests.support.processes import Child


def ask_quietly_then_loudly(framework: str, base_url: str) -> None:
    from langchain_hubmix import ChatHubmix
    from llamaindex_hubmix import Hubmix

    def ask(model: str) -> None:
        given: dict[str, Any] = {"model": model, "fallbacks": ["m"], "base_url": base_url, "api_key": "sk-test"}
        if framework == "langchain":
            print(ChatHubmix(**given).invoke("hi").text)
        else:
            print(Hubmix(**given).complete("hi").text)

    ask("nope")
    print("loud", file=sys.stderr)
    logging.basicConfig(level="INFO")
    ask("none")


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_failover_prints_nothing_unless_logging_is_set_up(framework: str, serve) -> None:  # type: ignore[no-untyped-def]
    refused = error(503, "No available channel for model nope", type="new_api_error", code="model_not_found")
    hub = serve(lambda request: refused if request.model != "m" else completion("hello"))
    child = Child(ask_quietly_then_loudly, framework, hub.base_url)
    out, err = (text.decode() for text in child.communicate())
    assert child.wait() == 0, err
    assert out.split() == ["hello", "hello"]
    quiet, loud = err.split("loud\n")
    assert quiet == ""
    assert "'none'" in loud
