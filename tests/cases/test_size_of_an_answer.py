"""An answer that would fill the memory ends in an error. Case 503."""

from __future__ import annotations

import zlib
from functools import lru_cache

import pytest

from hubmix import HubmixError
from hubmix.transport import exchange_async, exchange_sync, stream
from tests.cases.ways import WAYS, Way
from tests.support.answers import EVENTS, JSON, Answer
from tests.support.scripted_hub import ScriptedHub


@lru_cache(maxsize=2)
def bomb(megabytes: int) -> bytes:
    """So many megabytes of blanks, packed to a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(megabytes)) + packer.flush()


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("kind", [JSON, EVENTS])
def test_a_packed_answer_is_read_no_further_than_the_bound(
    way: Way, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (stream, exchange_sync, exchange_async):
        monkeypatch.setattr(module, "LARGEST", 2_000_000)
    answer = Answer(bomb(8), content_type=kind, headers={"Content-Encoding": "gzip"})
    with ScriptedHub(answer) as hub, pytest.raises(HubmixError, match="larger than 2 MB"):
        way.ask(hub)
