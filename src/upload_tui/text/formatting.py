"""Facts as short texts: ages, durations, sizes, times; and any text from outside made harmless.

Pure functions. Whatever a service sent goes through `sanitize` (or `truncate_middle`, which calls it) before it is drawn.
"""

import shlex
import unicodedata
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from urllib.parse import quote

from rich.cells import cell_len, get_character_cell_size

from upload_tui.status import Event

__all__ = [
    "truncate_middle",
    "age_text",
    "clock_text",
    "curl_command",
    "truncate_at_word",
    "duration_text",
    "event_text",
    "fit_to_width",
    "sanitize",
    "plural",
    "short_clock_text",
    "size_text",
    "span_text",
    "sparkline_text",
]

_MAX_CHARACTERS = 2000
"""More of one text than this is never drawn; the whole of it can still be copied."""

_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
"""Joiners and variation selectors: without them emoji fall apart into pieces whose width every terminal agrees on."""

_ELLIPSIS = "…"
"""Whoever sent a text may have cut it already: one sign for that is enough."""

_REPLACEMENT = "\ufffd"
_MINUTE, _TEN_MINUTES, _HOUR, _DAY = 60, 600, 3600, 86400
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def sanitize(text: str) -> str:
    """The text without anything that a terminal could obey or that could hide: one visible sign a character.

    Controls become control pictures (`␛`), invisible and directional characters `�`; a letter keeps at most one combining mark.
    """
    text = text[:_MAX_CHARACTERS]
    if text.isascii() and text.isprintable():
        return text
    signs = (
        _visible_character(character) for character in unicodedata.normalize("NFC", text) if character not in _JOINERS
    )
    return "".join(_limit_combining_marks("".join(signs)))


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return _REPLACEMENT
    return " " if character.isspace() else character


def _limit_combining_marks(text: str) -> list[str]:
    signs: list[str] = []
    for is_mark, group in groupby(text, key=lambda character: get_character_cell_size(character) == 0):
        if not is_mark:
            signs.extend(group)
        elif signs:
            signs.append(next(group))
    return signs


def truncate_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """The text made harmless and, if it is wider than `width` cells, shortened in the middle so that its ending stays."""
    if len(text) > _MAX_CHARACTERS:  # its middle will not be seen anyway, but its ending must
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


def fit_to_width(text: str, width: int, *, align_right: bool = False) -> str:
    """Exactly `width` cells: padded, or cut at the end. The text must be harmless already."""
    wide = cell_len(text)
    if wide > width:
        text = _first_cells(text, width)
        wide = cell_len(text)
    blanks = " " * (width - wide)
    return blanks + text if align_right else text + blanks


def _first_cells(text: str, cells: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += get_character_cell_size(character)
        if taken > cells:
            return text[:index]
    return text


def _last_cells(text: str, cells: int) -> str:
    return _first_cells(text[::-1], cells)[::-1]


def truncate_at_word(text: str, width: int, ellipsis: str = "…") -> str:
    """The beginning of a text that fits into `width` cells and ends with a whole word. The text must be harmless already."""
    if cell_len(text) <= width:
        return text
    head = _first_cells(text, max(width - len(ellipsis), 0))
    words = head.rpartition(" ")[0].rstrip(" ,:;")
    # Where the only words left are very short ones, a part of the next says more than they do.
    return (words if len(words) * 3 >= len(head) else head).rstrip(_ELLIPSIS) + ellipsis[:width]


def curl_command(service: str, upload_id: str) -> str:
    """The request for an upload as a shell command; the token stays a variable."""
    url = f"{service}/api/v1/uploads/{quote(upload_id, safe='')}"
    return f'curl --header "Authorization: $UPLOAD_TUI_TOKEN" {shlex.quote(url)}'


def plural(count: int, noun: str) -> str:
    """`1 chunk`, `3 chunks`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def age_text(seconds: float) -> str:
    """An age as people say it: `8s`, `4m 05s`, `43m`, `3h 12m`, `12d 4h`, `412d`. After ten minutes no second matters or moves."""
    return f"{int(seconds) // _MINUTE}m" if _TEN_MINUTES <= seconds < _HOUR else span_text(seconds)


def span_text(seconds: float) -> str:
    """A span of time in whole units, at most seven characters: `8s`, `43m 05s`, `3h 12m`, `12d 4h`, `412d`."""
    whole = int(max(seconds, 0))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02d}m"
    if whole < 100 * _DAY:
        return f"{whole // _DAY}d {whole % _DAY // _HOUR}h"
    return f"{whole // _DAY}d"


def duration_text(seconds: float) -> str:
    """A duration that has ended; short ones with a fraction: `0.4 s`, `12 s`, `4m 05s`."""
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < _MINUTE - 0.5 else span_text(round(seconds))


def size_text(size_bytes: int | None) -> str:
    """A size in binary units with three digits: `15 B`, `1.50 MiB`, `12.3 GiB`; `?` if it is unknown."""
    if size_bytes is None:
        return "?"
    if abs(size_bytes) < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in _UNITS:  # noqa: B007  # the one it stops at is the one to write
        size /= 1024
        if abs(size) < 999.5:
            break
    digits = 2 if abs(size) < 9.995 else 1 if abs(size) < 99.95 else 0
    return f"{size:.{digits}f} {unit}" if abs(size) < 1e6 else f"{size:.3g} {unit}"


def clock_text(on: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """A time by the wall clock: of today `13:00:05`, of this year `12 Mar 13:00`, else `2019-05-08`.

    `zone` None is the machine's own zone; a time that is not known is `?`.
    """
    return _format_clock(on, now, zone, "%d %b %H:%M", "%Y-%m-%d")


def short_clock_text(on: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """The same in at most eight cells: `13:00:05`, `12 Mar`, `May 2019`."""
    return _format_clock(on, now, zone, "%d %b", "%b %Y")


def _format_clock(
    on: datetime | None, now: datetime, zone: tzinfo | None, this_year_format: str, other_format: str
) -> str:
    if on is None:
        return "?"
    try:
        local, today = on.astimezone(zone), now.astimezone(zone)
    except (OverflowError, ValueError):  # the first and last days of the calendar in a far zone
        local, today = on.astimezone(UTC), now.astimezone(UTC)
    if local.date() == today.date():
        return local.strftime("%H:%M:%S")
    return local.strftime(this_year_format if local.year == today.year else other_format)


def event_text(event: Event, now: datetime, zone: tzinfo | None = None, estimate: str = "~") -> str:
    """When an event was, with a mark for how that is known: `13:00:05`, `~13:00:05`, `12:59:31-13:00:04`."""
    if event.on is not None:
        sure = event.certainty == "reported"
        return clock_text(event.on, now, zone) if sure else estimate + clock_text(event.on, now, zone)
    if event.earliest is None and event.latest is None:
        return "time unknown"
    if event.earliest is None:
        return f"before {clock_text(event.latest, now, zone)}"
    if event.latest is None:
        return f"after {clock_text(event.earliest, now, zone)}"
    return f"{clock_text(event.earliest, now, zone)}-{clock_text(event.latest, now, zone)}"


def sparkline_text(counts: tuple[int, ...], width: int, sparks: str) -> str:
    """The last `width` counts as a line of small bars, scaled to the highest; nothing shows as the lowest sign."""
    shown = counts[-width:] if width > 0 else ()
    highest = max(shown, default=0)
    top = len(sparks) - 1
    bars = (sparks[-(-count * top // highest)] if highest else sparks[0] for count in shown)
    return "".join(bars).rjust(width, sparks[0])
