"""Makes a store of many finished uploads of the past, as earlier visits would have left it."""

__all__ = ["uploads"]
