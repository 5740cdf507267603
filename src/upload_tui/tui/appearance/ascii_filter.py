"""ASCII for what Textual draws itself: borders, scroll bars, the command palette. Letters in names are kept."""

from collections.abc import Sequence

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

__all__ = ["AsciiFilter"]

_BOXES = range(0x2500, 0x2580)
_BLOCKS = range(0x2580, 0x25A0)


def _map_each(characters: str, replacement: str) -> dict[int, str]:
    return dict.fromkeys(map(ord, characters), replacement)


_REPLACEMENTS: dict[int, str] = {
    **dict.fromkeys(_BOXES, "+"),
    **dict.fromkeys(_BLOCKS, " "),  # the ends of a scroll bar's thumb; its middle is background
    **_map_each("─━┄┅┈┉╌╍═╴╶╸╺", "-"),
    **_map_each("│┃┆┇┊┋╎╏║╵╷╹╻▏▕", "|"),
    **_map_each("…", "~"),
    **_map_each("•", "*"),
    **_map_each("🔎", "> "),
}
"""Each replacement is as wide as its character."""


class AsciiFilter(LineFilter):
    """Replaces box, block and other drawing characters by ASCII."""

    def apply(self, segments: Sequence[Segment], background: Color) -> list[Segment]:
        """Replace the characters of one line."""
        return [
            segment if segment.text.isascii() else Segment(segment.text.translate(_REPLACEMENTS), segment.style)
            for segment in segments
        ]
