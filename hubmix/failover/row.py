"""One row of the failure table: the conditions that must hold together, and what they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hubmix.failover.evidence import Evidence, Failure

SAID = frozenset({"status", "error_body"})
"""The causes in which somebody said something: an error status, or an error object inside a 200."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what must be seen, and the failure it means. Empty conditions always hold; the others hold together.

    Args:
        signal: the conditions in words, for the docs.
        means: the failure.
        causes: what the transport saw.
        phases: how far the request had come.
        speaker: "hub" (its own error type, or neither type nor code) or "vendor".
        own_type: the error has one of the hub's own types.
        statuses: HTTP statuses; 0 stands for an error object without one.
        codes: error codes or types, in lower case, any of which matches.
        words: a pattern in the message; a row with both codes and words needs only one of them.
        empty_code: the body has no error code.
        empty_body: there is no body, or an HTML page in its place.
        finish_reasons: of an empty answer.
    """

    signal: str
    means: Failure
    causes: frozenset[str] = SAID
    phases: frozenset[str] = frozenset()
    speaker: str | None = None
    own_type: bool = False
    statuses: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None
    empty_code: bool = False
    empty_body: bool = False
    finish_reasons: frozenset[str] = frozenset()

    def matches(self, evidence: Evidence, *, status: int, speaker: str, own_type: bool) -> bool:
        """Whether this row is about `evidence`; `status` is the effective one, 0 where none came."""
        return (
            evidence.cause in self.causes
            and (not self.phases or evidence.phase in self.phases)
            and (self.speaker is None or self.speaker == speaker)
            and (not self.own_type or own_type)
            and (not self.statuses or status in self.statuses)
            and (not self.empty_code or not evidence.code)
            and (not self.empty_body or _says_nothing(evidence))
            and (not self.finish_reasons or evidence.finish_reason in self.finish_reasons)
            and self._says(evidence)
        )

    def _says(self, evidence: Evidence) -> bool:
        if not self.codes and self.words is None:
            return True
        if any(value and value.lower() in self.codes for value in (evidence.code, evidence.type)):
            return True
        return self.words is not None and self.words.search(evidence.message) is not None


def _says_nothing(evidence: Evidence) -> bool:
    return evidence.empty_body or "text/html" in evidence.headers.get("content-type", "")
