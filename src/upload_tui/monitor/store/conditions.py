"""SQL conditions on rows: the tree of a query, and the rules of trouble. `queries.matching` is the same in memory.

Every condition is true or false for every row, never NULL, so that it can be negated. Values are bound. Columns with an index have a
`+`, so that SQLite walks the order instead; `index_conditions` are for finding few rows at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.queries.matching import (
    COMPARISONS,
    matches_project,
    matches_texts,
    messages_of_short_cause,
    state_words,
    time_bound,
)
from upload_tui.monitor.queries.query import (
    UNKNOWN_STAGE,
    AllOf,
    AnyOf,
    Expression,
    Not,
    NumberTerm,
    StageTerm,
    State,
    StateTerm,
    TextTerm,
    TimeTerm,
)
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.rows import UNKNOWN_STATE_RANK, to_ms
from upload_tui.monitor.store.schema import UNKNOWN, read_lease
from upload_tui.status import Certainty, Stage

__all__ = [
    "Condition",
    "Conditions",
    "WaitThreshold",
    "WaitThresholds",
    "TroubleThresholds",
    "acknowledged_condition",
    "failed_condition",
    "idle_condition",
    "waited_condition",
]

Condition = tuple[str, tuple[object, ...]]
"""An SQL condition and the values of its parameters."""

_RANKS: Mapping[str, int] = {**{str(stage): stage.rank for stage in Stage}, UNKNOWN_STAGE: UNKNOWN_STATE_RANK}
_FOREVER = 2**62


class WaitThreshold(Struct, frozen=True):
    """Completed uploads of one project (None: any) and size have waited too long if they were completed before `before`.

    Sizes are from `min_bytes` (inclusive) to `below_bytes` (exclusive).
    """

    project_id: str | None
    min_bytes: int
    below_bytes: int
    before: datetime


class WaitThresholds(Struct, frozen=True):
    """The times before which pending uploads have waited too long: are overdue, or stuck.

    Attributes:
        initiated: for the last activity of an initiated upload.
        completed: for the completion of a completed one.
        specific: thresholds of particular projects and sizes; the first that matches wins over `completed`.
        behind_ms: the projects that were last current so long before the others; their uploads have waited less by that time.
    """

    initiated: datetime
    completed: datetime
    specific: tuple[WaitThreshold, ...] = ()
    behind_ms: tuple[tuple[str, int], ...] = ()


class TroubleThresholds(Struct, frozen=True):
    """The times that decide on trouble, all as of `now`.

    Attributes:
        overdue: before which pending uploads are overdue, or stuck.
        failed_since: from when on failures are recent.
        stuck: before which pending uploads are stuck.
        now: in whole seconds.
    """

    overdue: WaitThresholds
    failed_since: datetime
    stuck: WaitThresholds
    now: datetime


# Trouble


def acknowledged_condition(now: datetime) -> Condition:
    """The SQL condition that an upload's trouble is acknowledged at this time."""
    return f"(acknowledged_stage IS stage AND ifnull(acknowledged_until_ms, {_FOREVER}) > ?)", (to_ms(now),)


def waited_condition(thresholds: WaitThresholds) -> Condition:
    """The condition that a completed upload has waited since before its threshold."""
    cases: list[str] = []
    values: list[object] = []
    for threshold in thresholds.specific:
        if threshold.project_id is None:
            cases.append("WHEN size_bytes >= ? AND size_bytes < ? THEN ?")
        else:
            cases.append(
                "WHEN project = (SELECT project FROM projects WHERE id = ?) AND size_bytes >= ? AND size_bytes < ? THEN ?"
            )
            values.append(threshold.project_id)
        values.extend((threshold.min_bytes, threshold.below_bytes, to_ms(threshold.before)))
    values.append(to_ms(thresholds.completed))
    before = f"CASE {' '.join(cases)} ELSE ? END" if cases else "?"
    since, more = _shifted("+since_ms", thresholds)
    return f"(+since_ms > {UNKNOWN} AND {since} < {before})", (*more, *values)


