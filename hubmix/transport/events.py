"""Server-sent events, from bytes in pieces of any size to the data of each event.

Written here rather than taken from the SDK because gateways write outside the events: New API 2026 begins with
comments and, when the vendor then fails, appends its error as bare JSON without `data:`. Others answer a request for a
stream with one JSON document. Every other reader skips those lines and sees an empty stream.
"""

from __future__ import annotations

from hubmix.transport.sizes import SIZES, too_large

_STRAY_LIMIT = 65_536  # bytes of text outside any event that are kept; an error message is a few hundred
_FIELDS = (b":", b"id:", b"retry:")  # comments, and fields that mean nothing here
_BOM = b"\xef\xbb\xbf"


class EventDecoder:
    """Decodes one stream.

    `stray` holds the lines that belong to no event.

    Args:
        largest: the bytes that an event, or a line of it, may have.
    """

    __slots__ = ("_begun", "_data", "_event", "_held", "_largest", "_rest", "_room", "stray")

    def __init__(self, largest: int = SIZES.event) -> None:
        self._largest = largest
        self._rest = b""
        self._begun = bytearray()  # of a line, after `_rest`; joined once, or a long line costs its square
        self._data: list[bytes] = []
        self._held = 0  # bytes of the second and later lines of `_data`
        self._event = b""
        self._room = _STRAY_LIMIT
        self.stray: list[bytes] = []

    def feed(self, piece: bytes) -> list[tuple[bytes, bytes]]:
        """Take the next bytes.

        Returns:
            The events completed by them, as (event name, data).

        Raises:
            BodyError: If an event is larger than allowed.
        """
        if self._rest and not self._rest.endswith(b"\r") and b"\n" not in piece and b"\r" not in piece:
            self._begun += piece
            self._check(len(self._begun))
            return []
        text = self._whole_rest() + piece
        held = b""
        if b"\r" in text:  # CRLF and a lone CR end a line too; a CR at the very end may be half of a CRLF
            if text.endswith(b"\r"):
                text, held = text[:-1], b"\r"
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = text.split(b"\n")
        self._rest = lines.pop() + held
        if len(text) > self._largest:
            self._check(max(len(self._rest), *map(len, lines)) if lines else len(self._rest))
        events: list[tuple[bytes, bytes]] = []
        for line in lines:
            if line.startswith(b"data: ") and not self._data:
                self._data.append(line[6:])
            else:
                self._line(line, events)
        return events

    def end(self) -> list[tuple[bytes, bytes]]:
        """Return the events that the end of the stream completes instead of an empty line."""
        events: list[tuple[bytes, bytes]] = []
        rest, self._rest = self._whole_rest(), b""
        self._line(rest.removesuffix(b"\r"), events)
        self._line(b"", events)
        return events

    def _whole_rest(self) -> bytes:
        if not self._begun:
            return self._rest
        rest, self._begun = self._rest + self._begun, bytearray()
        return rest

    def _check(self, size: int) -> None:
        if size > self._largest:
            raise too_large("An event of the stream", self._largest)

    def _line(self, line: bytes, events: list[tuple[bytes, bytes]]) -> None:
        if not line:
            if self._data:
                events.append((self._event, b"\n".join(self._data)))
                self._data.clear()
                self._held = 0
            self._event = b""
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._held += len(line)
            self._check(self._held)
        elif line.startswith(b"event:"):
            self._event = line[6:].strip()
        elif line.startswith(_BOM):
            self._line(line.removeprefix(_BOM), events)
        elif not line.startswith(_FIELDS) and self._room > 0:
            if not self.stray and line.lstrip().startswith((b"{", b"[")):
                self._room = self._largest  # it can be a whole answer
            self._room -= len(line)
            self.stray.append(line)


def looks_like_events(body: bytes) -> bool:
    """Return True if a whole body is a stream of events, whatever its content type."""
    return body.removeprefix(_BOM).lstrip().startswith((b"data:", b"event:", *_FIELDS))
