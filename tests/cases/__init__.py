"""Deviations of real hubs and vendors, one file a kind; see `ways.py`."""