def idle_condition(thresholds: WaitThresholds) -> Condition:
    """The condition that nothing has happened to an initiated upload since its threshold."""
    # As `StoredUpload.idle_since`.
    is_bound = f"certainty = '{Certainty.OBSERVED}' AND activity_ms IS NOT NULL"
    began = f"CASE WHEN {is_bound} THEN ifnull(earliest_ms, {UNKNOWN}) ELSE since_ms END"
    last = f"max(ifnull(activity_ms, {UNKNOWN}), {began})"
    shifted, values = _shifted(last, thresholds)
    return f"({last} > {UNKNOWN} AND {shifted} < ?)", (*values, to_ms(thresholds.initiated))


def _shifted(time_ms: str, thresholds: WaitThresholds) -> Condition:
    """A time of an upload, later by as much as its project is behind."""
    if not thresholds.behind_ms:
        return time_ms, ()
    cases = " ".join(["WHEN project = (SELECT project FROM projects WHERE id = ?) THEN ?"] * len(thresholds.behind_ms))
    return f"({time_ms} + CASE {cases} ELSE 0 END)", tuple(value for one in thresholds.behind_ms for value in one)


def failed_condition(since: datetime) -> Condition:
    """The condition that an upload in error failed since then, or at an unknown time."""
    return f"(+since_ms >= ? OR +since_ms = {UNKNOWN})", (to_ms(since),)


_CONTRADICTORY: Condition = (f"(+is_contradictory = 1 AND +stage = {Stage.VERIFIED.rank})", ())


def _pending_too_long(thresholds: WaitThresholds) -> Condition:
    """The condition that a pending upload has waited since before its threshold."""
    return _any(
        _all((f"+stage = {Stage.INITIATED.rank}", ()), idle_condition(thresholds)),
        _all((f"+stage = {Stage.COMPLETED.rank}", ()), waited_condition(thresholds)),
    )


def _trouble_condition(thresholds: TroubleThresholds) -> Condition:
    """The condition that an upload that counts is in trouble: `analysis.trouble.trouble_of` in SQL."""
    failed = _all((f"+stage = {Stage.ERROR.rank}", ()), failed_condition(thresholds.failed_since))
    return _any(_CONTRADICTORY, _pending_too_long(thresholds.overdue), failed)


# Terms


def _all(*conditions: Condition) -> Condition:
    return _joined(conditions, " AND ", "1")


def _any(*conditions: Condition) -> Condition:
    return _joined(conditions, " OR ", "0")


def _joined(conditions: Sequence[Condition], word: str, empty: str) -> Condition:
    if not conditions:
        return empty, ()
    sql = word.join(condition for condition, _ in conditions)
    return f"({sql})", tuple(value for _, values in conditions for value in values)


def _not(condition: Condition) -> Condition:
    return f"NOT {condition[0]}", condition[1]


_ORDERED_COLUMNS = {"size": "size_bytes", "age": "since_ms"}
"""Columns that are never NULL and have an index."""
_MIRRORED = str.maketrans("<>", "><")


def _number_condition(term: NumberTerm, now: datetime, plus: str = "+") -> Condition:
    """The condition on a number; without `plus`, an index may serve it."""
    assert term.operator in COMPARISONS  # noqa: S101  # it becomes part of the statement
    if term.field in _ORDERED_COLUMNS:
        column, comparison, values = f"{plus}{_ORDERED_COLUMNS[term.field]}", term.operator, term.values
        if term.field == "age":  # older means since an earlier time
            now_ms = to_ms(now) or 0
            comparison, values = comparison.translate(_MIRRORED), tuple(now_ms - value for value in values)
        return _any(*((f"{_from_known(column, comparison)}{column} {comparison} ?", (value,)) for value in values))
    column = "ended_ms - completed_ms" if term.field == "took" else "chunk_count"
    return _any(*((f"ifnull({column} {term.operator} ?, 0)", (value,)) for value in term.values))


