"""Many calls: one prompt per row, several at once, answers in order.

`map_rows` is `hub.map`, `amap_rows` is `hub.amap`. Errors are values, a progress line is there for who wants one, and
with `resume=` a file keeps every answer as it comes, so that a run that was killed goes on where it stopped.
"""

from __future__ import annotations

from hubmix.batch.drive import amap_rows, map_rows
from hubmix.batch.progress import Progress
from hubmix.batch.rows import Row, Rows

__all__ = ["Progress", "Row", "Rows", "amap_rows", "map_rows"]
