"""Many calls: the public names of `hubmix.batch`."""

from hubmix.batch import Progress, Row, Rows, amap_rows, map_rows

__all__ = ["Progress", "Row", "Rows", "amap_rows", "map_rows"]
