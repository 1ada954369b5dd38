"""The rules that answer a request, deterministic copies of its parts."""

from hubmix.embedded.rules.answer import Answer, respond

__all__ = ["Answer", "respond"]
