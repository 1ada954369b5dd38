"""What the embedded hub counts as a token. Cheap and documented, and no tokenizer of anybody's.

An answer's token is a word of up to eight letters with the blanks before it, or one other sign with the blanks before
it: ``pieces("Sunlight is scattered.") == ["Sunlight", " is", " scatter", "ed", "."]``. Streams send one piece an
event, and ``max_tokens`` counts them. A prompt is counted by length alone: one token for every four characters, and
four more a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4

_PIECE = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")


def pieces(text: str) -> list[str]:
    """The tokens of an answer, in order; joined they are the text again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """The tokens of a text of the prompt: a quarter of its characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def count_prompt(texts: Iterable[str]) -> int:
    """The tokens of a prompt whose messages have these texts."""
    return sum(count(text) + TOKENS_PER_MESSAGE for text in texts)
