"""What to show of a picture: the terms of the user's search, the filters of a screen or a command, and the order."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.model import UploadKey
from upload_tui.status import Stage

__all__ = [
    "includes_gone",
    "AllOf",
    "AnyOf",
    "EVERYTHING",
    "Expression",
    "FIELDS",
    "NUMBER_FIELDS",
    "Not",
    "NumberTerm",
    "Query",
    "SIMILAR_FIELDS",
    "STAGE_NAMES",
    "SortKey",
    "StageTerm",
    "State",
    "StateTerm",
    "TEXT_FIELDS",
    "TextTerm",
    "TimeTerm",
    "UNKNOWN_STAGE",
    "Where",
    "all_of",
    "needs_marks",
    "needs_upload",
    "text_terms",
]

UNKNOWN_STAGE = "unknown"
"""The stage of uploads in a state that is not in the design."""
STAGE_NAMES = (*map(str, Stage), UNKNOWN_STAGE)


class State(StrEnum):
    """The values of `is:`."""

    STUCK = "stuck"
    OVERDUE = "overdue"
    """Stuck uploads are overdue as well."""
    PENDING = "pending"
    TROUBLE = "trouble"
    FAILED = "failed"
    """Also long ago."""
    CONTRADICTORY = "contradictory"
    GONE = "gone"
    ACKNOWLEDGED = "acknowledged"
    MARKED = "marked"


TEXT_FIELDS: Mapping[str, str] = {
    "project": "project's id or name",
    "service": "service's address or profile",
    "name": "name of the upload",
    "id": "id of the upload",
    "by": "who uploads it",
    "storage": "storage provider",
    "type": "content type",
    "error": "cause of the failure",
}
"""The fields that are texts, each with a line of help."""
NUMBER_FIELDS: Mapping[str, str] = {
    "size": "bytes, as in size>100MB or size<1GiB",
    "age": "time in its stage, as in age>1h30m",
    "took": "duration of the verification, as in took>30s",
    "chunks": "number of chunks received, as in chunks>10",
}
FIELDS: Mapping[str, str] = {
    "stage": "initiated, completed, verified or error",
    "is": "stuck, overdue, pending, trouble, failed, contradictory, gone, acknowledged or marked",
    **TEXT_FIELDS,
    **NUMBER_FIELDS,
    "since": ("initiated since then, as in since:2h or since:2026-11-01"),
    "until": "initiated until then, as in until:1d or until:2026-11-01T12:00",
}
"""All fields, each with a line of help."""
_GUESSES: Mapping[str, str] = {
    "stage": "state status purged",
    "project": "project_id project_name",
    "service": "server host url address",
    "name": "file filename upload upload_name path title",
    "id": "uuid upload_id",
    "by": "user username owner uploader person who creator created_by",
    "storage": "backend provider storage_provider bucket",
    "type": "content_type content mime mimetype extension",
    "error": "note reason cause message error_message why problem detail anomaly anomalies",
    "size": "bytes size_bytes chunk_size_bytes length",
    "age": "stage_since stage_since_certainty certainty waiting older newer as_of stale least_age earliest",
    "took": "time duration elapsed verification seconds",
    "chunks": "chunk chunk_count parts count progress",
    "since": "after from start started date day created updated_on initiated_on completed_on verified_on error_on purged_on on at",
    "until": "before to end latest",
    "is:trouble": "trouble alert alarm kind",
    "is:overdue": "late slow overdue",
    "is:stuck": "stuck hanging",
    "is:pending": "pending open unfinished running ended",
    "is:failed": "failed failure",
    "is:contradictory": "contradictory",
    "is:gone": "gone deleted missing removed",
    "is:acknowledged": "acknowledged acknowledgement ack acked silenced",
    "is:marked": "marked mark selected",
    **{f"stage:{stage}": stage for stage in map(str, Stage) if stage not in TEXT_FIELDS},
}
SIMILAR_FIELDS: Mapping[str, str] = {name: field for field, names in _GUESSES.items() for name in names.split()}
"""Names that users may take for a field, such as those in the output of `list`; and what to write in place of each."""


class TextTerm(Struct, frozen=True):
    """A text contains one of the values, or is equal to one if `is_exact`.

    Attributes:
        field: of `TEXT_FIELDS`; empty means any of name, id and error message, or the beginning of the word of a state.
        values: folded.
    """

    field: str
    values: tuple[str, ...]
    is_exact: bool = False


class StageTerm(Struct, frozen=True):
    """An upload that is not gone is in one of these stages (of `STAGE_NAMES`)."""

    stages: frozenset[str]


class StateTerm(Struct, frozen=True):
    """An upload has one of these states."""

    states: frozenset[State]


class NumberTerm(Struct, frozen=True):
    """A known number compares with one of the values: bytes, milliseconds, or a count."""

    field: str
    operator: str
    values: tuple[int, ...]


class TimeTerm(Struct, frozen=True):
    """An upload was initiated, or a change happened, at that time or later; with `is_until` at that time or earlier.

    The time of an upload is `Row.first_event_on`; one without it does not match. Exactly one of `ago_seconds` and `on` is not None.
    """

    ago_seconds: float | None
    on: datetime | None
    is_until: bool = False


class AllOf(Struct, frozen=True):
    """All parts match; without parts, everything does."""

    parts: "tuple[Expression, ...]"


class AnyOf(Struct, frozen=True):
    """One of the parts matches."""

    parts: "tuple[Expression, ...]"


class Not(Struct, frozen=True):
    """The part does not match."""

    part: "Expression"


Expression: TypeAlias = "TextTerm | StageTerm | StateTerm | NumberTerm | TimeTerm | AllOf | AnyOf | Not"
EVERYTHING = AllOf(())


class Where(Struct, frozen=True):
    """A parsed query.

    Attributes:
        text: as it was written; empty if it was not.
        tree: what has to match.
        note: a suggestion for the user; empty if there is none.
        tree_text: what the tree was parsed from, if not from `text` but from the last one without a mistake, for example; else None.
    """

    text: str = ""
    tree: Expression = EVERYTHING
    note: str = ""
    tree_text: str | None = None

    @property
    def applied_text(self) -> str:
        """The text that is in force."""
        return self.text if self.tree_text is None else self.tree_text


def all_of(*parts: Expression) -> Expression:
    """The parts joined, so that all must match."""
    flat = [one for part in parts for one in (part.parts if isinstance(part, AllOf) else (part,))]
    return flat[0] if len(flat) == 1 else AllOf(tuple(flat))


def needs_upload(tree: Expression) -> bool:
    """Whether a change alone does not have all that the tree compares: the upload as it is now is needed."""
    match tree:
        case TextTerm():
            return tree.field in {"by", "storage", "type", "service"}
        case StateTerm():
            return bool(tree.states - {State.PENDING, State.FAILED, State.GONE, State.MARKED})
        case NumberTerm():
            return True
        case AllOf() | AnyOf():
            return any(map(needs_upload, tree.parts))
        case Not():
            return needs_upload(tree.part)
        case _:
            return False


def needs_marks(tree: Expression) -> bool:
    """Whether the tree compares which uploads are marked."""
    match tree:
        case StateTerm():
            return State.MARKED in tree.states
        case AllOf() | AnyOf():
            return any(map(needs_marks, tree.parts))
        case Not():
            return needs_marks(tree.part)
        case _:
            return False


def includes_gone(tree: Expression) -> bool:
    """Whether a query asks for uploads that are gone; False if it only excludes them."""
    match tree:
        case StateTerm():
            return State.GONE in tree.states
        case AllOf() | AnyOf():
            return any(map(includes_gone, tree.parts))
        case _:
            return False


def text_terms(tree: Expression, fields: Iterable[str] = ("",)) -> Sequence[str]:
    """The folded values that must be contained in one of these text fields, for highlighting."""
    match tree:
        case TextTerm():
            return tree.values if tree.field in fields else ()
        case AllOf() | AnyOf():
            return [value for part in tree.parts for value in text_terms(part, fields)]
        case _:
            return ()


class SortKey(StrEnum):
    """What uploads can be sorted by; values are data fields."""

    INITIATED = "initiated"
    """Time of initiation, the service's order; if unknown, `Row.first_event_on`."""
    STAGE = "stage"
    SINCE = "since"
    """Time at which the present stage began."""
    NAME = "name"
    SIZE = "size"
    PROJECT = "project"
    SERVICE = "service"
    """The services of a combined view, in its order."""
    TOOK = "took"
    """Duration of the verification."""
    CHUNKS = "chunks"
    """Number of chunks received."""
    PROGRESS = "progress"
    """The received share of the declared size; completed, failed and verified uploads follow, in this order."""
    ID = "id"
    TROUBLE = "trouble"
    """Uploads in trouble first, the most serious first; then the others by time of initiation."""


