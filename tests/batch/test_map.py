"""hub.map and hub.amap: order, bounds, errors as values, resuming, progress."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hubmix import (
    AllModelsFailedError,
    CallOptions,
    ConfigurationError,
    FailoverPolicy,
    Hub,
    HubmixError,
    ModelNotFoundError,
    RateLimitedError,
)
from hubmix.batch import Progress, Row, Rows
from hubmix.batch.progress import Reporter
from hubmix.batch.requests import Maker
from hubmix.batch.resume import cost_from_dict, error_from_dict, error_to_dict
from hubmix.embedded import EmbeddedHub
from hubmix.errors import Scope, ServerError
from hubmix.wire.values import Cost
from tests.support.processes import Child

ECHO = "embedded/echo"
ONCE = CallOptions(policy=FailoverPolicy(max_retries=0))


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedHub]:
    with EmbeddedHub(dialect="aihubmix") as running:
        yield running


@pytest.fixture
def hub(server: EmbeddedHub) -> Iterator[Hub]:
    with Hub("aihubmix", base_url=server.base_url, api_key=server.api_key) as made:
        made.models.refresh()
        server.clear()
        yield made
        for thread in threading.enumerate():
            # A map that was given up waits for nobody; what its last calls still send is not the next test's.
            if thread.name.startswith("hubmix-worker-"):
                thread.join(5)


def sent(server: EmbeddedHub) -> list[dict[str, Any]]:
    """The bodies of the chats that were asked for, without the catalog's requests."""
    return [request.json for request in server.requests if request.path.endswith("/chat/completions")]


Mapper = Callable[..., Rows]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, hub: Hub) -> Mapper:
    """`hub.map` and, in a loop of its own, `hub.amap`."""
    if request.param == "sync":
        return hub.map
    return lambda *args, **kwargs: asyncio.run(hub.amap(*args, **kwargs))


# ---- answers


def test_answers_come_in_the_order_of_the_rows(run: Mapper, server: EmbeddedHub) -> None:
    rows = run([f"row {n}" for n in range(20)], "say {}", model=ECHO, concurrency=5)
    assert rows.texts == [f"say row {n}" for n in range(20)]
    assert [row.index for row in rows] == list(range(20))
    assert all(row.ok and row.error is None and not row.resumed and row.model == ECHO for row in rows)
    assert len(sent(server)) == 20


def test_a_slow_row_keeps_its_place(run: Mapper, server: EmbeddedHub) -> None:
    server.fault(ECHO, "slow:0.05")
    rows = run(["a", "b", "c", "d"], model=ECHO, concurrency=4)
    assert rows.texts == ["a", "b", "c", "d"]


def test_no_rows_ask_nothing(run: Mapper, server: EmbeddedHub) -> None:
    rows = run([], "say {}", model=ECHO)
    assert len(rows) == 0
    assert rows.cost == 0
    assert sent(server) == []


@pytest.mark.parametrize(
    ("prompt", "rows", "texts"),
    [
        ("{}!", ["a", 2], ["a!", "2!"]),
        ("{name} is {age:>3}", [{"name": "Ann", "age": 7}], ["Ann is   7"]),
        ("{{}} {}", ["a"], ["{} a"]),
        (lambda row: row.upper(), ["a"], ["A"]),
        (lambda row: [{"role": "system", "content": "s"}, {"role": "user", "content": row}], ["a"], ["a"]),
        (lambda row: {"messages": [{"role": "user", "content": row}], "max_tokens": 5}, ["a"], ["a"]),
        (None, ["a", [{"role": "user", "content": "b"}]], ["a", "b"]),
    ],
)
def test_every_form_of_a_prompt(hub: Hub, prompt: Any, rows: list[Any], texts: list[str]) -> None:
    assert hub.map(rows, prompt, model=ECHO).texts == texts


