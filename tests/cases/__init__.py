"""Deviations of real hubs and vendors, one file a kind. See `tests/cases/ways.py` for the ways to ask."""
