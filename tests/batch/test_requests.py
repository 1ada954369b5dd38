"""What a map is given, before anything is asked: pure."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import Any

import pytest

from hubmix import CallOptions, ConfigurationError, Hub, ModelCatalog
from hubmix.batch.drive import _Job
from hubmix.batch.options import MapOptions
from hubmix.batch.requests import Maker, rows_of


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"timeout": 3}, r"options=CallOptions\(timeout=…\)"),
        ({"request_timeout": 3}, r"options=CallOptions\(timeout=…\)"),
        ({"extra_body": {"top_k": 1}}, r"options=CallOptions\(extra_body=…\)"),
        ({"top_k": 1}, r"options=CallOptions\(extra_body=\{'top_k': …\}\)"),
        ({"temprature": 1}, "Did you mean 'temperature'"),
    ],
)
def test_a_parameter_of_another_place_is_told_its_place(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Maker.of(None, "gpt-4o-mini", None, parameters)


async def numbers() -> AsyncGenerator[str, None]:
    yield "1"


def test_asynchronous_rows_need_the_asynchronous_map() -> None:
    with pytest.raises(ConfigurationError, match=r"await hub\.amap"):
        rows_of(numbers())
    with pytest.raises(ConfigurationError, match=r"await hub\.amap"):
        Hub(api_key="sk-test").map(numbers(), model="gpt-4o-mini")  # type: ignore[arg-type]  # the mistake


def test_fallbacks_are_read_as_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelCatalog, "warm", lambda self, wait=0: None)  # nothing is asked here
    options = CallOptions(fallbacks=("a",))
    for given, read in ((None, ("a",)), ((), ("a",)), (["b", "c"], ("b", "c")), ("auto", "auto")):
        chosen = MapOptions("m", given, None, 1, "value", None, None, True, options, {})
        with ExitStack() as stack:
            job = _Job.of(Hub(api_key="sk-test"), None, chosen, 1, stack)
        assert job.options.fallbacks == read