def test_parameters_system_and_a_rows_own_model_are_sent(hub: Hub, server: EmbeddedHub) -> None:
    hub.map(["a"], model=ECHO, system="Be brief.", temperature=0.5, max_completion_tokens=9)
    hub.map([{"model": "embedded/extract", "messages": [{"role": "user", "content": "a"}]}], model=ECHO)
    first, second = sent(server)
    assert first["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}]
    assert (first["temperature"], first["max_completion_tokens"]) == (0.5, 9)
    assert second["model"] == "embedded/extract"


def test_data_frames_give_a_dict_for_each_row(hub: Hub) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"city": ["Rome", "Oslo"], "year": [1, 2]})
    rows = hub.map(frame, "{city} {year}", model=ECHO)
    assert rows.texts == ["Rome 1", "Oslo 2"]
    assert rows[0].input == {"city": "Rome", "year": 1}
    table = rows.to_pandas()
    assert list(table["text"]) == ["Rome 1", "Oslo 2"]
    assert list(table["cost"]) == [0.0, 0.0]


async def test_amap_takes_async_rows_and_runs_beside_others(hub: Hub) -> None:
    async def source() -> AsyncIterator[str]:
        for text in ("a", "b"):
            await asyncio.sleep(0)
            yield text

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    assert (await hub.amap(source(), model=ECHO)).texts == ["a", "b"]
    ticking.cancel()
    assert ticks > 5


async def test_map_works_inside_a_running_loop(hub: Hub) -> None:
    assert hub.map(["a"], model=ECHO).texts == ["a"]


# ---- bounds


