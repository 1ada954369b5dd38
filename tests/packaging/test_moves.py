"""How many rooms of the code one call enters, and how often it moves between them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import hubmix
import langchain_hubmix
from hubmix.embedded import EmbeddedHub
from langchain_hubmix import ChatHubmix

CORE = Path(hubmix.__file__).parent
PLUGIN = Path(langchain_hubmix.__file__).parent
MOST_ROOMS = 6  # of hubmix, next to the plugin itself
MOST_MOVES = 60  # there and back count as two


def room_of(file: str) -> str | None:
    """Return the folder of hubmix or the plugin of a file; None for other code."""
    path = Path(file)
    if path.is_relative_to(PLUGIN):
        return PLUGIN.name
    parts = path.relative_to(CORE).parts if path.is_relative_to(CORE) else ()
    return parts[0] if len(parts) > 1 and parts[0] != "embedded" else None


class Moves:
    """A profiler that notes the rooms in the order in which a call enters them."""

    def __init__(self) -> None:
        self.rooms: list[str] = []
        self.files: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        found: FrameType | None = frame
        if event == "return":  # back to the nearest caller of ours
            found = frame.f_back if room_of(frame.f_code.co_filename) else None
            while found is not None and room_of(found.f_code.co_filename) is None:
                found = found.f_back
        if event in ("call", "return") and found is not None and (room := room_of(found.f_code.co_filename)):
            self.rooms.append(room)
            self.files.append(found.f_code.co_filename)


def moves(visited: list[str]) -> int:
    return sum(one != other for one, other in pairwise(visited))


def profiled(run: Callable[[], Any]) -> Moves:
    noted = Moves()
    before = sys.getprofile()
    sys.setprofile(noted)
    try:
        run()
    finally:
        sys.setprofile(before)
    return noted


def test_one_call_passes_through_few_rooms(capsys: pytest.CaptureFixture[str]) -> None:
    with EmbeddedHub() as server:
        llm = ChatHubmix(model="embedded/echo", base_url=server.base_url, api_key=server.api_key)
        for _ in range(2):  # what is made once is no part of a call
            llm.invoke("hello")
        noted = profiled(lambda: llm.invoke("hello"))
    rooms = sorted(set(noted.rooms) - {PLUGIN.name})
    with capsys.disabled():
        print(
            f"\none invoke: {len(rooms)} rooms ({', '.join(rooms)}), {moves(noted.rooms)} moves between them; ", end=""
        )
        print(f"{len(set(noted.files))} files, {moves(noted.files)} moves between these")
    assert len(rooms) <= MOST_ROOMS
    assert moves(noted.rooms) <= MOST_MOVES
