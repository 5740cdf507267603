"""Times in the format of the service: ISO 8601, UTC, milliseconds (`2019-05-08T15:52:23.386Z`)."""

from datetime import UTC, datetime

__all__ = ["format_time", "read_time"]


def format_time(on: datetime) -> str:
    """Format an aware time as the service does."""
    return on.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(text: object) -> datetime | None:
    """Parse a time of the service, in UTC and with milliseconds; None if it is not a time. Never raises.

    A time without an offset is UTC.
    """
    if not isinstance(text, str) or not 10 <= len(text) <= 40:
        return None
    try:
        on = datetime.fromisoformat(text)
        on = on.replace(tzinfo=UTC) if on.tzinfo is None else on.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return on.replace(microsecond=on.microsecond // 1000 * 1000)
