"""A catalog of 1,000 models: reading it, and looking one up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.measure import Effort, in_turns
from benchmarks.results import Figure, Section
from hubmix.catalog import Fetched, ModelCatalog

MODELS = 1_000


class _Canned:
    """A hub whose lists are at hand."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self._answers = answers

    def get(self, url_or_path: str, **_: Any) -> Fetched:
        body = self._answers.get(url_or_path)
        return Fetched(200, {}, body) if body is not None else Fetched(404, {}, b"")

    async def aget(self, url_or_path: str, **_: Any) -> Fetched:
        return self.get(url_or_path)


def _aihubmix() -> bytes:
    """A list in AIHubMix's form, as large as a real one."""
    features = ("thinking,tools,function_calling,structured_outputs", "tools,function_calling", "", "web,thinking")
    models = [
        {
            "model_id": f"vendor-{number % 31}/Model-{number}.{number % 7}",
            "model_name": f"Model {number}",
            "developer_name": f"Vendor {number % 31}",
            "desc": f"Model number {number}. " + "A general model for text and more. " * 8,
            "pricing": {"cache_read": number / 800, "input": number / 80, "output": number / 20},
            "types": "embedding" if number % 10 == 9 else "llm",
            "features": features[number % 4],
            "input_modalities": ("text,image", "text", "text,image,audio,pdf")[number % 3],
            "max_output": 1_000 * (number % 64),
            "context_length": 8_192 * (number % 32),
            "endpoints": "chat_completions,responses,claude_api",
        }
        for number in range(MODELS)
    ]
    return json.dumps({"data": models, "message": "", "success": True}).encode()


def measure(effort: Effort) -> Section:
    """Measure reading 1,000 models and looking one up: by ID, other spelling, unknown."""
    listed = _aihubmix()
    canned = _Canned({"//api/v1/models": listed})
    new = partial(ModelCatalog, canned, base_url="https://hub.example/v1", sources=("aihubmix",), cache_dir=None)
    known = new()
    known.refresh()
    if len(known.list(kind=None)) != MODELS:
        raise RuntimeError(f"the catalog read {len(known.list(kind=None))} models of {MODELS}")
    exact, other = "vendor-4/Model-500.3", "model-500-3"
    if known.cached.find(exact) is None or known.cached.find(other) is None:
        raise RuntimeError("the catalog does not find what it lists")
    parse = in_turns({"parse": lambda: new().refresh(), "json": lambda: json.loads(listed)}, effort)
    names = {"by its id": exact, "by another spelling": other, "unknown": "nothing-like-it"}
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
