"""The copy on disk: whole or not at all, for many processes at once."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from hubmix.catalog import ModelCatalog, store
from hubmix.catalog.snapshot import document_of
from hubmix.catalog.sources import SOURCES
from hubmix.errors import CatalogError, HubConnectionError
from tests.catalog.test_catalog import AIHUBMIX, BASE, MODELS, Later, catalog
from tests.support.catalog_fakes import FakeClock, FakeFetch, ids_answer, ok, sample, thousand
from tests.support.processes import warm


def offline(cache: Path, **settings: Any) -> ModelCatalog:
    return catalog(FakeFetch({MODELS: HubConnectionError("no network")}), cache_dir=cache, **settings)


def online(cache: Path, *ids: str, **settings: Any) -> ModelCatalog:
    return catalog(FakeFetch({MODELS: ids_answer(*ids)}), cache_dir=cache, **settings)


def only_file(cache: Path) -> Path:
    (found,) = cache.iterdir()
    return found


def test_program_restarts_offline_and_tells_the_age_of_its_list(tmp_path: Path) -> None:
    clock, later = FakeClock(), Later()
    online(tmp_path, "gpt-4o", clock=clock, wall_clock=clock).list()
    clock.pass_(2 * 86_400)
    models = offline(tmp_path, clock=FakeClock(5.0), wall_clock=clock, background=later)
    assert models.cached.find("gpt-4o") is not None
    listed = models.list()
    assert (listed.ids, listed.as_of) == (["gpt-4o"], "2 days ago")
    assert models.info().age == 2 * 86_400
    later.run()
    assert "no network" in str(models.info().last_error)
    assert models.list().ids == ["gpt-4o"]


async def test_an_explicit_refresh_offline_keeps_the_copy(tmp_path: Path) -> None:
    online(tmp_path, "gpt-4o").list()
    assert offline(tmp_path).refresh().count == 1
    info = await offline(tmp_path).arefresh()
    assert (info.count, "no network" in str(info.last_error)) == (1, True)


def test_a_fresh_copy_spares_the_request(tmp_path: Path) -> None:
    clock = FakeClock()
    online(tmp_path, "gpt-4o", clock=clock, wall_clock=clock).list()
    clock.pass_(299)
    fetch = FakeFetch({MODELS: ids_answer("gpt-5")})
    models = catalog(fetch, cache_dir=tmp_path, clock=clock, wall_clock=clock)
    assert models.list().ids == ["gpt-4o"]
    assert fetch.asked == []


def test_the_etag_survives_the_restart(tmp_path: Path) -> None:
    fetch = FakeFetch({AIHUBMIX: ok(thousand(), etag='"1"')})
    catalog(fetch, cache_dir=tmp_path, sources=("aihubmix",)).list()
    again = catalog(fetch, cache_dir=tmp_path, sources=("aihubmix",))
    again.refresh()
    assert fetch.headers == [{}, {"If-None-Match": '"1"'}]


def test_file_name_tells_hubs_and_keys_apart(tmp_path: Path) -> None:
    paths = {
        store.cache_file(tmp_path, base, key)
        for base in (BASE, "https://hub.example/v1")
        for key in ("hash-1", "hash-2")
    }
    assert len(paths) == 4
    assert store.cache_file(tmp_path, BASE + "/", "k") == store.cache_file(tmp_path, BASE, "k")
    assert not any("hash" in path.name or "example" in path.name for path in paths)


def test_another_keys_list_is_not_shown(tmp_path: Path) -> None:
    online(tmp_path, "gpt-4o", key_id="one").list()
    assert offline(tmp_path, key_id="two").cached.find("gpt-4o") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"version": 1}',
        b'{"version": 99, "base_url": "http://127.0.0.1:3000/v1", "documents": []}',
        b'{"version": 1, "base_url": "http://somebody.else/v1", "documents": []}',
        b'{"version": 1, "base_url": "http://127.0.0.1:3000/v1", "documents": [{"source": "openai"}]}',
        b'{"version": 1, "base_url": "http://127.0.0.1:3000/v1", "documents": [{"source": "openai", "etag": 3, '
        b'"fetched_at": "x", "payload": {"data": [{"id": "a"}]}}]}',
        b'{"version": 1, "base_url": "http://127.0.0.1:3000/v1", "documents": [{"source": "openai", "etag": null, '
        b'"fetched_at": 1, "payload": {"data": []}}]}',
    ],
)
def test_a_damaged_copy_is_noted_and_not_used(tmp_path: Path, content: bytes) -> None:
    online(tmp_path, "gpt-4o").list()
    path = only_file(tmp_path)
    path.write_bytes(content)
    models = offline(tmp_path)
    assert models.cached.find("gpt-4o") is None
    assert str(path) in str(models.info().last_error)
    with pytest.raises(CatalogError):
        models.list()
    repaired = online(tmp_path, "gpt-5")
    assert repaired.list().ids == ["gpt-5"]
    assert repaired.info().last_error is None
    assert offline(tmp_path).cached.find("gpt-5") is not None


def test_a_copy_from_the_future_is_old(tmp_path: Path) -> None:
    clock = FakeClock()
    online(tmp_path, "gpt-4o", clock=clock, wall_clock=clock).list()
    clock.now -= 86_400
    models = offline(tmp_path, clock=FakeClock(), wall_clock=clock)
    assert models.cached.find("gpt-4o") is not None
    assert models.info().stale


def test_a_directory_that_cannot_be_written_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # A file where the directory should be: refused for root too.
    blocked = tmp_path / "file"
    blocked.write_text("")
    models = online(blocked / "cache", "gpt-4o")
    assert models.list().ids == ["gpt-4o"]
    assert "could not be kept on disk" in str(models.info().last_error)
    models.refresh()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "HUBMIX_CACHE_DIR" in caplog.text


def test_a_copy_that_cannot_be_read_breaks_nothing(tmp_path: Path) -> None:
    online(tmp_path, "gpt-4o").list()
    path = only_file(tmp_path)
    path.unlink()
    path.mkdir()
    models = offline(tmp_path)
    assert models.cached.find("gpt-4o") is None
    assert "could not be read" in str(models.info().last_error)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = online(tmp_path, "gpt-4o")
    models.list()
    before = only_file(tmp_path).read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    models.refresh()
    assert only_file(tmp_path).read_bytes() == before
    assert "No space left" in str(models.info().last_error)


def test_the_place_is_chosen_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_CACHE_DIR", str(tmp_path / "chosen"))
    online("default", "gpt-4o").list()  # type: ignore[arg-type]  # the word that stands for the default place
    assert only_file(tmp_path / "chosen").suffix == ".json"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("HUBMIX_CACHE_DIR", "~/models")
    assert store.default_cache_dir() == tmp_path / "models"
    monkeypatch.setenv("HUBMIX_CACHE_DIR", "")
    assert store.default_cache_dir() is None
    monkeypatch.delenv("HUBMIX_CACHE_DIR")
    assert store.default_cache_dir().name == "hubmix"  # type: ignore[union-attr]  # not None where nothing says so


def test_no_copy_where_none_is_wanted() -> None:
    models = catalog(FakeFetch({MODELS: ids_answer("gpt-4o")}), cache_dir=None)
    models.list()
    assert models.info().cache_file is None


def test_odd_text_survives_the_disk(tmp_path: Path) -> None:
    answer = sample("aihubmix_ugly.json")
    lone = answer.body.replace(b"A|B\\nC", b"half \\ud83d of an emoji")
    models = catalog(FakeFetch({AIHUBMIX: type(answer)(200, {}, lone)}), cache_dir=tmp_path, sources=("aihubmix",))
    shown = models.list()
    again = catalog(FakeFetch(), cache_dir=tmp_path, sources=("aihubmix",))
    assert again.list().ids == shown.ids
    assert again.cached.find("说中文的模型").owner == "月之暗面"


def write_and_read(path: Path, number: int, together: Barrier) -> tuple[int, int]:
    """Save a document five times; return how many files read back whole, and torn."""
    payload = thousand()
    for item in payload["data"]:
        item["desc"] = f"written by {number}" + "." * (50 * number)
    document = document_of(SOURCES["aihubmix"], payload, None, 1.0)
    together.wait()
    whole = 0
    for _ in range(5):
        store.save(path, "http://hub/v1", {"aihubmix": document})
        documents, note = store.load(path, "http://hub/v1", 2.0)
        entries = documents["aihubmix"].entries if documents else {}
        authors = {entry["description"].rstrip(".") for entry in entries.values()}
        whole += note is None and len(authors) == 1 and len(entries) == 1000
    return whole, 5 - whole


def test_ten_processes_at_once_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "catalog.json"
    with warm().Manager() as manager, warm().Pool(10) as pool:
        together = manager.Barrier(10)
        results = pool.starmap(write_and_read, [(path, number, together) for number in range(10)], chunksize=1)
    assert results == [(5, 0)] * 10
    assert [found.name for found in path.parent.iterdir()] == ["catalog.json"]
