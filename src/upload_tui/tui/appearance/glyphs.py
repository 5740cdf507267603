"""The signs that the dashboard draws with: one set for Unicode terminals and one for ASCII."""

import codecs
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from upload_tui.status import Stage

__all__ = ["ASCII", "UNICODE", "Glyphs", "glyphs_for"]


class Glyphs(Struct, frozen=True):
    """One sign per purpose, each one cell wide; `sparks` are the signs of a sparkline from zero to high.

    The signs of `stages` differ in shape, not by colour alone.
    """

    stages: Mapping[Stage, str]
    unreached: str
    rail: str
    link: str
    warning: str
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
    unreached="·",
    rail="│",
    link="─",
    warning="▲",
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
    unreached=".",
    rail="|",
    link="-",
    warning="!",
    live="*",
    waiting="~",
    broken="x",
    bar_full="#",
    bar_empty=".",
    bar_open="=",
    bar_break="/",
    ellipsis="~",
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
