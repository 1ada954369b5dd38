"""Measure what this package and the installed peers cost: `python -m benchmarks`.

The hub is a server in another process whose answers are bytes made beforehand, so that what is counted is the client's
own CPU time. Absolute times depend on the machine and on what else runs there; ratios taken in turns within one run do
not, and every target is a ratio where it can be one.
"""
