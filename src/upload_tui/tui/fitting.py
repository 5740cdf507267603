"""Fit texts into terminal cells: truncate, pad, and choose the wording of a cause that fits."""

import re

from rich.cells import cell_len, get_character_cell_size

from upload_tui.text import detailed_short_cause, sanitize, short_cause

__all__ = ["cause_text", "detailed_cause_text", "fit_to_width", "truncate_at_word", "truncate_middle"]

_MAX_CHARACTERS = 2000
_ELLIPSIS = "…"
"""The service may have truncated a text already: its ellipsis is not repeated."""
_PART_ENDS = re.compile("[:,;] ")


def truncate_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Sanitize a text and, if it is wider than `width` cells, shorten it in the middle, so that its ending stays."""
    if len(text) > _MAX_CHARACTERS:  # `sanitize` would cut off the ending
        text = text[: _MAX_CHARACTERS // 2] + text[-_MAX_CHARACTERS // 2 :]
    text = sanitize(text)
    if cell_len(text) <= width:
        return text
    if width <= len(ellipsis):
        return ellipsis[: max(width, 0)]
    room = width - len(ellipsis)
    tail = _last_cells(text, min(room // 2, max(room // 3, 10)))
    head = _first_cells(text, room - cell_len(tail))
    return head.rstrip(_ELLIPSIS) + ellipsis + tail.lstrip(_ELLIPSIS)


def truncate_at_word(text: str, width: int, ellipsis: str = "…") -> str:
    """Shorten a sanitized text to `width` cells at the end of a word."""
    if cell_len(text) <= width:
        return text
    head = _first_cells(text, max(width - len(ellipsis), 0))
    words = head.rpartition(" ")[0].rstrip(" ,:;")
    # If very little is left of it, part of the next word is better than none.
    return (words if len(words) * 3 >= len(head) else head).rstrip(_ELLIPSIS) + ellipsis[:width]


def fit_to_width(text: str, width: int, *, align_right: bool = False) -> str:
    """Pad or cut a sanitized text to exactly `width` cells."""
    cells = cell_len(text)
    if cells > width:
        text = _first_cells(text, width)
        cells = cell_len(text)
    padding = " " * (width - cells)
    return padding + text if align_right else text + padding


def cause_text(message: str, width: int, ellipsis: str) -> str:
    """An error message in at most `width` cells; a long message of the service gives way to a short cause."""
    text = sanitize(message) or "no reason given"
    if cell_len(text) > width:
        text = short_cause(message) or text
    return truncate_at_word(text, width, ellipsis)


def detailed_cause_text(message: str, width: int, ellipsis: str) -> str:
    """A short cause with as many whole details as fit: `bad chunk hash: chunk 3`; other messages as they are."""
    text = detailed_short_cause(message) or short_cause(message)
    if not text:
        return cause_text(message, width, ellipsis)
    if cell_len(text) <= width:
        return text
    short = short_cause(message)
    parts = (text[: end.start()].rstrip(_ELLIPSIS) for end in _PART_ENDS.finditer(text, len(short) + 1))
    return max(
        (part for part in parts if cell_len(part) <= width), key=len, default=truncate_at_word(short, width, ellipsis)
    )


def _first_cells(text: str, cells: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > cells:
            return text[:index]
    return text


def _last_cells(text: str, cells: int) -> str:
    return _first_cells(text[::-1], cells)[::-1]
