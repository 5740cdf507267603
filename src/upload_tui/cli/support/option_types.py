"""Types of options for durations (`90s`, `15m`, `2h`, `1d`) and points in time (an age, a date, a time)."""

from datetime import datetime

import click

from upload_tui import text as texts

__all__ = ["parse_duration", "parse_since"]


def parse_duration(text: str) -> float:
    """A duration in seconds, greater than zero."""
    seconds = texts.parse_duration(text)
    if not seconds:
        raise click.BadParameter(f"{text!r} is not a duration like 90s, 15m, 2h or 1d.")
    return seconds


def parse_since(text: str) -> datetime:
    """A point in time: that long ago, or a date or a time (in UTC without an offset)."""
    since = texts.parse_since(text)
    if since is None:
        raise click.BadParameter(f"{text!r} is neither a duration like 2h nor a time like 2026-03-14T09:26:53Z.")
    return since
