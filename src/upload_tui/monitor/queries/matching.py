"""Whether an upload or a change matches a query, evaluated in memory; `store.conditions` is the same in SQL. Pure."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from upload_tui.monitor.analysis.statistics import normalize_cause
from upload_tui.monitor.changes import (
    AnomalyNoticed,
    CommandEnded,
    OwnStateReached,
    StageReached,
    UploadChange,
    UploadGone,
    change_word,
)
from upload_tui.monitor.model import ProjectRef, Row, Trouble, UploadKey
from upload_tui.monitor.queries.query import (
    EVERYTHING,
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
    all_of,
)
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.text import SHORT_CAUSES, fold, short_cause
from upload_tui.wire import MILLISECOND

__all__ = [
    "COMPARISONS",
    "begins_word",
    "matches_change",
    "matches_project",
    "matches_row",
    "matches_texts",
    "messages_of_short_cause",
    "state_word",
    "state_words",
    "time_bound",
    "with_service",
]

COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
"""The operators of a `NumberTerm`; SQL has the same."""
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


def time_bound(term: TimeTerm, now: datetime) -> datetime:
    """The time of a term as of now, in whole milliseconds as times are stored; the beginning of the calendar if it is before."""
    try:
        bound = term.on or now - timedelta(seconds=term.ago_seconds or 0.0)
    except OverflowError:
        return _NEVER
    return bound - timedelta(microseconds=bound.microsecond % 1000)


def matches_row(tree: Expression, row: Row, now: datetime, marked: frozenset[UploadKey] = frozenset()) -> bool:
    """Whether an upload matches.

    Args:
        tree: of the query.
        row: the upload, as of now.
        now: for ages, in whole seconds as in the store's queries.
        marked: the keys of the marked uploads.
    """
    stage, message = _stage_and_message(row)
    words = (state_word(stage, is_gone=row.is_gone),)
    return _matches(tree, _Subject(row, stage, (message,), words, row.is_gone, row.first_event_on, now, marked))


def matches_change(
    tree: Expression,
    change: UploadChange,
    row: Row | None,
    now: datetime,
    marked: frozenset[UploadKey] = frozenset(),
    folded: Sequence[UploadChange] = (),
) -> bool:
    """Whether a change matches: with the stage, message and time that it has itself, all else by its upload as it is now.

    Args:
        tree: of the query.
        change: the change; one that reached neither a stage nor a state has no stage.
        row: its upload; None if it is not known, or if `needs_upload` is False.
        now: for ages.
        marked: the keys of the marked uploads.
        folded: other changes that are shown in the same line: words are looked for in all of them.
    """
    changes, row = (change, *folded), row or _unknown_row(change)
    stage = _stage_of(change)
    messages = tuple(text for one in changes for text in _change_messages(one))
    words = tuple(map(change_word, changes))
    is_gone = isinstance(change, UploadGone)
    return _matches(tree, _Subject(row, stage, messages, words, is_gone, change.happened_on, now, marked))


def _stage_of(change: UploadChange) -> str:
    """The stage (of `STAGE_NAMES`) that a change reached; empty if it reached none."""
    if isinstance(change, StageReached):
        return str(change.after)
    return UNKNOWN_STAGE if isinstance(change, OwnStateReached) else ""


def _change_messages(change: UploadChange) -> Sequence[str]:
    match change:
        case StageReached():
            return (change.error_message or "",)
        case OwnStateReached():
            return (change.state,)
        case AnomalyNoticed(anomaly=anomaly):  # the activity shows the words of its name
            text = f"{anomaly.name}: {anomaly.detail}"
            return text, text.replace("_", " ")
        case CommandEnded():
            return (change.text,)
        case _:
            return ()


_GONE_WORD = "gone"
_LEAST_LETTERS = 4


def state_word(stage: str, *, is_gone: bool) -> str:
    """The word of an upload's state; empty for an unknown one, whose name is the message."""
    return _GONE_WORD if is_gone else "" if stage == UNKNOWN_STAGE else stage


def begins_word(term: TextTerm, words: Iterable[str]) -> bool:
    """Whether a term without a field is one of these words for what happened, or its beginning, from four letters on.

    Shorter ones are parts of many names.
    """
    values = () if term.field else tuple(value for value in term.values if len(value) >= _LEAST_LETTERS)
    return any(word.startswith(values) for word in words)


def state_words(term: TextTerm) -> Sequence[str]:
    """The words of states that a term begins."""
    return [word for word in (*map(str, Stage), _GONE_WORD) if begins_word(term, (word,))]


def _stage_and_message(row: Row) -> tuple[str, str]:
    """The stage (of `STAGE_NAMES`), and the unknown state or the error message."""
    return UNKNOWN_STAGE if row.unknown_state else str(row.stage), row.unknown_state or row.error_message


def _unknown_row(change: UploadChange) -> Row:
    """What a change itself has of its upload; its stage is not compared."""
    upload = change.upload
    return Row(
        id=upload.id,
        name=upload.name,
        project_id=upload.project_id,
        project_name=upload.project_name,
        service=upload.service,
        stage=Stage.INITIATED,
        read_on=change.at,
    )


def with_service(tree: Expression, service: str, title: str) -> Expression:
    """The tree for the uploads of one service: each term `service:` becomes a term that matches all or none of them."""
    match tree:
        case TextTerm(field="service"):
            return EVERYTHING if matches_texts(tree, (service, title)) else Not(EVERYTHING)
        case AllOf():
            return all_of(*(with_service(part, service, title) for part in tree.parts))
        case AnyOf():
            return AnyOf(tuple(with_service(part, service, title) for part in tree.parts))
        case Not():
            return Not(with_service(tree.part, service, title))
        case _:
            return tree


