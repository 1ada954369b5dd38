"""The recipes import without Ray and Spark, and handle a batch."""

from __future__ import annotations

import importlib.util
import math
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hubmix.embedded import EmbeddedHub

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "recipes"
MODEL = "embedded/echo"


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedHub]:
    with EmbeddedHub() as running:
        monkeypatch.setenv("HUBMIX_BASE_URL", running.base_url)
        monkeypatch.setenv("HUBMIX_API_KEY", running.api_key)
        yield running


def recipe(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, imported as if neither Ray nor Spark were installed."""
    for missing in ("ray", "pyspark"):
        monkeypatch.setitem(sys.modules, missing, None)
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_every_recipe_is_tried_here() -> None:
    assert {path.stem for path in RECIPES.glob("*.py")} == {"ray_data", "spark"}


def test_a_batch_of_ray_data(monkeypatch: pytest.MonkeyPatch, server: EmbeddedHub) -> None:
    ray_data = recipe("ray_data", monkeypatch)
    asker = pickle.loads(pickle.dumps(ray_data.Asker(model="no-such-model", fallbacks=[MODEL])))
    batch = asker({"id": [7, 8], "question": ["one", "two"]})
    assert (batch["id"], batch["answer"], batch["model"]) == ([7, 8], ["one", "two"], [MODEL, MODEL])
    assert batch["error"] == ["", ""]
    server.fault(MODEL, "400", times=None)
    failed = ray_data.Asker(model=MODEL, fallbacks=[])({"question": ["one"]})
    assert failed["answer"] == [""]
    assert math.isnan(failed["cost"][0])
    assert "400" in failed["error"][0]


def test_the_batches_of_a_spark_partition(monkeypatch: pytest.MonkeyPatch, server: EmbeddedHub) -> None:
    pandas = pytest.importorskip("pandas")
    spark = recipe("spark", monkeypatch)
    frames = [
        pandas.DataFrame({"id": [1, 2], "question": ["one", "two"]}),
        pandas.DataFrame({"id": [], "question": []}),
    ]
    first, empty = spark.ask(iter(frames), model="no-such-model", fallbacks=(MODEL,))
    assert list(first["answer"]) == ["one", "two"]
    assert list(first["error"]) == [None, None]
    expected = ["id", "question", *(part.split()[0] for part in spark.ADDED.split(", "))]
    assert list(first.columns) == list(empty.columns) == expected
    server.fault(MODEL, "400", times=None)
    (failed,) = spark.ask(iter(frames[:1]), model=MODEL, fallbacks=())
    assert list(failed["answer"]) == [None, None]
    assert "400" in failed["error"][0]
