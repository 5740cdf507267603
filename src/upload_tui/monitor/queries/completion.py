"""Completion of a query while it is typed: earlier queries first, then fields and the values of fields."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.model import ProjectRef, Row
from upload_tui.monitor.queries.query import (
    FIELDS,
    NUMBER_FIELDS,
    STAGE_NAMES,
    Expression,
    Query,
    StageTerm,
    State,
    StateTerm,
    TextTerm,
    Where,
)
from upload_tui.text import fold

if TYPE_CHECKING:
    from upload_tui.monitor.picture import Picture

__all__ = ["Completion", "ValueCounts", "complete_query", "field_values"]

_LAST_TERM = re.compile(r"(?:^|[\s(])-?(?:([A-Za-z]+)(?:!=|[:=]))?([^\s(),:=<>\"]*)$")
_LAST_VALUE = re.compile(r"(?:^|[\s(])-?([A-Za-z]+)(?:!=|>=|<=|[:=<>])[^\s()\"]*$")
_VALUES: Mapping[str, Sequence[str]] = {"stage": STAGE_NAMES, "is": tuple(State)}


ValueCounts: TypeAlias = "Sequence[tuple[str, int | None]]"
"""Values of a field, each with the number of uploads that have it; None if that is not known."""


class Completion(Struct, frozen=True):
    """A completed text, and a line of help for the field that is being typed; each is empty if there is none."""

    text: str = ""
    help: str = ""


def _no_values(field: str) -> ValueCounts:
    return [(value, None) for value in _VALUES.get(field, ())]


def complete_query(
    text: str, searches: Sequence[str] = (), values_of: Callable[[str], ValueCounts] = _no_values
) -> Completion:
    """Complete a text.

    Args:
        text: what was typed.
        searches: earlier queries, the last one first; they come before fields and values.
        values_of: the values of a field.
    """
    earlier = next((one for one in searches if text and one.startswith(text) and one != text), "")
    value = _LAST_VALUE.search(text)
    name = value[1].lower() if value else ""
    match = _LAST_TERM.search(text)
    values = values_of(name) if name in FIELDS else ()
    names = [value for value, _ in values] if match and match[1] else _FIELD_NAMES
    found = _continuation(names, match[2], is_field=not match[1]) if match else ""
    completed = text + found
    if name not in FIELDS:
        name = re.split(r"[:>]", completed.split()[-1].lstrip("(-"))[0] if found else ""
    typed = match[2].lower() if match and match[1] else ""
    values = sorted(values, key=lambda one: not one[0].lower().startswith(typed))  # a narrow line cuts the last ones
    counted = ", ".join(f"{value} {count:,}" for value, count in values if count)
    return Completion(
        earlier or (completed if found else ""), f"{name}: {counted or FIELDS[name]}" if name in FIELDS else ""
    )


_FIELD_NAMES = [f"{name}{'>' if name in NUMBER_FIELDS else ':'}" for name in FIELDS]
_WORD_END = re.compile(r"[\s(),\"]")


def _continuation(candidates: Sequence[str], beginning: str, *, is_field: bool) -> str:
    """How the first candidate that begins so goes on, up to a character that would need quotation marks; empty if none does."""
    words = (_WORD_END.split(one, maxsplit=1)[0] for one in candidates)
    is_enough = not is_field or len(beginning) > 1  # one letter begins many fields
    starts = (one for one in words if is_enough and one.lower().startswith(beginning.lower()))
    return next((rest for one in starts if (rest := one[len(beginning) :])), "")


_MAX_VALUES = 8
_SAMPLED_ROWS = 200
_COUNT_SECONDS = 0.01
"""How long one value is counted; among very many uploads it has no number then."""
_OF_ROW: Mapping[str, Callable[[Row], str]] = {
    "by": lambda row: row.uploader,
    "storage": lambda row: row.storage_provider,
    "type": lambda row: row.content_type,
    "service": lambda row: row.service_title or row.service,
}


def field_values(picture: "Picture", scope: Query, projects: Sequence[ProjectRef], field: str) -> ValueCounts:
    """The values of a field that uploads in the scope of a query (its projects) have, the most frequent first.

    Texts are those of the newest uploads and, for `error`, the causes of all failures.
    """
    scope = Query(project_ids=scope.project_ids, marked=scope.marked)
    counts = [(value, _count(picture, scope, field, value)) for value in _values(picture, scope, projects, field)]
    return sorted(counts, key=lambda one: -(one[1] or 0))


def _values(picture: "Picture", scope: Query, projects: Sequence[ProjectRef], field: str) -> Sequence[str]:
    if field in _VALUES:
        return _VALUES[field]
    if field == "project":
        found = [project.name or project.id for project in projects]
    elif field == "error":
        found = [group.cause for group in picture.causes(scope.project_ids)]
    elif field in _OF_ROW:
        rows = picture.window(scope, 0, _SAMPLED_ROWS, _COUNT_SECONDS).rows
        found = [value for value, _ in Counter(map(_OF_ROW[field], rows)).most_common()]
    else:
        return ()
    return [*dict.fromkeys(filter(None, found))][:_MAX_VALUES]


def _count(picture: "Picture", scope: Query, field: str, value: str) -> int | None:
    """The number of uploads with a value; None if counting takes too long."""
    term: Expression
    if field == "stage":
        term = StageTerm(frozenset({value}))
    elif field == "is":
        term = StateTerm(frozenset({State(value)}))
    else:
        term = TextTerm(field, (fold(value),), is_exact=True)
    window = picture.window(replace(scope, where=Where(tree=term)), 0, 1, _COUNT_SECONDS)
    return window.total if window.is_settled else None