class _Subject(Struct, frozen=True):
    """What is compared.

    Attributes:
        row: the upload.
        stage: of `STAGE_NAMES`; empty if there is none to compare.
        messages: why it failed, its unknown state, or what was noticed; of an error, its own is the first.
        words: of its state, or for what happened.
        is_gone: whether it is gone.
        on: the time of `since:` and `until:`.
        now: the present.
        marked: the keys of the marked uploads.
    """

    row: Row
    stage: str
    messages: tuple[str, ...]
    words: tuple[str, ...]
    is_gone: bool
    on: datetime | None
    now: datetime
    marked: frozenset[UploadKey]


def _matches(tree: Expression, subject: _Subject) -> bool:
    match tree:
        case TextTerm():
            return _matches_text(tree, subject)
        case StageTerm():
            return not subject.is_gone and subject.stage in tree.stages
        case StateTerm():
            return any(_STATES[state](subject) for state in tree.states)
        case NumberTerm():
            number = _NUMBERS[tree.field](subject)
            compare = COMPARISONS[tree.operator]
            return number is not None and any(compare(number, value) for value in tree.values)
        case TimeTerm():
            return _matches_time(tree, subject)
        case AllOf():
            return all(_matches(part, subject) for part in tree.parts)
        case AnyOf():
            return any(_matches(part, subject) for part in tree.parts)
        case Not():
            return not _matches(tree.part, subject)


def _matches_text(term: TextTerm, subject: _Subject) -> bool:
    row = subject.row
    if term.field == "project":
        return matches_project(term, ProjectRef(row.project_id, row.project_name))
    return begins_word(term, subject.words) or matches_texts(term, _TEXTS[term.field](subject))


def matches_texts(term: TextTerm, texts: Sequence[str]) -> bool:
    """Whether one of the texts contains a value of the term, or is equal to one."""
    folded = [fold(text) for text in texts]
    if term.is_exact:
        return any(value in folded for value in term.values)
    return any(value in text for value in term.values for text in folded)


def messages_of_short_cause(term: TextTerm) -> Sequence[str]:
    """The fixed texts with which messages begin whose short cause matches."""
    is_searched = term.field in {"", "error"}
    return [fixed for fixed, short in SHORT_CAUSES.items() if is_searched and matches_texts(term, (short,))]


def matches_project(term: TextTerm, project: ProjectRef) -> bool:
    """Whether a project has that name or id; of an id, a part is not enough."""
    return matches_texts(term, (project.name,)) or fold(project.id) in term.values


def _causes(subject: _Subject) -> Sequence[str]:
    if subject.stage != Stage.ERROR:
        return ()
    message = subject.messages[0]
    return message, normalize_cause(message), *_short_causes(subject)


def _short_causes(subject: _Subject) -> Sequence[str]:
    return [*filter(None, map(short_cause, subject.messages))]


_TEXTS: Mapping[str, Callable[[_Subject], Sequence[str]]] = {
    "": lambda subject: (subject.row.name, subject.row.id, *subject.messages, *_short_causes(subject)),
    "service": lambda subject: (subject.row.service, subject.row.service_title),
    "name": lambda subject: (subject.row.name,),
    "id": lambda subject: (subject.row.id,),
    "by": lambda subject: (subject.row.uploader,),
    "storage": lambda subject: (subject.row.storage_provider,),
    "type": lambda subject: (subject.row.content_type,),
    "error": _causes,
}


def _is_watched(row: Row) -> bool:
    """Whether lateness and contradictions count."""
    return not row.is_gone and not row.is_acknowledged


_STATES: Mapping[State, Callable[[_Subject], bool]] = {
    State.STUCK: lambda subject: subject.row.trouble is Trouble.STUCK,
    State.OVERDUE: lambda subject: subject.row.trouble in {Trouble.STUCK, Trouble.OVERDUE},
    State.PENDING: lambda subject: not subject.is_gone and subject.stage in PENDING_STAGES,
    State.TROUBLE: lambda subject: subject.row.trouble is not None,
    State.FAILED: lambda subject: not subject.is_gone and subject.stage == Stage.ERROR,
    State.CONTRADICTORY: lambda subject: subject.row.is_contradictory and _is_watched(subject.row),
    State.GONE: lambda subject: subject.is_gone,
    State.ACKNOWLEDGED: lambda subject: subject.row.is_acknowledged,
    State.MARKED: lambda subject: subject.row.key in subject.marked,
}


def _milliseconds(start: datetime | None, end: datetime | None) -> int | None:
    return None if start is None or end is None else (end - start) // MILLISECOND


_NUMBERS: Mapping[str, Callable[[_Subject], int | None]] = {
    "size": lambda subject: subject.row.size_bytes,
    "age": lambda subject: _milliseconds(subject.row.stage_since, subject.now),
    "took": lambda subject: _milliseconds(subject.row.completed_on, subject.row.ended_on),
    "chunks": lambda subject: subject.row.chunk_count,
}


def _matches_time(term: TimeTerm, subject: _Subject) -> bool:
    if subject.on is None:
        return False
    bound = time_bound(term, subject.now)
    return subject.on <= bound if term.is_until else subject.on >= bound
