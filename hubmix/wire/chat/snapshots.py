"""A streamed text that comes in pieces, or in snapshots of all so far."""

from __future__ import annotations

_SURE = 16
"""Characters. A text that begins with as many that were said before is no further piece."""


class Growing:
    """Tells pieces of a text from snapshots: each begins with the one before.

    A second text that begins with the first may be either, as "ha" and "haha". It is held back until a third one, the
    length or the end tells. A text in pieces that do not repeat each other passes at once.

    Example:
        >>> growing = Growing()
        >>> [growing.take(text) for text in ("The sky", "The sky is", "The sky is blue.", "The sky is blue. Often.")]
        ['The sky', '', ' is blue.', ' Often.']
    """

    __slots__ = ("_first", "_held", "_last", "_snapshots", "in_pieces")

    def __init__(self) -> None:
        self._first = ""
        self._last = ""
        self._held: list[str] = []
        self._snapshots = False
        self.in_pieces = False  # no snapshot can come any more

    def take(self, text: str) -> str:
        """Return what a text adds to what was passed on; nothing if that is not known yet."""
        if self.in_pieces or not text:
            return text
        if not self._last:
            self._first = self._last = text
            return text
        if not self._goes_on_with(text):
            return self._piece(text)
        before, self._last = self._last, text
        if self._snapshots:
            return text[len(before) :]
        self._held.append(text)
        if len(self._held) < 2 or len(text) < _SURE:
            return ""
        self._snapshots, self._held = True, []
        return text[len(self._first) :]

    def _goes_on_with(self, text: str) -> bool:
        """Return True for a longer text that begins with the last one."""
        return len(text) > len(self._last) and text.startswith(self._last)

    def _piece(self, text: str) -> str:
        if self._snapshots:  # the last one again, or a vendor that changes its mind
            text = "" if text == self._last else text
            self._last += text
            return text
        self.in_pieces, held = True, self._held
        self._held = []
        return "".join([*held, text])

    @property
    def waiting(self) -> int:
        """How many texts are held back."""
        return len(self._held)

    @property
    def rest(self) -> str:
        """What is held back, read as the end of the text tells it."""
        if not self._held:
            return ""
        if len(self._held) > 1 or len(self._first) >= _SURE:
            return self._held[-1][len(self._first) :]
        return self._held[0]
