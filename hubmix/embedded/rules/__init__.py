"""The rules that answer a request: deterministic, copying only what the request holds."""

from hubmix.embedded.rules.answer import Answer, respond

__all__ = ["Answer", "respond"]