class Query(Struct, frozen=True):
    """Which uploads to show, and in what order; empty sets do not filter.

    Attributes:
        where: what the user searches for, in addition to everything below.
        marked: the keys of the uploads that are marked, for `is:marked`.
        trouble_only: only uploads in trouble.
        late_only: only overdue and stuck uploads, without acknowledged ones.
        recent_seconds: only uploads that reached their stage within this time; None means any.
        cause, storage_provider, uploader: only failed uploads with these, as in a `CauseGroup`; None means any.
        max_in_trouble: with the order `trouble`, at most this many uploads in trouble come first; None means all of them.
    """

    stages: frozenset[Stage] = frozenset()
    where: Where = Where()
    marked: frozenset[UploadKey] = frozenset()
    trouble_only: bool = False
    late_only: bool = False
    recent_seconds: int | None = None
    cause: str | None = None
    storage_provider: str | None = None
    uploader: str | None = None
    project_ids: frozenset[str] = frozenset()
    sort: SortKey = SortKey.INITIATED
    descending: bool = True
    max_in_trouble: int | None = None

    @property
    def is_filtered(self) -> bool:
        """True if there is a search or a filter."""
        unfiltered = Query(
            where=Where(self.where.text),
            marked=self.marked,
            sort=self.sort,
            descending=self.descending,
            max_in_trouble=self.max_in_trouble,
        )
        return replace(self, where=replace(self.where, note="")) != unfiltered

    @property
    def is_newest_first(self) -> bool:
        """True if the first row is the upload that was initiated last."""
        return self.sort is SortKey.INITIATED and self.descending

    @property
    def is_by_failure(self) -> bool:
        """True if a cause, a storage provider or an uploader is selected."""
        return any(value is not None for value in (self.cause, self.storage_provider, self.uploader))
