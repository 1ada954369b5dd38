"""What the catalog's tests share: canned answers, a clock, a list of 1,000 models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from hubmix.catalog import Fetched

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "data" / "catalog"
RECORDINGS = ROOT / "cassettes" / "gateway"

Answer = Fetched | Exception | Callable[[], Fetched]


class FakeClock:
    """Time that passes only when told to."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class FakeFetch:
    """A hub: path to answer. `asked` notes every request.

    An answer is a value, an exception, or something to call.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.authorized: dict[str, bool] = {}

    def get(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched:
        self.asked.append(url_or_path)
        self.headers.append(dict(headers or {}))
        self.authorized[url_or_path] = authorized
        answer = self.answers.get(url_or_path, Fetched(404, {}, b'{"error":{"message":"Invalid URL"}}'))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Fetched) else answer()

    async def aget(
        self,
        url_or_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        timeout: float = 10.0,
    ) -> Fetched:
        return self.get(url_or_path, headers=headers, authorized=authorized, timeout=timeout)


def ok(payload: Any, **headers: str) -> Fetched:
    """A good answer of this JSON."""
    return Fetched(200, headers, json.dumps(payload).encode())


def sample(name: str) -> Fetched:
    """A file of tests/data/catalog as an answer."""
    return Fetched(200, {"content-type": "application/json"}, (SAMPLES / name).read_bytes())


def recorded(gateway: str, case: str) -> dict[str, Fetched]:
    """Return a recording of cassettes/gateway: path to the last answer there."""
    answers = {}
    for exchange in yaml.safe_load((RECORDINGS / gateway / f"{case}.yaml").read_text(encoding="utf-8"))["interactions"]:
        response = exchange["response"]
        path = "//" + exchange["request"]["uri"].split("/", 3)[3]
        headers = {name.lower(): values[0] for name, values in response["headers"].items()}
        answers[path] = Fetched(response["status"]["code"], headers, response["body"]["string"].encode())
    return answers


def ids_answer(*ids: str) -> Fetched:
    """A `/v1/models` answer with these ids."""
    return ok({"object": "list", "data": [{"id": model, "object": "model", "owned_by": "openai"} for model in ids]})


def thousand() -> dict[str, Any]:
    """Return a list of 1,000 models in AIHubMix's form, as large as the real one."""
    features = ("thinking,tools,function_calling,structured_outputs", "tools,function_calling", "", "web,thinking")
    data = [
        {
            "model_id": f"vendor-{number % 31}/Model-{number}.{number % 7}",
            "model_name": f"Model {number}",
            "developer_name": f"Vendor {number % 31}",
            "desc": f"Model number {number}. " + "It is a general model for text and more. " * 6,
            "pricing": {"cache_read": number / 800, "input": number / 80, "output": number / 20},
            "types": "embedding" if number % 10 == 9 else "llm",
            "features": features[number % 4],
            "input_modalities": ("text,image", "text", "text,image,audio,pdf")[number % 3],
            "max_output": 1_000 * (number % 64),
            "context_length": 8_192 * (number % 32),
            "endpoints": "chat_completions,responses,claude_api",
            "created": 1_626_777_600,
        }
        for number in range(1_000)
    ]
    return {"data": data, "message": "", "success": True}
