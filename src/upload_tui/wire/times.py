"""Times in the format of the service: ISO 8601, UTC, milliseconds (`2019-05-08T15:52:23.386Z`).

The only place that decides which times can be read: `parse_ms` accepts a part of what `parse_time` accepts, with the same result.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from upload_tui.status import format_time

__all__ = ["EPOCH", "MILLISECOND", "format_time", "is_zero_time", "parse_ms", "parse_nonzero_time", "parse_time"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
_DAY_MS = 86_400_000
_DATE_AND_HOUR_CHARACTERS = len("20190508T15")
_FIRST_YEAR, _YEAR_AFTER_LAST = "1900", "3000"
"""Other times cannot be read: the sum of such a time and a duration between two of them may be beyond the calendar."""
_ZERO_TIMES = frozenset({datetime(1, 1, 1, tzinfo=UTC), EPOCH})


def parse_time(text: object) -> datetime | None:
    """Parse a time of the service, in UTC and with milliseconds; None if it is not a time. Never raises.

    Reads ISO 8601 with a date and a time of day, in the extended and the basic format, with any number of decimals, from 1900 to
    2999. A time without an offset is UTC.
    """
    if not isinstance(text, str) or not _FIRST_YEAR <= text < _YEAR_AFTER_LAST:
        return None
    on = _parse_utc(text)
    return None if on is None else on.replace(microsecond=on.microsecond // 1000 * 1000)


def parse_nonzero_time(text: object) -> datetime | None:
    """Parse a time as `parse_time` does; None also for what some systems write for null."""
    on = parse_time(text)
    return None if on in _ZERO_TIMES else on


def is_zero_time(text: str) -> bool:
    """Whether a time is what some systems write for null: the first moment of the year 1, or of 1970."""
    return _parse_utc(text) in _ZERO_TIMES


def parse_ms(text: Any) -> int | None:
    """Milliseconds since 1970 of a time in the service's own format or with the offset +00:00, fast; None for None.

    Raises:
        ValueError: another format, or not a time.
        TypeError: not a text.
    """
    if text is None:
        return None
    if not _FIRST_YEAR <= text < _YEAR_AFTER_LAST or (text[-1] != "Z" and text[-6:] != "+00:00"):
        raise ValueError(text)
    since = _parse(text) - EPOCH
    return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000  # half the time of a division


def _parse_utc(text: str) -> datetime | None:
    try:
        on = _parse(f"{text[:-1]}Z" if text[-1:] == "z" else text)
        return on.replace(tzinfo=UTC) if on.tzinfo is None else on.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _parse(text: str) -> datetime:
    # Python also reads weeks, and any sign before the time of the basic format: numbers since 1970 can look like it.
    # A date alone would be midnight: an age that may be a day too long.
    is_date = len(text) < _DATE_AND_HOUR_CHARACTERS
    if is_date or (text[4:8:3] != "--" and not (text[:8].isdigit() and text[8:9] in {"T", "t", " "})):
        raise ValueError(text)
    return datetime.fromisoformat(text)
