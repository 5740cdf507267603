"""The signs that the dashboard draws with, for Unicode terminals and for ASCII, and ASCII for what Textual draws itself."""

import codecs
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from upload_tui.status import Stage

__all__ = ["ASCII", "AsciiFilter", "Glyphs", "UNICODE", "glyphs_for"]


class Glyphs(Struct, frozen=True):
    """One sign per purpose, each one cell wide; `sparks` are the signs of a sparkline from zero to high.

    The signs of `stages` differ in shape, not by colour alone.
    """

    stages: Mapping[Stage, str]
    own_state: str
    """A state that is no stage."""
    unreached: str
    rail: str
    link: str
    warning: str
    acknowledged: str
    """In place of a warning."""
    live: str
    waiting: str
    broken: str
    bar_full: str
    bar_empty: str
    bar_open: str
    bar_break: str
    ellipsis: str
    dot: str
    at_most: str
    arrow_right: str
    arrow_down: str
    arrow_up: str
    cursor: str
    mark: str
    chunk: str
    gap: str
    repeated: str
    unexpected_size: str
    bad: str
    outstanding: str
    tried: str
    untried: str
    sparks: str
    about: str
    times: str
    estimate: str = "~"


UNICODE = Glyphs(
    stages=MappingProxyType({Stage.INITIATED: "○", Stage.COMPLETED: "◐", Stage.VERIFIED: "●", Stage.ERROR: "✗"}),
    own_state="◇",
    unreached="·",
    rail="│",
    link="─",
    warning="▲",
    acknowledged="△",
    live="●",
    waiting="◌",
    broken="✗",
    bar_full="█",
    bar_empty="░",
    bar_open="▒",
    bar_break="╱",
    ellipsis="…",
    dot="·",
    at_most="≤",
    arrow_right="→",
    arrow_down="↓",
    arrow_up="↑",
    cursor="▌",
    mark="✓",
    chunk="■",
    gap="□",
    repeated="▣",
    unexpected_size="◧",
    bad="✗",
    outstanding="·",
    tried="×",
    untried="·",
    sparks="▁▂▃▄▅▆▇█",
    about="≈",
    times="×",
)

ASCII = Glyphs(
    stages=MappingProxyType({Stage.INITIATED: "o", Stage.COMPLETED: "c", Stage.VERIFIED: "V", Stage.ERROR: "X"}),
    own_state="?",
    unreached=".",
    rail="|",
    link="-",
    warning="!",
    acknowledged="a",
    live="*",
    waiting="~",
    broken="X",
    bar_full="#",
    bar_empty=".",
    bar_open="=",
    bar_break="/",
    ellipsis="$",
    dot="-",
    at_most="<=",
    arrow_right=">",
    arrow_down="v",
    arrow_up="^",
    cursor=">",
    mark="*",
    chunk="#",
    gap="_",
    repeated="=",
    unexpected_size="%",
    bad="X",
    outstanding=".",
    tried="x",
    untried=".",
    sparks="_.:-=+*#%",
    about="~",
    times="x",
)


def glyphs_for(encoding: str | None, locale: str = "") -> Glyphs:
    """The signs for an output with this encoding.

    The encoding alone is not enough: Python writes UTF-8 even if the locale is `C`.

    Args:
        encoding: the encoding's name; None means ASCII.
        locale: the locale's name; empty if it is not known.
    """
    if locale and not _is_unicode(locale):
        return ASCII
    try:
        "".join((*UNICODE.stages.values(), UNICODE.sparks, UNICODE.rail)).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE if codecs.lookup(encoding or "ascii").name != "ascii" else ASCII


def _is_unicode(locale: str) -> bool:
    """True for names like `de_DE.UTF-8`, `C.utf8` and `UTF-8`."""
    return locale.partition("@")[0].rpartition(".")[2].replace("-", "").casefold() == "utf8"


_BOXES = range(0x2500, 0x2580)
_BLOCKS = range(0x2580, 0x25A0)


def _map_each(characters: str, replacement: str) -> dict[int, str]:
    return dict.fromkeys(map(ord, characters), replacement)


_REPLACEMENTS: dict[int, str] = {
    **dict.fromkeys(_BOXES, "+"),
    **dict.fromkeys(_BLOCKS, " "),  # the ends of a scroll bar's thumb; its middle is background
    **_map_each("─━┄┅┈┉╌╍═╴╶╸╺", "-"),
    **_map_each("│┃┆┇┊┋╎╏║╵╷╹╻▏▕", "|"),
    **_map_each("…", "$"),
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
