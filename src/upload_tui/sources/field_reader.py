"""Read single fields of a source's line, each with the anomaly of a value that cannot be read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from upload_tui.sources.contract import parse_number, quote
from upload_tui.status import FUTURE_TOLERANCE, Anomaly, AnomalyName
from upload_tui.wire import format_time, parse_nonzero_time

__all__ = ["FieldReader"]

Value = TypeVar("Value", int, datetime)

_MAX_ANOMALIES = 20


class FieldReader:
    """Reads single fields, and collects the anomalies of those that cannot be read, and the numbers on which two fields differ."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self._anomalies: list[Anomaly] = []
        self._differences: list[str] = []

    def _unreadable(self, key: str, value: object) -> None:
        if len(self._anomalies) < _MAX_ANOMALIES:
            self._anomalies.append(Anomaly(AnomalyName.UNREADABLE_FIELD, f"{key} is {quote(value)}"))

    def _text(self, key: str) -> str:
        value = self._fields.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self._unreadable(key, value)
        return ""

    def _count(self, key: str, fields: Mapping[str, Any] | None = None) -> int | None:
        value = (self._fields if fields is None else fields).get(key)
        number = parse_number(value)
        if value is not None and number is None:
            self._unreadable(key, value)
        return number

    def _either(self, key: str, value: Value | None, other_key: str, other: Value | None) -> Value | None:
        """The value of a field, else that of another one that means the same; None if they differ."""
        if value is None or other is None or value == other:
            return other if value is None else value
        # Without the values: they may grow, and each would be a new anomaly.
        difference = f"{key} and {other_key} differ"
        if isinstance(value, int):
            self._differences.append(difference)
        else:
            self._anomalies.append(Anomaly(AnomalyName.UNREADABLE_FIELD, difference))
        return None

    def _flag(self, key: str) -> bool:
        value = self._fields.get(key)
        if value is not None and not isinstance(value, bool):
            self._unreadable(key, value)
        return value is True

    def _time(self, fields: Mapping[str, Any], key: str) -> datetime | None:
        value = fields.get(key)
        on = parse_nonzero_time(value)
        if value is not None and on is None:
            self._unreadable(key, value)
        return on

    def _past_time(self, key: str, read_on: datetime) -> datetime | None:
        """A time of something that has happened; None also if it was still to come when the line was read."""
        on = self._time(self._fields, key)
        if on is None or on <= read_on + FUTURE_TOLERANCE:
            return on
        self._anomalies.append(
            Anomaly(AnomalyName.TIME_IN_FUTURE, f"{key} is {format_time(on)}, which is in the future")
        )
        return None
