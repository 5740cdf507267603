"""Breaks the product on purpose: every statement and every call for files fails once, and whole worlds are played from a seed."""
