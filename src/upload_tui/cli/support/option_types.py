"""Times and durations as people type them on a command line: `90s`, `15m`, `2h`, `1d`, a date, or a whole time."""

import re
from datetime import UTC, datetime, timedelta

import click

__all__ = ["parse_duration", "parse_since"]

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _parse_seconds(text: str) -> float | None:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)", text.strip().lower(), re.ASCII)
    return float(match[1]) * _UNIT_SECONDS[match[2]] if match else None


def parse_duration(text: str) -> float:
    """A duration in seconds; the type of an option."""
    seconds = _parse_seconds(text)
    if not seconds:
        raise click.BadParameter(f"{text!r} is not a duration like 90s, 15m, 2h or 1d.")
    return seconds


def parse_since(text: str) -> datetime:
    """A point in time: so long ago, or a date or time (without an offset: UTC); the type of an option."""
    seconds = _parse_seconds(text)
    try:
        if seconds is not None:
            return datetime.now(UTC) - timedelta(seconds=seconds)
        on = datetime.fromisoformat(text)
        return on.replace(tzinfo=UTC) if on.tzinfo is None else on.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{text!r} is neither a duration like 2h nor a time like 2026-03-14T09:26:53Z."
        ) from error