def _time_condition(term: TimeTerm, now: datetime, plus: str = "+") -> Condition:
    comparison = "<=" if term.is_until else ">="
    column = f"{plus}first_event_ms"
    return f"({_from_known(column, comparison)}{column} {comparison} ?)", (to_ms(time_bound(term, now)),)


def _from_known(column: str, comparison: str) -> str:
    """A lower bound that excludes unknown values, where the comparison has none: with two, SQLite takes the first for its index."""
    return f"{column} > {UNKNOWN} AND " if comparison.startswith("<") else ""


_SEARCHED_COLUMNS = ("name", "id", "error_message")


def _contains(value: str) -> Condition:
    """The condition that a name, id or message contains a folded text."""
    # A text in ASCII is contained in the folded form wherever it is in the form that SQLite folds. Most rows have no other form.
    plain = [(f"instr(lower({column}), ?)", (value,)) for column in _SEARCHED_COLUMNS] if value.isascii() else []
    return _any(*plain, ("instr(folded, ?)", (value,)))


def _short_cause_conditions(term: TextTerm) -> Sequence[Condition]:
    """Conditions that the short cause of a message contains a value or is equal to one."""
    fixed_texts = messages_of_short_cause(term)
    return [("substr(error_message, 1, ?) = ?", (len(fixed), fixed)) for fixed in fixed_texts]


def _word_conditions(term: TextTerm) -> Iterator[Condition]:
    """Conditions that a value begins the word of an upload's state."""
    words = state_words(term)
    ranks = ", ".join(str(_RANKS[word]) for word in words if word in _RANKS)
    if ranks:
        yield f"(+stage IN ({ranks}) AND is_gone = 0)", ()
    if any(word not in _RANKS for word in words):
        yield "is_gone = 1", ()


def _column_condition(term: TextTerm, *columns: str) -> Condition:
    """The condition that one of some columns, which `folded` covers, contains a value or is equal to one."""
    if term.is_exact:
        forms = [f"CASE folded WHEN '' THEN lower({column}) ELSE fold({column}) END" for column in columns]
        return _any(*((f"{form} = ?", (value,)) for value in term.values for form in forms))
    conditions: list[Condition] = []
    for column in columns:
        for value in term.values:
            if value.isascii():
                conditions.append((f"instr(lower({column}), ?)", (value,)))
            conditions.append((f"(folded <> '' AND instr(fold({column}), ?))", (value,)))
    return _any(*conditions)


_LABEL_COLUMNS = {"by": "uploader", "storage": "storage_provider", "type": "content_type"}
_MAX_LABELS = 200
"""Columns with more different values are searched row by row."""


