"""The thread that wakes silent sync streams."""

from __future__ import annotations

import threading
import time

import pytest

from hubmix.transport.deadlines import Watch, Watchdog

FAR = 600.0


def watched(dog: Watchdog, seconds: float) -> tuple[Watch, threading.Event]:
    woken = threading.Event()
    watch = Watch(woken.set, time.monotonic() + seconds)
    dog.add(watch)
    return watch, woken


def asleep(dog: Watchdog, watch: Watch) -> None:
    """Wait until the thread sleeps towards the deadline of `watch`."""
    end = time.monotonic() + 5
    while dog.wakes_at != watch.deadline and time.monotonic() < end:
        time.sleep(0.001)
    assert dog.wakes_at == watch.deadline


def test_a_silent_stream_is_woken_and_told_why() -> None:
    dog = Watchdog()
    watch, woken = watched(dog, 0.01)
    assert woken.wait(5)
    assert watch.expired
    dog.remove(watch)


def test_a_deadline_that_comes_nearer_is_kept() -> None:
    dog = Watchdog()
    watch, woken = watched(dog, FAR)
    asleep(dog, watch)
    watch.deadline = time.monotonic() + 0.01
    assert woken.wait(5)
    dog.remove(watch)


def test_a_deadline_that_moves_away_lets_the_stream_live() -> None:
    dog = Watchdog()
    watch, woken = watched(dog, 0.02)
    watch.deadline = time.monotonic() + FAR
    assert not woken.wait(0.05)
    dog.remove(watch)


def test_of_two_streams_only_the_silent_one_is_woken() -> None:
    dog = Watchdog()
    calm, calm_woken = watched(dog, FAR)
    asleep(dog, calm)
    silent, silent_woken = watched(dog, 0.01)
    assert silent_woken.wait(5)
    assert not calm_woken.is_set()
    dog.remove(silent)
    dog.remove(calm)


def test_the_thread_ends_and_comes_back_with_the_streams() -> None:
    dog = Watchdog()
    for _ in range(2):
        watch, _ = watched(dog, FAR)
        asleep(dog, watch)
        dog.remove(watch)
        assert dog._thread is None


def test_the_last_stream_does_not_wait_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    dog = Watchdog()
    first, _ = watched(dog, FAR)
    asleep(dog, first)
    second = Watch(lambda: None, time.monotonic() + FAR)
    notify = dog._condition.notify_all

    def another_comes_first() -> None:
        dog._watches.add(second)
        notify()

    monkeypatch.setattr(dog._condition, "notify_all", another_comes_first)
    started = time.monotonic()
    dog.remove(first)
    assert time.monotonic() - started < 0.9
    monkeypatch.undo()
    dog.remove(second)
