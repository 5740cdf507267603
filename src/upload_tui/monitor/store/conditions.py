"""What a query asks of a row, as SQL: a search in any text, and what needs attention. Used by `Store` alone."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.schema import UNKNOWN

__all__ = [
    "StuckThresholds",
    "StuckThreshold",
    "attention_condition",
    "search_condition",
    "trigram_query",
    "stuck_condition",
]

_TRIGRAM_LENGTH = 3
"""The trigram index finds nothing shorter."""
_MAX_TRIGRAMS = 12


class StuckThreshold(Struct, frozen=True):
    """A completed upload of these sizes looks stuck if it has waited since `before`.

    `project_id` None is any project; sizes are from `least_bytes` and below `below_bytes`.
    """

    project_id: str | None
    min_bytes: int
    below_bytes: int
    before: datetime


class StuckThresholds(Struct, frozen=True):
    """From which times on pending uploads look stuck: an initiated one whose last activity, a completed one whose stage, is older.

    `particular` are projects and sizes of which more is known; the first that fits counts, before `completed`.
    """

    initiated: datetime
    completed: datetime
    specific: tuple[StuckThreshold, ...] = ()


def stuck_condition(completed: datetime, specific: Sequence[StuckThreshold]) -> tuple[str, tuple[object, ...]]:
    """A completed upload has waited since before its limit."""
    parts: list[str] = []
    values: list[object] = []
    for limit in specific:
        if limit.project_id is None:
            parts.append("WHEN size_bytes >= ? AND size_bytes < ? THEN ?")
        else:
            parts.append(
                "WHEN project = (SELECT project FROM projects WHERE id = ?) AND size_bytes >= ? AND size_bytes < ? THEN ?"
            )
            values.append(limit.project_id)
        values.extend((limit.min_bytes, limit.below_bytes, to_ms(limit.before)))
    values.append(to_ms(completed))
    before = f"CASE {' '.join(parts)} ELSE ? END" if parts else "?"
    return f"(since_ms > {UNKNOWN} AND since_ms < {before})", tuple(values)


def attention_condition(stuck: StuckThresholds) -> tuple[str, tuple[object, ...]]:
    """Failed, or stuck."""
    late, values = stuck_condition(stuck.completed, stuck.specific)
    idle = f"(max(ifnull(activity_ms, {UNKNOWN}), since_ms) BETWEEN {UNKNOWN + 1} AND ? - 1)"
    condition = f"(stage = 3 OR (stage = 1 AND {late}) OR (stage = 0 AND {idle}))"
    return condition, (*values, to_ms(stuck.initiated))


def search_condition(text: str) -> tuple[str, tuple[object, ...]]:
    """A part of a name, id or error message."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return "(name LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\' OR error_message LIKE ? ESCAPE '\\')", (pattern,) * 3


def trigram_query(text: str) -> str:
    """What the trigram index is asked for a text: every one of its trigrams, or some of a long text's; empty if it has none."""
    grams = [*dict.fromkeys(text[place : place + _TRIGRAM_LENGTH] for place in range(len(text) - _TRIGRAM_LENGTH + 1))]
    some = grams[:: -(-len(grams) // _MAX_TRIGRAMS) or 1]
    return " AND ".join('"' + gram.replace('"', '""') + '"' for gram in some if "\x00" not in gram)
