"""The columns of the tables of uploads and changes, and the flat rows of CSV."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from upload_tui.cli.support.output import Column, Record

__all__ = ["change_columns", "flat_change", "flat_upload", "local_time", "upload_columns"]


def local_time(text: str | None, zone: tzinfo | None) -> str:
    """Format a record's time in a time zone (None: the system's); `?` if it is not known."""
    if text is None:
        return "?"
    on = datetime.fromisoformat(text)
    try:
        return on.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):  # the first and last days of the calendar
        return on.strftime("%Y-%m-%d %H:%M:%SZ")


def _age(record: Record) -> str:
    from upload_tui.text import age_text

    since = record["stage_since"]
    if since is None:
        return "?"
    return age_text((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())


def _size(record: Record) -> str:
    from upload_tui.text import size_text

    return size_text(record["size_bytes"])


def _note(record: Record) -> str:
    """The error message, whether the upload is stuck or overdue, and its anomalies."""
    late = "stuck" if record["stuck"] else "overdue" if record["overdue"] else ""
    anomalies = ", ".join(anomaly["name"].replace("_", " ") for anomaly in record["anomalies"])
    return "; ".join(part for part in (record["error_message"], late, anomalies) if part)


def upload_columns(zone: tzinfo | None) -> Sequence[Column]:
    """The columns of `list` and `wait`. On a narrow terminal the note is shortened first, then the name."""
    return (
        Column("STAGE", lambda record: record["stage"]),
        Column("SINCE", lambda record: local_time(record["stage_since"], zone), drop_order=1),
        Column("AGE", _age, is_number=True, drop_order=5),
        Column("SIZE", _size, is_number=True, drop_order=4),
        Column(
            "PROJECT", lambda record: record["project"]["name"] or record["project"]["id"], min_width=12, drop_order=2
        ),
        Column("ID", lambda record: record["id"]),
        Column("NAME", lambda record: record["name"], min_width=16, drop_order=6),
        Column("NOTE", _note, min_width=24, drop_order=3, is_prose=True),
    )


def _change_text(record: Record) -> str:
    match record["kind"]:
        case "stage":
            return f"{record['from'] or 'new'} → {record['to']}" if record["from"] else str(record["to"])
        case "connection":
            return str(record["to"])
        case kind:
            return str(kind)


def _change_upload(record: Record) -> str:
    upload: dict[str, Any] | None = record["upload"]
    return "" if upload is None else f"{upload['name']} ({upload['id']})"


def change_columns(zone: tzinfo | None) -> Sequence[Column]:
    """The columns of `tail`, which prints line by line: only what has a known width is aligned."""
    return (
        Column("AT", lambda record: local_time(record["on"] or record["at"], zone)),
        Column("CHANGE", lambda record: f"{_change_text(record):<21}"),
        Column("UPLOAD", _change_upload),
        Column("NOTE", lambda record: record["error_message"] or record["detail"] or ""),
    )


def flat_upload(record: Record) -> Record:
    """Flatten an upload to one row of CSV."""
    from upload_tui.monitor import records

    return records.flat_upload(record)


def flat_change(record: Record) -> Record:
    """Flatten a change to one row of CSV."""
    from upload_tui.monitor import records

    return records.flat_change(record)
