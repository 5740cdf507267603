"""Folding: the one form in which texts are compared in searches, without regard to case, accents and Unicode form."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import accumulate

from upload_tui.lazy import lazy_pattern

__all__ = ["find_folded", "fold", "is_folded_by_case_alone"]

_REPLACED = str.maketrans("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029\0", " " * 12 + "\ufffd")
"""Line breaks become blanks; a NUL, at which an index of SQLite ends, becomes a replacement character."""
_HAS_REPLACED = lazy_pattern("[\0\t\n\v\f\r\x1c-\x1f]")
_SURROGATES = lazy_pattern("[\ud800-\udfff]")


def fold(text: str) -> str:
    """Fold a text: `Straße` is `strasse`, `É` in either Unicode form is `e`, a line break is a blank. Folding again changes nothing.

    A text in ASCII keeps its length.
    """
    if text.isascii():
        folded = text.lower()
        return folded.translate(_REPLACED) if _HAS_REPLACED.search(folded) else folded
    text = _SURROGATES.sub("\ufffd", text)  # no database stores them
    # Twice: case folding makes new combining characters (İ) and new compatible ones.
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text).casefold()
    text = unicodedata.normalize("NFKD", text)
    return "".join(one for one in text if not unicodedata.combining(one)).translate(_REPLACED)


def is_folded_by_case_alone(text: str) -> bool:
    """Whether the folded form is the text in lower case: it is in ASCII, without line breaks and NUL."""
    return text.isascii() and not _HAS_REPLACED.search(text)


def find_folded(text: str, folded_terms: Iterable[str]) -> Sequence[tuple[int, int]]:
    """The ranges of a text (from, to) whose folded form is one of the terms, in order; ranges that overlap are joined."""
    pieces = [text.lower()] if text.isascii() else [fold(one) for one in text]
    folded = "".join(pieces).translate(_REPLACED)
    ends = range(1, len(text) + 1) if text.isascii() else [*accumulate(map(len, pieces))]
    origins = [
        index for index, (end, start) in enumerate(zip(ends, (0, *ends), strict=False)) for _ in range(start, end)
    ]
    found: list[tuple[int, int]] = []
    for term in folded_terms:
        start = folded.find(term) if term else -1
        while start >= 0:
            found.append((origins[start], _end_of_character(text, origins[start + len(term) - 1] + 1)))
            start = folded.find(term, start + len(term))
    return _joined(sorted(found))


def _end_of_character(text: str, end: int) -> int:
    """The end of the character that ends here, with the combining marks that follow it."""
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    return end


def _joined(ranges: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
