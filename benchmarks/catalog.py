"""A catalog of 1,000 models: reading it, and looking one up."""

from __future__ import annotations

import json
from functools import partial

from benchmarks.measure import Effort, in_turns
from benchmarks.results import Figure, Section
from hubmix.catalog import Fetched, ModelCatalog
from tests.support.catalog_fakes import FakeFetch, thousand

MODELS = 1_000


def measure(effort: Effort) -> Section:
    """Measure reading 1,000 models and looking one up: by ID, other spelling, unknown."""
    listed = json.dumps(thousand()).encode()
    canned = FakeFetch({"//api/v1/models": Fetched(200, {}, listed)})
    new = partial(ModelCatalog, canned, base_url="https://hub.example/v1", sources=("aihubmix",), cache_dir=None)
    known = new()
    known.refresh()
    if len(known.list(kind=None)) != MODELS:
        raise RuntimeError(f"the catalog read {len(known.list(kind=None))} models of {MODELS}")
    exact, other = "vendor-4/Model-500.3", "model-500-3"
    if known.cached.find(exact) is None or known.cached.find(other) is None:
        raise RuntimeError("the catalog does not find what it lists")
    parse = in_turns({"parse": lambda: new().refresh(), "json": lambda: json.loads(listed)}, effort)
    names = {"by its id": exact, "by another spelling": other, "that is unknown": "nothing-like-it"}
    looks = in_turns({how: partial(_many, known, name) for how, name in names.items()}, effort)
    return Section(
        [
            Figure(
                f"read a catalog of {MODELS:,} models",
                parse.ms("parse"),
                "ms",
                "",
                30.0,
                f"json.loads of the same text, in turns with it: {parse.ms('json'):.2f} ms",
            ),
            *(Figure(f"look a model up {how}", looks.ms(how), "µs", "", 20.0) for how in names),
        ],
        {},
    )


def _many(catalog: ModelCatalog, name: str) -> None:
    """A thousand look-ups, so that the milliseconds measured are microseconds for one."""
    for _ in range(1000):
        catalog.cached.find(name)
