"""What both frameworks are asked in the embedded hub's cassettes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

both = pytest.mark.parametrize("waits", [True, False], ids=["sync", "async"])
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
QUESTION = "Paris is the capital of France. Oslo is the capital of Norway.\n\nWhat is the capital of France?"
PARAMETERS: dict[str, Any] = {
    "temperature": 0,
    "max_tokens": 50,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0,
    "stop": ["END"],
    "seed": 7,
    "logit_bias": {"50256": -100},
    "reasoning_effort": "low",
    "parallel_tool_calls": False,
    "user": "u-1",
    "service_tier": "auto",
    "extra_body": {"min_p": 0.05},
}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."
