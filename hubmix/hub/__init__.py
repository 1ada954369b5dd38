"""The hub and everything that is done through it."""

from hubmix.hub.hub import Hub

__all__ = ["Hub"]
