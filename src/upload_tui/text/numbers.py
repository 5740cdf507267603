"""Numbers as text: counts, sizes, and a sparkline of counts."""

from collections.abc import Sequence

__all__ = ["plural", "size_text", "sparkline_text"]

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def plural(count: int, noun: str) -> str:
    """`1 chunk`, `3 chunks`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size_text(size_bytes: int | None) -> str:
    """A size in binary units with three digits: `15 B`, `1.50 MiB`, `12.3 GiB`; `?` if it is unknown."""
    if size_bytes is None:
        return "?"
    if abs(size_bytes) < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in _UNITS:  # noqa: B007  # used after the loop
        size /= 1024
        if abs(size) < 999.5:
            break
    digits = 2 if abs(size) < 9.995 else 1 if abs(size) < 99.95 else 0
    return f"{size:.{digits}f} {unit}" if abs(size) < 1e6 else f"{size:.3g} {unit}"


def sparkline_text(counts: Sequence[int], width: int, sparks: str) -> str:
    """The last `width` counts as bars, scaled to the highest. `sparks` are the bars from zero to the highest."""
    shown = counts[-width:] if width > 0 else ()
    highest = max(shown, default=0)
    top = len(sparks) - 1
    bars = (sparks[-(-count * top // highest)] if highest else sparks[0] for count in shown)
    return "".join(bars).rjust(width, sparks[0])
