"""What Textual draws by itself, for terminals with plain ASCII: borders, scroll bars, the palette. Names keep their letters."""

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
    **dict.fromkeys(_BLOCKS, " "),  # the ends of a scroll bar's thumb; the rest of it is ground
    **_map_each("─━┄┅┈┉╌╍═╴╶╸╺", "-"),
    **_map_each("│┃┆┇┊┋╎╏║╵╷╹╻▏▕", "|"),
    **_map_each("…", "~"),
    **_map_each("•", "*"),
    **_map_each("🔎", "> "),
}
"""As many cells for each as it has."""


class AsciiFilter(LineFilter):
    """Puts ASCII in the place of whatever is drawn with other characters."""

    def apply(self, segments: Sequence[Segment], background: Color) -> list[Segment]:
        """The same line in ASCII."""
        return [
            segment if segment.text.isascii() else Segment(segment.text.translate(_REPLACEMENTS), segment.style)
            for segment in segments
        ]
