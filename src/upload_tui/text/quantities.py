"""Numbers, sizes, durations and times as text, and as users type them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from upload_tui.lazy import lazy_pattern
from upload_tui.status import FUTURE_TOLERANCE, Certainty, Event

__all__ = [
    "MOMENT_EXAMPLES",
    "age_text",
    "clock_text",
    "compared_size_text",
    "duration_text",
    "event_text",
    "overrun_text",
    "parse_date",
    "parse_duration",
    "parse_moment",
    "parse_size",
    "percent_text",
    "names_text",
    "plural",
    "received_text",
    "short_clock_text",
    "size_text",
    "span_text",
    "sparkline_text",
]

MOMENT_EXAMPLES = ("13:05", "5m ago", "2026-03-14 13:05")
"""Texts that `parse_moment` parses, for help and prompts."""
_CLOCK = lazy_pattern(r"\d\d?:\d\d(?::\d\d)?")
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def plural(count: int, noun: str) -> str:
    """`1 chunk`, `3 chunks`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def names_text(names: Sequence[str], limit: int, separator: str = ", ") -> str:
    """The first names, and how many more there are: `a, b and 3 more`."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return separator.join(names[:limit]) + more


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


def compared_size_text(size_bytes: int, other_bytes: int) -> str:
    """A size that stands beside another one; if both read the same, what it has more or less: `1 byte more`."""
    text, difference = size_text(size_bytes), size_bytes - other_bytes
    if not difference or text != size_text(other_bytes):
        return text
    return f"{plural(abs(difference), 'byte')} {'more' if difference > 0 else 'less'}"


def received_text(received_bytes: int, declared_bytes: int) -> str:
    """`1.50 MiB of 3.00 MiB received`, or `1 byte less than declared` if both read the same."""
    text = compared_size_text(received_bytes, declared_bytes)
    is_size = text == size_text(received_bytes)
    return f"{text} of {size_text(declared_bytes)} received" if is_size else f"{text} than declared"


def sparkline_text(counts: Sequence[int], width: int, sparks: str) -> str:
    """The last `width` counts as bars, scaled to the highest. `sparks` are the bars from zero to the highest."""
    shown = counts[-width:] if width > 0 else ()
    highest = max(shown, default=0)
    top = len(sparks) - 1
    bars = (sparks[-(-count * top // highest)] if highest else sparks[0] for count in shown)
    return "".join(bars).rjust(width, sparks[0])


_MINUTE, _TEN_MINUTES, _HOUR, _DAY = 60, 600, 3600, 86400
_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = r"\d{1,9}(?:\.\d{1,6})?"
_DURATION_PART = lazy_pattern(rf"({_AMOUNT})([smhd]?)", re.ASCII)
_DURATION = lazy_pattern("|".join([_AMOUNT, "(?=.)" + "".join(f"(?:{_AMOUNT}{unit})?" for unit in "dhms")]), re.ASCII)
_SIZE = lazy_pattern(r"(?P<amount>\d{1,18}(?:\.\d{1,6})?)(?:(?P<prefix>[kmgtpe])(?P<binary>i)?)?b?", re.ASCII)


def age_text(seconds: float) -> str:
    """An age: `8s`, `4m 05s`, `43m`, `3h 12m`, `12d 4h`, `412d`; from ten minutes on without seconds.

    `?` for that of a time in the future, beyond what clocks may differ: it says nothing about the age.
    """
    if seconds < -FUTURE_TOLERANCE.total_seconds():
        return "?"
    return f"{int(seconds) // _MINUTE}m" if _TEN_MINUTES <= seconds < _HOUR else span_text(seconds)


def span_text(seconds: float) -> str:
    """A duration in whole units, at most seven characters: `8s`, `43m 05s`, `3h 12m`, `12d 4h`, `412d`."""
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


def overrun_text(seconds: float, interval_seconds: float) -> str:
    """Why a listing is late: `listing 41s, every 15s wanted`; empty if it is not, or takes less than a second."""
    if seconds <= max(interval_seconds, 1.0):
        return ""
    return f"listing {span_text(seconds)}, every {span_text(interval_seconds)} wanted"


def duration_text(seconds: float) -> str:
    """A measured duration, with a fraction below ten seconds: `0.4s`, `12s`, `4m 05s`."""
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if seconds < 10:
        return f"{seconds:.1f}s"
    return f"{seconds:.0f}s" if seconds < _MINUTE - 0.5 else span_text(round(seconds))


def percent_text(received_bytes: int, size_bytes: int) -> str:
    """A share of a size that is not 0, rounded down, so that `100%` means that nothing is missing."""
    percent = received_bytes * 100 // size_bytes
    return f"{percent}%" if percent < 1000 else "over 999%"


def parse_duration(text: str) -> float | None:
    """The seconds of a duration like `90`, `90s`, `15m`, `1h30m` or `1d`; None if it is not a duration."""
    lower = text.strip().lower()
    if not _DURATION.fullmatch(lower):
        return None
    return sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in _DURATION_PART.findall(lower))


def parse_size(text: str) -> int | None:
    """The bytes of a size like `1024`, `100MB` (decimal) or `1.5MiB` (binary); None if it is not a size."""
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None:
        return None
    factor: int = (1024 if match["binary"] else 1000) ** " kmgtpe".index(match["prefix"] or " ")
    return round(float(match["amount"]) * factor)


def clock_text(on: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """A time: today `13:00:05`, this year `12 Mar 13:00`, else `2019-05-08`; `?` if it is unknown.

    `zone` None means the local zone.
    """
    return _format_clock(on, now, zone, "%d %b %H:%M", "%Y-%m-%d")


def short_clock_text(on: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """The same in at most eight characters: `13:00:05`, `12 Mar`, `May 2019`."""
    return _format_clock(on, now, zone, "%d %b", "%b %Y")


def _format_clock(
    on: datetime | None, now: datetime, zone: tzinfo | None, this_year_format: str, other_format: str
) -> str:
    if on is None:
        return "?"
    try:
        local, today = on.astimezone(zone), now.astimezone(zone)
    except (OverflowError, ValueError):  # the first or last days of the calendar, in a distant zone
        local, today = on.astimezone(UTC), now.astimezone(UTC)
    if local.date() == today.date():
        return local.strftime("%H:%M:%S")
    return local.strftime(this_year_format if local.year == today.year else other_format)


def event_text(event: Event, now: datetime, zone: tzinfo | None = None, estimate: str = "~") -> str:
    """The time of an event, and how it is known: `13:00:05`, `~13:00:05`, `12:59:31-13:00:04`."""
    if event.on is not None:
        mark = "" if event.certainty is Certainty.REPORTED else estimate
        return mark + clock_text(event.on, now, zone)
    if event.earliest is None and event.latest is None:
        return "time unknown"
    if event.earliest is None:
        return f"before {clock_text(event.latest, now, zone)}"
    if event.latest is None:
        return f"after {clock_text(event.earliest, now, zone)}"
    return f"{clock_text(event.earliest, now, zone)}-{clock_text(event.latest, now, zone)}"


def parse_moment(
    text: str,
    now: datetime,
    zone: tzinfo | None = None,
    *,
    earliest: datetime | None = None,
    latest: datetime | None = None,
) -> datetime | None:
    """A point in time as a user types it on screen; None if it is none.

    `5m`, `5m ago` and `-5m` are before now, `+5m` is after it, `13:05` and `13:05:30` are the nearest such times between
    `earliest` and `latest`, or the one with the least distance to them.

    Args:
        text: what was typed.
        now: the present, or the position in a recording.
        zone: the time zone of times without an offset; None means the local zone.
        earliest: a clock time is not before it, if it can; None means without a limit.
        latest: a clock time is not after it, if it can; None means without a limit.
    """
    text = text.strip()
    if text.lower().endswith(" ago") and not text.startswith("+"):
        text = text[: -len(" ago")].strip()
        return parse_moment(text, now, zone) if parse_duration(text) is not None else None
    seconds = parse_duration(text.lstrip("+-"))
    try:
        if seconds is not None:
            return now + timedelta(seconds=seconds if text.startswith("+") else -seconds)
        if _CLOCK.fullmatch(text):
            local, clock = now.astimezone(zone), time.fromisoformat(text.zfill(5 if text.count(":") == 1 else 8))
            days = (datetime.combine(local.date() + timedelta(days=day), clock, local.tzinfo) for day in (-1, 0, 1))
            return min(days, key=lambda on: (_outside(on, earliest, latest), abs(on - now))).astimezone(UTC)
        on = datetime.fromisoformat(text)
        return (on.replace(tzinfo=zone) if on.tzinfo is None and zone else on).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _outside(on: datetime, earliest: datetime | None, latest: datetime | None) -> timedelta:
    """The distance of a time from a span; zero within it."""
    before = earliest - on if earliest is not None else timedelta()
    after = on - latest if latest is not None else timedelta()
    return max(before, after, timedelta())


def parse_date(text: str) -> datetime | None:
    """A point in time, given as a date or a time, in UTC without an offset; None if it is neither."""
    try:
        on = datetime.fromisoformat(text)
        return on.replace(tzinfo=UTC) if on.tzinfo is None else on.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