class Conditions:
    """Translates the terms of one query.

    Args:
        db: the store's database, for the values of columns with few different ones.
        thresholds: that decide on trouble, and the present.
        projects: of the store, by row number.
        marked: the ids of the marked uploads.
    """

    def __init__(
        self,
        db: Database,
        thresholds: TroubleThresholds,
        projects: Mapping[int, ProjectRef],
        marked: frozenset[str] = frozenset(),
    ) -> None:
        self._db = db
        self._thresholds = thresholds
        self._projects = projects
        self._marked = marked

    def condition(self, tree: Expression) -> Condition:
        """The condition that an upload matches."""
        match tree:
            case TextTerm():
                return self._text_condition(tree)
            case StageTerm():
                ranks = ", ".join(str(_RANKS[stage]) for stage in sorted(tree.stages))
                return f"(+stage IN ({ranks}) AND is_gone = 0)", ()
            case StateTerm():
                return _any(*(self._state_condition(state) for state in sorted(tree.states)))
            case NumberTerm():
                return _number_condition(tree, self._thresholds.now)
            case TimeTerm():
                return _time_condition(tree, self._thresholds.now)
            case AllOf():
                return _all(*map(self.condition, tree.parts))
            case AnyOf():
                return _any(*map(self.condition, tree.parts))
            case Not():
                return _not(self.condition(tree.part))

    def _state_condition(self, state: State) -> Condition:
        thresholds = self._thresholds
        match state:
            case State.GONE:
                return "is_gone = 1", ()
            case State.ACKNOWLEDGED:
                return acknowledged_condition(thresholds.now)
            case State.MARKED:
                return f"id IN ({', '.join('?' * len(self._marked))})", tuple(sorted(self._marked))
            case State.PENDING | State.FAILED:
                ranks = "0, 1" if state is State.PENDING else "3"
                return f"(+stage IN ({ranks}) AND is_gone = 0)", ()
            case State.STUCK:
                wrong = _pending_too_long(thresholds.stuck)
            case State.OVERDUE:
                wrong = _pending_too_long(thresholds.overdue)
            case State.CONTRADICTORY:
                wrong = _CONTRADICTORY
            case State.TROUBLE:
                wrong = _trouble_condition(thresholds)
        return _all(("is_gone = 0", ()), wrong, _not(acknowledged_condition(thresholds.now)))

    def _text_condition(self, term: TextTerm) -> Condition:
        match term.field:
            case "":
                return _any(*map(_contains, term.values), *_short_cause_conditions(term), *_word_conditions(term))
            case "name" | "id":
                return _column_condition(term, term.field)
            case "error":
                columns = _column_condition(term, "error_message", "cause")
                return _all((f"+stage = {Stage.ERROR.rank}", ()), _any(columns, *_short_cause_conditions(term)))
            case "project":
                numbers = [number for number, project in self._projects.items() if matches_project(term, project)]
                return f"project IN ({', '.join(map(str, numbers))})", ()
            case "service":
                return "0", ()  # the picture knows its service, and has replaced the term
            case field:
                return self._label_condition(term, _LABEL_COLUMNS[field])

    def _label_condition(self, term: TextTerm, column: str, plus: str = "+") -> Condition:
        labels = self._labels(column)
        if labels is None:
            compared = "fold({}) = ?" if term.is_exact else "instr(fold({}), ?)"
            return _any(*((compared.format(column), (value,)) for value in term.values))
        matching = tuple(label for label in labels if matches_texts(term, (label,)))
        return f"{plus}{column} IN ({', '.join('?' * len(matching))})", matching

    def _labels(self, column: str) -> Sequence[str] | None:
        """The different values of a column with an index; None if they are too many, or if the index is missing."""
        if read_lease(self._db) is not None:
            return None
        rows = self._db.execute(
            f"WITH RECURSIVE labels (label) AS (SELECT min({column}) FROM uploads UNION ALL "
            f"SELECT (SELECT min({column}) FROM uploads WHERE {column} > label) FROM labels WHERE label IS NOT NULL) "
            f"SELECT label FROM labels WHERE label IS NOT NULL LIMIT {_MAX_LABELS + 1}"
        )
        return None if len(rows) > _MAX_LABELS else [row[0] for row in rows]

    def index_conditions(self, tree: Expression) -> Iterator[Condition]:
        """Conditions that every match fulfils and that an index serves."""
        match tree:
            case AllOf():
                for part in tree.parts:
                    yield from self.index_conditions(part)
            case NumberTerm() if tree.field in _ORDERED_COLUMNS:
                yield _number_condition(tree, self._thresholds.now, plus="")
            case TimeTerm():
                yield _time_condition(tree, self._thresholds.now, plus="")
            case TextTerm() if tree.field in _LABEL_COLUMNS:
                column = _LABEL_COLUMNS[tree.field]
                if self._labels(column) is not None:
                    yield self._label_condition(tree, column, plus="")
            case StateTerm() if tree.states == {State.ACKNOWLEDGED}:
                yield "acknowledged_stage IS NOT NULL", ()
            case StateTerm() if tree.states == {State.MARKED}:
                yield self._state_condition(State.MARKED)
