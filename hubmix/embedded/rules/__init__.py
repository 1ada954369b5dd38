"""The rules that answer: from a request to an `Answer`, deterministic, copying only what the request holds."""

from __future__ import annotations

from hubmix.embedded.rules.answer import Answer, respond
from hubmix.embedded.rules.tools import Call

__all__ = ["Answer", "Call", "respond"]
