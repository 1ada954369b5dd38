"""Texts in pieces are told from snapshots of all so far."""

from __future__ import annotations

import pytest

from hubmix.wire.chat.snapshots import Growing


def read(*texts: str) -> tuple[list[str], str]:
    growing = Growing()
    return [growing.take(text) for text in texts], growing.rest


@pytest.mark.parametrize(
    ("texts", "told", "rest"),
    [
        (("The sky", " is", " blue"), ["The sky", " is", " blue"], ""),
        (("ha", "haha", " ha"), ["ha", "", "haha ha"], ""),
        (("ha", "haha"), ["ha", ""], "haha"),
        (("\n", "\n\n", "So"), ["\n", "", "\n\nSo"], ""),
        (("1", "12", "3"), ["1", "", "123"], ""),
        (("The", "The sky", "The sky is blue."), ["The", "", " sky is blue."], ""),
        (("The", "The sky", "The sky is"), ["The", "", ""], " sky is"),
        (("The sky is blue, ", "The sky is blue, often."), ["The sky is blue, ", ""], "often."),
        (("A", "A b", "A b c d e f g h i", "A b c d e f g h i"), ["A", "", " b c d e f g h i", ""], ""),
        (("A", "A b", "A b c d e f g h i", "", " j"), ["A", "", " b c d e f g h i", "", " j"], ""),
        (("ha", "ha", "ha"), ["ha", "ha", "ha"], ""),
        (("", "a", "b"), ["", "a", "b"], ""),
    ],
)
def test_text_is_told_once(texts: tuple[str, ...], told: list[str], rest: str) -> None:
    assert read(*texts) == (told, rest)
