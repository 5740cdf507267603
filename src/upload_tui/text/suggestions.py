"""Suggestions for mistyped names."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """`Did you mean X?` with the most similar known name; `otherwise` if there is none."""
    nearest = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {nearest[0]}?" if nearest else otherwise
