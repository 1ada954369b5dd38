"""Messages of the library with flags and commands in place of Python."""

from __future__ import annotations

import re

# Python, and the same on the command line; longer phrases first.
_PHRASES: tuple[tuple[str, str], ...] = (
    ("check it against hub.models.list()", "look it up with: hubmix models"),
    ("Check the model ID against hub.models.list();", "Look the model ID up with: hubmix models;"),
    ("or another model of hub.models.list()", "or another model of: hubmix models"),
    ("hub.models.list(supports=...)", "hubmix models --supports WORD"),
    ("hub.models.list() shows", "hubmix models shows"),
    ("hub.models.list()", "hubmix models"),
    ("name the API that serves the model: hub.models.get(...).apis", "see hubmix models ID --json for its APIs"),
    ("Leave `api` at its default", "Leave --api out"),
    (
        "FailoverPolicy(fallback_on_content_filter=True) lets another model be asked",
        "or ask another model with --model",
    ),
    ("Raise max_tokens, or lower reasoning_effort", "Raise --max-tokens"),
    ("(timeout=, first_token_timeout=), stream the answer, or", "(--timeout), or"),
    ("Check api_key, or the environment variable it comes from,", "Check the environment variable it comes from,"),
    (", or pass api_key=", ""),
    ("pass the key as api_key", "set the key in the environment"),
    ("allow it with allow_http=True or ", "allow it with "),
    ("pass its base_url=", "name it with --base-url"),
    ("pass it as base_url=", "give it to --base-url"),
    ("No model was named: pass model=, for example 'gpt-4o-mini'", "No model was named: --model gpt-4o-mini"),
    ("; None for all", ", all"),
    ("unknown=True", "--unknown"),
    ("retired=True", "--retired"),
    ('available="any"', "--all"),
    ("api must be one of", "--api must be one of"),
    ("prefer must be one of", "--prefer must be one of"),
)
_UNPRICED = re.compile(r"Give its price with Hub\(.*?, or use Budget\(unknown_price=\"allow\"\)")
_BUDGET = re.compile(r"Budget\('([^']*)'[^)]*\)")
_NAMES = re.compile(r"\b(max_tokens|max_output_tokens|context_window|input_price|output_price)\b(=?)")
_FLAGS = {
    "max_tokens": "--max-tokens",
    "max_output_tokens": "max_output",
    "context_window": "context",
    "input_price": "price",
    "output_price": "output_price",
}


def spoken(message: str) -> str:
    """Return a message with the flags and commands that do what its Python does."""
    for python, words in _PHRASES:
        message = message.replace(python, words)
    message = _UNPRICED.sub("Ask a model that hubmix models lists with a price, or leave --budget out", message)
    message = _BUDGET.sub(r"the budget of \1 USD", message)
    # What a hub answered is quoted as it came.
    own, mark, quoted = message.partition("What came back:")
    return _NAMES.sub(lambda found: _FLAGS[found[1]] + (" " if found[2] else ""), own) + mark + quoted
