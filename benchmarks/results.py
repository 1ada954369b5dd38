"""Figures of a benchmark, their targets, and the times they were computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and the target it is held against.

    Args:
        work: What was done.
        value: What came out, in `unit`.
        unit: ``"×"`` (a ratio of CPU times), ``"ms"``, ``"µs"``, ``"%"``, ``"requests"``.
        against: What the ratio is taken to.
        target: At most so much; None without a target.
        note: What a reader should know of it.
    """

    work: str
    value: float
    unit: str
    against: str = ""
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Return whether the target is met, to two digits; None without a target."""
        return None if self.target is None else round(self.value, 3) <= self.target

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "work": self.work,
            "value": self.value,
            "unit": self.unit,
            "against": self.against,
            "target": self.target,
            "met": self.met,
            "note": self.note,
        }


@dataclass(slots=True)
class Section:
    """What one group of measurements found.

    Args:
        figures: Held against targets.
        tables: Title to (contender to number): the medians behind the figures.
        skipped: A line for everything that could not be measured here.
    """

    figures: list[Figure] = field(default_factory=list)
    tables: dict[str, Mapping[str, float]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def add(self, other: Section) -> None:
        """Take in another group."""
        self.figures += other.figures
        self.tables |= other.tables
        self.skipped += other.skipped
