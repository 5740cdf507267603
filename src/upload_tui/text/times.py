"""Points in time as text, and as users type them."""

from datetime import UTC, datetime, timedelta, tzinfo

from upload_tui.status import Certainty, Event
from upload_tui.text.durations import parse_duration

__all__ = ["clock_text", "event_text", "parse_since", "short_clock_text"]


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


def parse_since(text: str) -> datetime | None:
    """A point in time, given as an age (`2h`), a date or a time, in UTC without an offset; None if it is none of these."""
    seconds = parse_duration(text)
    try:
        if seconds is not None:
            return datetime.now(UTC) - timedelta(seconds=seconds)
        on = datetime.fromisoformat(text)
        return on.replace(tzinfo=UTC) if on.tzinfo is None else on.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
