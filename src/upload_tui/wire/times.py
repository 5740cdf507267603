"""Times as the service writes them: ISO 8601, UTC, milliseconds (`2019-05-08T15:52:23.386Z`)."""

from datetime import UTC, datetime

__all__ = ["format_time", "read_time"]


def format_time(on: datetime) -> str:
    """An aware time as the service writes it."""
    return on.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(text: object) -> datetime | None:
    """The time that a service's text means, in UTC and to the millisecond; None if it means none.

    A time without an offset is taken as UTC. Never raises: anything may come from a service.
    """
    if not isinstance(text, str) or not 10 <= len(text) <= 40:
        return None
    try:
        on = datetime.fromisoformat(text)
        on = on.replace(tzinfo=UTC) if on.tzinfo is None else on.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return on.replace(microsecond=on.microsecond // 1000 * 1000)
