"""Fuzzers: `targets` says what may be called with any bytes; the folders of `corpus` are where they start, and part of the suite."""
