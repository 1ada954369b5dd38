"""What refusals taught about a hub's APIs, kept for a day."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubmix.catalog.refused_apis import RefusedApis

URL = "https://hub.example/v1"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def memory(directory: Path | None, clock: Clock, url: str = URL) -> RefusedApis:
    return RefusedApis(directory, url, "k", clock=clock)


def test_refusal_is_known_to_the_next_process(tmp_path: Path) -> None:
    clock = Clock()
    memory(tmp_path, clock).remember("chat", "o3-pro")
    later = memory(tmp_path, clock)
    assert (later.of("o3-pro"), later.of("gpt-4o")) == ({"chat"}, frozenset())
    assert memory(tmp_path, clock, "https://other.example/v1").of("o3-pro") == frozenset()


def test_refusal_of_the_hub_counts_for_every_model(tmp_path: Path) -> None:
    one = memory(tmp_path, Clock())
    one.remember("responses", None)
    one.remember("chat", "a")
    assert (one.of("a"), one.of("b")) == ({"chat", "responses"}, {"responses"})


def test_refusal_is_forgotten_after_a_day(tmp_path: Path) -> None:
    clock = Clock()
    one = memory(tmp_path, clock)
    one.remember("chat", "a")
    clock.now += 86_399
    assert one.of("a") == {"chat"}
    clock.now += 2
    assert one.of("a") == frozenset()


def test_refusal_of_a_wrong_clock_is_not_believed(tmp_path: Path) -> None:
    clock = Clock()
    memory(tmp_path, clock).remember("chat", "a")
    clock.now -= 3_600
    assert memory(tmp_path, clock).of("a") == frozenset()


def test_memory_without_a_directory_stays_in_the_process() -> None:
    one = memory(None, Clock())
    one.remember("chat", "a")
    assert one.of("a") == {"chat"}


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version":2,"refused":{}}', '{"version":1,"refused":{"a":{"chat":"x"}}}']
)
def test_damaged_file_is_no_file(tmp_path: Path, content: str) -> None:
    clock = Clock()
    memory(tmp_path, clock).remember("chat", "a")
    (file,) = tmp_path.glob("apis-*.json")
    file.write_text(content, "utf-8")
    one = memory(tmp_path, clock)
    assert one.of("a") == frozenset()
    one.remember("chat", "b")
    assert memory(tmp_path, clock).of("b") == {"chat"}


def test_directory_that_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", "utf-8")
    one = memory(blocked / "below", Clock())
    one.remember("chat", "a")
    assert one.of("a") == {"chat"}


def test_memory_is_bounded() -> None:
    one = memory(None, Clock())
    for number in range(1_100):
        one.remember("chat", str(number))
    assert (one.of("0"), one.of("1099")) == (frozenset(), {"chat"})
