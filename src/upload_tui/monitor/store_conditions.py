"""What a query asks of a row, as SQL: a search in any text, and what needs attention. Used by `Store` alone."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from upload_tui.monitor.schema import UNKNOWN
from upload_tui.monitor.stored_rows import milliseconds

__all__ = ["StuckBefore", "StuckLimit", "attention_condition", "search_condition", "search_grams", "stuck_condition"]

_GRAM = 3
"""The trigram index finds nothing shorter."""
_GRAMS_AT_MOST = 12


class StuckLimit(Struct, frozen=True):
    """A completed upload of these sizes looks stuck if it has waited since `before`.

    `project_id` None is any project; sizes are from `least_bytes` and below `limit_bytes`.
    """

    project_id: str | None
    least_bytes: int
    limit_bytes: int
    before: datetime


class StuckBefore(Struct, frozen=True):
    """From which times on pending uploads look stuck: an initiated one whose last activity, a completed one whose stage, is older.

    `particular` are projects and sizes of which more is known; the first that fits counts, before `completed`.
    """

    initiated: datetime
    completed: datetime
    particular: tuple[StuckLimit, ...] = ()


def stuck_condition(completed: datetime, particular: Sequence[StuckLimit]) -> tuple[str, tuple[object, ...]]:
    """A completed upload has waited since before its limit."""
    parts: list[str] = []
    values: list[object] = []
    for limit in particular:
        if limit.project_id is None:
            parts.append("WHEN size_bytes >= ? AND size_bytes < ? THEN ?")
        else:
            parts.append(
                "WHEN project = (SELECT project FROM projects WHERE id = ?) AND size_bytes >= ? AND size_bytes < ? THEN ?"
            )
            values.append(limit.project_id)
        values.extend((limit.least_bytes, limit.limit_bytes, milliseconds(limit.before)))
    values.append(milliseconds(completed))
    before = f"CASE {' '.join(parts)} ELSE ? END" if parts else "?"
    return f"(since_ms > {UNKNOWN} AND since_ms < {before})", tuple(values)


def attention_condition(stuck: StuckBefore) -> tuple[str, tuple[object, ...]]:
    """Failed, or stuck."""
    late, values = stuck_condition(stuck.completed, stuck.particular)
    idle = f"(max(ifnull(activity_ms, {UNKNOWN}), since_ms) BETWEEN {UNKNOWN + 1} AND ? - 1)"
    condition = f"(stage = 3 OR (stage = 1 AND {late}) OR (stage = 0 AND {idle}))"
    return condition, (*values, milliseconds(stuck.initiated))


def search_condition(text: str) -> tuple[str, tuple[object, ...]]:
    """A part of a name, id or error message."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return "(name LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\' OR error_message LIKE ? ESCAPE '\\')", (pattern,) * 3


def search_grams(text: str) -> str:
    """What the trigram index is asked for a text: every one of its trigrams, or some of a long text's; empty if it has none."""
    grams = [*dict.fromkeys(text[place : place + _GRAM] for place in range(len(text) - _GRAM + 1))]
    some = grams[:: -(-len(grams) // _GRAMS_AT_MOST) or 1]
    return " AND ".join('"' + gram.replace('"', '""') + '"' for gram in some if "\x00" not in gram)
