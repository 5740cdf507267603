"""Simulated runs of the whole program from a seed; and operations in which each statement and each call for a file fails once."""