class Stalled:
    """Stands in for the hub: holds every call until it is let go, and counts."""

    def __init__(self) -> None:
        self.open = self.most = self.begun = 0
        self.lock = threading.Lock()
        self.gate = threading.Event()

    def enter(self) -> None:
        with self.lock:
            self.begun += 1
            self.open += 1
            self.most = max(self.most, self.open)

    def leave(self) -> None:
        with self.lock:
            self.open -= 1


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_calls_and_rows_read_ahead_are_bounded(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubmix.wire import Reply

    stalled, read = Stalled(), 0

    def chat(payload: Any, options: Any) -> Reply:
        stalled.enter()
        stalled.gate.wait(5)
        stalled.leave()
        return Reply(text=payload["messages"][0]["content"])

    def source() -> Iterator[str]:
        nonlocal read
        for n in range(500):
            read += 1
            yield str(n)

    monkeypatch.setattr(hub, "chat", chat)
    result: list[Rows] = []
    thread = threading.Thread(target=lambda: result.append(hub.map(source(), model=ECHO, concurrency=3)))
    thread.start()
    until(lambda: stalled.begun == 3)
    time.sleep(0.02)
    assert (stalled.begun, read) == (3, 12)
    stalled.gate.set()
    thread.join(5)
    assert stalled.most == 3
    assert result[0].texts == [str(n) for n in range(500)]


async def test_amap_has_the_same_bounds(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubmix.wire import Reply

    stalled, read, gate = Stalled(), 0, asyncio.Event()

    async def achat(payload: Any, options: Any) -> Reply:
        stalled.enter()
        await gate.wait()
        stalled.leave()
        return Reply(text=payload["messages"][0]["content"])

    def source() -> Iterator[str]:
        nonlocal read
        for n in range(100):
            read += 1
            yield str(n)

    monkeypatch.setattr(hub, "achat", achat)
    task = asyncio.create_task(hub.amap(source(), model=ECHO, concurrency=3))
    await asyncio.sleep(0.02)
    assert (stalled.begun, read) == (3, 12)
    gate.set()
    assert (await task).texts == [str(n) for n in range(100)]
    assert stalled.most == 3


async def test_cancelling_amap_cancels_its_calls(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def achat(payload: Any, options: Any) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(payload["messages"][0]["content"])
            raise

    monkeypatch.setattr(hub, "achat", achat)
    task = asyncio.create_task(hub.amap(["a", "b", "c"], model=ECHO, concurrency=2))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["a", "b"]
    assert not [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]


def test_a_block_of_spending_counts_the_calls(run: Mapper, hub: Hub) -> None:
    with hub.spending() as spent:
        rows = run(["one", "two"], model="embedded/extract")
    assert spent.calls == 2
    assert spent.total == rows.cost > 0
    assert rows.complete


def test_costs_are_known_if_a_call_came_before_the_catalog(server: EmbeddedHub) -> None:
    hub = Hub("aihubmix", base_url=server.base_url, api_key=server.api_key)
    rows = hub.map(["The cat sat."], model="embedded/extract")
    assert rows.complete
    assert rows.cost > 0


async def test_costs_are_known_to_amap_too(server: EmbeddedHub) -> None:
    hub = Hub("aihubmix", base_url=server.base_url, api_key=server.api_key)
    rows = await hub.amap(["The cat sat."], model="embedded/extract")
    assert rows.complete
    assert rows.cost > 0


def test_row_of_another_hub_is_not_priced_by_the_own_one(server: EmbeddedHub, hub: Hub) -> None:
    """The other hub told no price, and the own hub has one for the same ID."""
    server.fault(ECHO, "account_empty")
    with EmbeddedHub(faults={"/v1/models": "html", "/api/pricing": "html"}) as bare:
        spare = Hub(base_url=bare.base_url, api_key=bare.api_key)
        rows = hub.map(["a"], model=ECHO, fallbacks=[spare])
    assert rows.texts == ["a"]
    assert hub.models.get(ECHO).pricing is not None
    assert rows[0].reply.hub == spare.host
    assert rows[0].cost is None or rows[0].cost.total is None


def test_a_hub_without_a_catalog_answers_all_the_same() -> None:
    with EmbeddedHub(faults={"/v1/models": "html", "/api/pricing": "html"}) as bare:
        rows = Hub(base_url=bare.base_url, api_key=bare.api_key).map(["a"], model=ECHO)
    assert rows.texts == ["a"]
    assert not rows.complete


# ---- errors


def test_an_error_is_the_value_of_its_row(run: Mapper, server: EmbeddedHub) -> None:
    server.fault(ECHO, "503", times=1)
    rows = run(["a", "b"], model=ECHO, concurrency=1, options=ONCE)
    assert [row.ok for row in rows] == [False, True]
    error = rows[0].error
    assert isinstance(error, HubmixError)
    assert error.status == 503
    assert error.__traceback__ is None
    assert rows.texts == [None, "b"]
    assert [row.index for row in rows.failed] == [0]
    again = pickle.loads(pickle.dumps(rows))
    assert again.texts == rows.texts
    assert str(again[0].error) == str(error)


def test_an_error_is_raised_where_that_is_asked_for(run: Mapper, server: EmbeddedHub) -> None:
    with pytest.raises(ModelNotFoundError):
        run(["a", "b"], model="no-such-model", on_error="raise")


def test_fallbacks_answer_for_a_missing_model(run: Mapper) -> None:
    rows = run(["a"], model="no-such-model", fallbacks=[ECHO])
    assert rows[0].model == ECHO
    assert rows[0].reply is not None
    assert rows[0].reply.trace is not None
    assert rows[0].reply.trace.switched


@pytest.mark.parametrize(
    ("prompt", "row", "said"),
    [
        ("{missing}", {"name": "a"}, "KeyError"),
        (lambda row: 1 / 0, "a", "ZeroDivisionError"),
        (lambda row: 7, "a", "not int"),
        (None, {"role": "user"}, "messages"),
        (lambda row: {"messages": [{"role": "user", "content": b"a"}]}, "a", "JSON"),
        ("{}", "half a character: \ud800", "surrogates"),
        (lambda row: {"messages": [{"role": "user", "content": row}], "top_p": float("nan")}, "a", "JSON"),
    ],
)
def test_a_row_that_gives_no_request_does_not_stop_the_others(
    hub: Hub, server: EmbeddedHub, prompt: Any, row: Any, said: str
) -> None:
    rows = hub.map([row], prompt, model=ECHO)
    assert isinstance(rows[0].error, ConfigurationError)
    assert said in str(rows[0].error)
    assert "Row 0" in str(rows[0].error)
    assert sent(server) == []


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ("one text", {}),
        ({"a": 1}, {}),
        (7, {}),
        (["a"], {"concurrency": 0}),
        (["a"], {"on_error": "ignore"}),
        (["a"], {"fallbacks": "gpt-4o"}),
        (["a"], {"model": ""}),
        (["a"], {"temprature": 1}),
        (["a"], {"prompt": 7}),
    ],
)
def test_a_mistake_in_the_call_is_raised_before_anything_is_sent(
    hub: Hub, server: EmbeddedHub, rows: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        hub.map(rows, **{"model": ECHO, **options})
    assert sent(server) == []


def test_without_a_key_nothing_is_begun(server: EmbeddedHub) -> None:
    with pytest.raises(ConfigurationError, match="HUBMIX_API_KEY"):
        Hub(base_url=server.base_url).map(iter(["a"]), model=ECHO)


def test_an_exception_of_the_rows_themselves_is_the_callers(hub: Hub) -> None:
    def source() -> Iterator[str]:
        yield "a"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        hub.map(source(), model=ECHO)


# ---- the resume file


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_second_run_asks_nothing_again(run: Mapper, hub: Hub, server: EmbeddedHub, tmp_path: Path) -> None:
    file = tmp_path / "new" / "answers.jsonl"
    first = run(["α", "b", "c"], "{}?", model="embedded/think", resume=file, n=2)
    server.clear()
    second = run(["α", "b", "c"], "{}?", model="embedded/think", resume=file, n=2)
    assert sent(server) == []
    assert all(row.resumed for row in second)
    assert second.texts == first.texts
    for old, new in zip(first, second, strict=True):
        assert old.reply is not None
        assert new.reply is not None
        assert new.reply == old.reply
        assert (new.cost, new.model, new.reply.trace) == (old.cost, old.model, old.reply.trace)
        assert len(new.reply.choices) == 1


def test_only_what_changed_is_asked_again(run: Mapper, server: EmbeddedHub, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    run(["a", "b"], model=ECHO, resume=file)
    server.clear()
    rows = run(["a", "B", "c"], model=ECHO, resume=file)
    assert rows.texts == ["a", "B", "c"]
    assert [row.resumed for row in rows] == [True, False, False]
    assert len(sent(server)) == 2
    assert len(lines_of(file)) == 4


def test_a_piece_of_a_line_is_cut_off_and_its_row_asked_again(run: Mapper, server: EmbeddedHub, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    run(["a", "b"], model=ECHO, concurrency=1, resume=file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    server.clear()
    rows = run(["a", "b"], model=ECHO, resume=file)
    assert [row.resumed for row in rows] == [True, False]
    assert [line["index"] for line in lines_of(file)] == [0, 1]
    file.write_bytes(whole[:-1])  # everything but the line break
    assert [row.resumed for row in run(["a", "b"], model=ECHO, resume=file)] == [True, True]
    assert run(["a", "b", "c"], model=ECHO, resume=file).texts == ["a", "b", "c"]
    assert [line["index"] for line in lines_of(file)] == [0, 1, 2]


@pytest.mark.parametrize("content", ['{"text": "my data"}\n', "a,b\n1,2\n", "[1]\n{}\n"])
def test_a_file_of_another_kind_is_left_alone(hub: Hub, tmp_path: Path, content: str) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="not a resume file"):
        hub.map(["a"], model=ECHO, resume=file)
    assert file.read_text() == content


def test_answer_is_resumed_only_for_its_place_and_request(run: Mapper, server: EmbeddedHub, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    run(["a", "b", "c"], model=ECHO, resume=file)
    server.clear()
    rows = run(["b", "a", "c", "d"], model=ECHO, resume=file)
    assert rows.texts == ["b", "a", "c", "d"]
    assert [row.resumed for row in rows] == [False, False, True, False]
    assert len(sent(server)) == 3


@pytest.mark.parametrize("name", [".", "file/a.jsonl", "a\0b", "~no-such-user-here/a.jsonl", os.devnull])
def test_a_file_that_cannot_be_used(
    run: Mapper, server: EmbeddedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(ConfigurationError, match=r"^resume='.+' cannot be used: .+ Nothing was sent"):
        run(["a"], model=ECHO, resume=name)
    assert sent(server) == []


class FullDisk(io.BufferedRandom):
    """A file that takes two rows and then has no room left."""

    flushed = 0

    def flush(self) -> None:
        self.flushed += 1
        if self.flushed > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().flush()


def test_a_full_disk_ends_the_map_and_loses_nothing(
    run: Mapper, server: EmbeddedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "answers.jsonl"
    with monkeypatch.context() as patched:
        patched.setattr("hubmix.batch.resume._opened", lambda path: FullDisk(io.FileIO(path, "a+b")))
        with pytest.raises(HubmixError, match=r"answers.jsonl cannot be written: No space left on device") as raised:
            run(["a", "b", "c", "d"], model=ECHO, concurrency=1, resume=file)
    assert raised.value.kind == "resume"
    rows = run(["a", "b", "c", "d"], model=ECHO, resume=file)
    assert rows.texts == ["a", "b", "c", "d"]
    assert [row.resumed for row in rows][:2] == [True, True]


def test_failed_rows_are_asked_again_unless_that_is_not_wanted(
    run: Mapper, server: EmbeddedHub, tmp_path: Path
) -> None:
    file = tmp_path / "answers.jsonl"
    server.fault(ECHO, "429", times=1)
    failed = run(["a"], model=ECHO, resume=file, options=ONCE)
    assert isinstance(failed[0].error, RateLimitedError)
    kept = run(["a"], model=ECHO, resume=file, retry_errors=False)
    assert isinstance(kept[0].error, RateLimitedError)
    assert str(kept[0].error) == str(failed[0].error)
    assert kept[0].resumed
    server.accounts.clear()
    Hub(base_url=server.base_url, api_key=server.api_key).reset_health()
    assert run(["a"], model=ECHO, resume=file).texts == ["a"]
    assert [line["ok"] for line in lines_of(file)] == [False, True]


def test_the_file_holds_no_key(hub: Hub, server: EmbeddedHub, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    server.fault(ECHO, "401", times=1)
    hub.map(["a", "b"], model=ECHO, resume=file, concurrency=1, options=ONCE)
    assert server.api_key not in file.read_text()


def map_a_million(base_url: str, file: Path) -> None:
    hub = Hub(base_url=base_url, api_key="sk-embedded")
    hub.map(map(str, range(1_000_000)), model="embedded/echo", concurrency=2, resume=file)


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a signal")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_killed_run_goes_on_where_it_stopped(server: EmbeddedHub, tmp_path: Path, how: str) -> None:
    server.clear()
    file = tmp_path / "answers.jsonl"
    process = Child(map_a_million, server.base_url, file)
    deadline = time.monotonic() + 60
    while not file.exists() or file.read_bytes().count(b"\n") < 10:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(getattr(signal, how))
    _, said = process.communicate()
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in said if how == "SIGINT" else not said
    done = {line["index"] for line in map(json.loads, file.read_bytes().split(b"\n")[:-1])}
    assert 10 <= len(done) < 1_000_000
    server.clear()
    # What the killed process had sent may still arrive: this run's requests have a name.
    hub = Hub(base_url=server.base_url, api_key=server.api_key, default_headers={"X-Run": "second"})
    rows = hub.map(map(str, range(max(done) + 5)), model=ECHO, resume=file)
    assert rows.texts == [str(n) for n in range(max(done) + 5)]
    assert {row.index for row in rows if row.resumed} == done
    asked = [request for request in server.requests if request.headers.get("x-run")]
    assert len([request for request in asked if request.path.endswith("/chat/completions")]) == len(rows) - len(done)


# ---- values


def test_errors_survive_the_way_through_json() -> None:
    inner = [
        RateLimitedError("slow down", kind="rate_account", scope=Scope.ACCOUNT, status=429, retry_after=2.5),
        ServerError("broken", model="m", request_id="r"),
    ]
    group = AllModelsFailedError("Both failed.", inner, kind="all", model="m")
    again = error_from_dict(json.loads(json.dumps(error_to_dict(group))))
    assert isinstance(again, AllModelsFailedError)
    assert again.args[0] == "Both failed."
    assert [type(each) for each in again.exceptions] == [type(each) for each in inner]
    first = again.exceptions[0]
    assert isinstance(first, RateLimitedError)
    assert (first.scope, first.status, first.retry_after) == (Scope.ACCOUNT, 429, 2.5)
    assert type(error_from_dict({"type": "NoLongerThere", "message": "x"})).__name__ == "HubmixError"


def test_costs_survive_the_way_through_json() -> None:
    cost = Cost("m", total=Decimal("0.00001234"), input=Decimal("0.1"), complete=True)
    assert cost_from_dict(json.loads(json.dumps(cost.to_dict()))) == cost
    assert cost_from_dict(json.loads(json.dumps(Cost("m").to_dict()))) == Cost("m")


def test_a_request_has_the_same_key_in_every_process() -> None:
    maker = Maker.of("{}", "m", None, {"temperature": 0})
    assert maker.make(0, "a").key == maker.make(5, "a").key == "dcd1f0710452ad6022350bd323499b8f"
    assert maker.make(0, "a").key != maker.make(0, "b").key


def test_rows_look_like_something(hub: Hub) -> None:
    rows = hub.map([f"<b>{n}</b>" for n in range(25)], model=ECHO)
    assert "<b>0</b>" in repr(rows)
    assert repr(rows).endswith("... 5 more; 25 rows, USD 0")
    page = rows._repr_html_()
    assert "&lt;b&gt;0&lt;/b&gt;" in page
    assert "<b>" not in page
    assert rows[:2] == Rows([rows[0], rows[1]])


# ---- progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def row(index: int, cost: str | None = None, error: HubmixError | None = None, resumed: bool = False) -> Row:
    from hubmix.wire import Reply

    reply = Reply(text="x", cost=Cost("m", total=None if cost is None else Decimal(cost)))
    return Row(index, "x", None if error else reply, error, resumed=resumed)


def test_terminal_bar_rewrites_one_line() -> None:
    clock, screen = Clock(), Terminal()
    reporter = Reporter(4, True, clock=clock, stream=screen)
    clock.now = 2.0
    reporter.add(row(0, "0.001"))
    reporter.add(row(1))  # too soon after the first to be shown
    clock.now = 4.0
    reporter.add(row(2, error=HubmixError("x")))
    reporter.add(row(3, "0.5", resumed=True))
    reporter.close()
    shown = screen.getvalue()
    assert "2/4" not in shown
    assert shown.count("\n") == 1
    assert "\r##-        1/4 rows, 0.5 rows/s, USD 0.001, 6 s left" in shown
    assert shown.rstrip().endswith("########## 4/4 rows, 1 failed, 1 resumed, 0.8 rows/s, USD 0.001")


def test_log_gets_plain_lines_now_and_then() -> None:
    clock, log = Clock(), io.StringIO()
    reporter = Reporter(None, True, clock=clock, stream=log)
    for second in range(25):
        clock.now = float(second)
        reporter.add(row(second))
    reporter.close()
    assert log.getvalue().splitlines() == [
        "1 rows, 0.0 rows/s",
        "11 rows, 1.1 rows/s",
        "21 rows, 1.1 rows/s",
        "25 rows, 1.0 rows/s",
    ]


def test_closed_terminal_does_not_stop_the_work() -> None:
    for screen in (Terminal(), io.StringIO()):
        reporter = Reporter(1, True, stream=screen)
        screen.close()
        reporter.add(row(0))
        reporter.close()


def test_notebook_has_one_line_that_rewrites_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shell:
        kernel = object()

    pytest.importorskip("IPython")
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", Shell)
    output = io.StringIO()  # a kernel's stream is no terminal
    reporter = Reporter(2, True, stream=output)
    reporter.add(row(0))
    reporter.add(row(1))
    reporter.close()
    shown = output.getvalue()
    assert shown.count("\n") == 1
    assert "########## 2/2 rows" in shown


def test_notebook_shows_no_error_block(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Shell:
        kernel = object()

    pytest.importorskip("IPython")
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", Shell)
    reporter = Reporter(1, True)
    reporter.add(row(0))
    reporter.close()
    shown = capsys.readouterr()
    assert "1/1 rows" in shown.out
    assert shown.err == ""


def test_a_function_hears_of_every_row(run: Mapper) -> None:
    heard: list[tuple[int, int | None]] = []

    def listen(progress: Progress) -> None:
        heard.append((progress.done, progress.total))

    run(["a", "b", "c"], model=ECHO, progress=listen)
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_nothing_is_shown_unless_it_is_asked_for(run: Mapper, capsys: pytest.CaptureFixture[str]) -> None:
    run(["a"], model=ECHO)
    assert capsys.readouterr() == ("", "")
    run(["a"], model=ECHO, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "1/1 rows" in err
