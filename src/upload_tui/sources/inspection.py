"""Run a source once and find what breaks the contract, for `upload-tui source check` and `doctor`."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct, field

from upload_tui.clock import SystemClock
from upload_tui.errors import ServiceError, did_you_mean
from upload_tui.redaction import page_problem
from upload_tui.sources.contract import (
    EndLine,
    ErrorLine,
    IgnoredLine,
    LineBatch,
    Listing,
    UnreadableLine,
    UploadLine,
    UploadSource,
    guess_id,
    parse_line,
    quote,
)
from upload_tui.sources.schema import LINE_FIELDS
from upload_tui.sources.tally import ListingTally
from upload_tui.sources.uploads import parse_project, parse_source_upload
from upload_tui.status import AnomalyName
from upload_tui.wire import redact_value

__all__ = ["Inspection", "ListingDifference", "compare_inspections", "inspect_source"]

_FIELD_NAMES = frozenset(field.name for field in LINE_FIELDS)
_MAX_PROBLEMS = 20


class Inspection(Struct):
    """What one run of a source printed.

    Attributes:
        tally: the uploads, and whether the listing is whole, as the synchroniser sees it.
        problems: sentences about lines that break the contract, the first ones; `problem_count` is their number.
        field_counts: how many uploads have each field with a value.
        own_states: states that are no stage, which the contract allows.
        project_names: the last name of each project, by its id; one that just repeats the id is none.
        unknown_types: the types of lines that are ignored.
        hidden_url: a note on the first address of a page that is not kept; empty if there is none.
        after_end: a note on the first upload after the end line; empty if there is none.
        error: why the listing is not whole; None if it is.
    """

    listing: Listing = field(default_factory=Listing)
    tally: ListingTally = field(default_factory=ListingTally)
    line_count: int = 0
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)
    field_counts: Counter[str] = field(default_factory=Counter)
    project_names: dict[str, str] = field(default_factory=dict)
    unknown_types: set[str] = field(default_factory=set)
    own_states: set[str] = field(default_factory=set)
    hidden_url: str = ""
    after_end: str = ""
    error: ServiceError | None = None

    @property
    def unset_fields(self) -> Sequence[str]:
        """The fields of the contract that no upload has, in its order."""
        return [one.name for one in LINE_FIELDS if not one.is_listed and not self.field_counts[one.name]]

    @property
    def unknown_fields(self) -> Sequence[str]:
        """Fields that are not in the contract."""
        return sorted(self.field_counts.keys() - _FIELD_NAMES - {"type"})

    @property
    def misspelt_fields(self) -> Sequence[str]:
        """A sentence for each unknown field that resembles one of the contract."""
        known = _FIELD_NAMES - self.field_counts.keys()
        hints = ((name, did_you_mean(name, known)) for name in self.unknown_fields)
        return [f"unknown field {name[:60]}. {hint}" for name, hint in hints if hint]

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about what the contract allows, and may be a mistake."""
        names = ", ".join(sorted(self.own_states)[:_MAX_PROBLEMS])
        own = [f"neither pending nor final, in a state of its own: {names}"] if names else []
        return [*self.misspelt_fields, *own, *filter(None, [self.hidden_url, self.after_end])]

    def add_problem(self, text: str) -> None:
        """Count a problem, and keep it if it is one of the first."""
        self.problem_count += 1
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)

    def add_line(self, number: int, line: bytes | None) -> None:
        """Inspect one line."""
        self.line_count += 1
        match found := parse_line(line):
            case UploadLine():
                self._add_upload(number, found, hash(line))
            case UnreadableLine():
                guessed = found.id or (guess_id(line) if line else "")
                self.tally.add_unreadable(number, found.reason, guessed, is_known=bool(found.id))
                self.add_problem(f"line {number:,}: {found.reason}")
            case EndLine():
                self.tally.add_end(found)
                if self.tally.end_line is not None and self.tally.end_line.problem:
                    self.add_problem(f"line {number:,}: {self.tally.end_line.problem}")
            case ErrorLine():
                self.tally.error_line = self.tally.error_line or found
                if found.problem:
                    self.add_problem(f"line {number:,}: {found.problem}")
            case IgnoredLine():
                self.unknown_types.update({found.type} - {""})

    def _add_upload(self, number: int, line: UploadLine, key: int) -> None:
        repeated_before = self.tally.repeated_count
        self.tally.add_upload(key, line.id)
        if self.tally.repeated_count > repeated_before:
            self.add_problem(f"line {number:,}: id {line.id[:60]} is printed more than once")
        if self.tally.end_line is not None and not self.after_end:
            self.after_end = f"line {number:,}: an upload after the end line, which need not be the last"
        fields = redact_value(line.fields)
        self.field_counts.update(name for name, value in fields.items() if value is not None)
        self._add_project(number, fields.get("project"))
        self._add_page(number, line.fields.get("url"))
        upload = parse_source_upload(fields, read_on=SystemClock().now(), default_project="")
        stage, current = fields.get("stage"), fields.get("current")
        is_named = isinstance(stage, str) or (isinstance(current, dict) and isinstance(current.get("state"), str))
        own = upload.timeline.own_state if is_named else None
        if own is not None:
            self.own_states.add(own.name)
        entries = fields.get("anomalies")
        declared = [one.get("name") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
        for anomaly in upload.anomalies:
            is_known = anomaly.name is not AnomalyName.UNREADABLE_FIELD and anomaly.name in declared
            if not is_known:
                self.add_problem(f"line {number:,}: {anomaly.name.replace('_', ' ')}: {anomaly.detail}")

    def _add_page(self, number: int, page: object) -> None:
        problem = page_problem(page) if isinstance(page, str) and page else ""
        if "secret" in problem:
            self.hidden_url = self.hidden_url or f"line {number:,}: url {problem}"
        elif problem:
            self.add_problem(f"line {number:,}: url {problem}")

    def _add_project(self, number: int, value: object) -> None:
        project_id, name = parse_project(value, "") or ("", "")
        known = self.project_names.setdefault(project_id, name) if name not in {"", project_id} else name
        if known != name:
            self.add_problem(
                f"line {number:,}: project {quote(project_id)} is named {quote(name)}, and {quote(known)} before"
            )
            self.project_names[project_id] = name


async def inspect_source(
    source: UploadSource, *, had_end: bool = False, known: AbstractSet[str] = frozenset()
) -> Inspection:
    """Run a source once; `had_end` if it has printed an end line before, `known` is what it has listed and may be there still."""
    inspection = Inspection()

    async def receive(batch: LineBatch) -> None:
        for number, line in enumerate(batch.lines, batch.first_number):
            inspection.add_line(number, line)

    inspection.listing = await source.read(receive, lambda listing: inspection.tally.is_whole(listing, had_end=had_end))
    inspection.error = inspection.tally.error(inspection.listing, had_end=had_end, known=known)
    return inspection


class ListingDifference(Struct, frozen=True):
    """What changed between two runs: ids."""

    new: Sequence[str]
    gone: Sequence[str]
    changed: Sequence[str]
    has_unstable_ids: bool
    """Whether the two runs have no id in common though both have many: ids are probably made up anew each time."""


def compare_inspections(first: Inspection, second: Inspection) -> ListingDifference:
    """Compare two runs."""
    before, after = first.tally.keys, second.tally.keys
    common = before.keys() & after.keys()
    return ListingDifference(
        new=sorted(after.keys() - common - first.tally.unreadable_ids),
        gone=sorted(before.keys() - common - second.tally.unreadable_ids),
        changed=sorted(one for one in common if before[one] != after[one]),
        has_unstable_ids=not common and len(before) > 1 and len(after) > 1,
    )
