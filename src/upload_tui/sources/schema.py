"""The fields of a line, as a table: the JSON schema, the help of `upload-tui source` and `doctor` are made from it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from upload_tui.sources.contract import MAX_LINE_BYTES, ErrorKind
from upload_tui.status import Certainty, Stage
from upload_tui.wire import MAX_DEPTH

__all__ = ["LINE_FIELDS", "LineField", "contract_lines", "line_schema"]

_TEXT = {"type": "string"}
_TIME = {"type": ["string", "null"], "format": "date-time"}
_COUNT = {"type": ["integer", "null"], "minimum": 0}
_STATE = {
    "type": ["object", "null"],
    "properties": {"state": _TEXT, "state_on": _TIME},
    "required": ["state"],
}
_NUMBER = {"type": "integer", "minimum": 0}
_CHUNK = {
    "type": "object",
    "properties": {"number": {"type": "integer", "minimum": 1}, "size": _NUMBER},
    "required": ["number", "size"],
}
_EVENT = {
    "type": "object",
    "properties": {
        "stage": {"enum": [*map(str, Stage)]},
        "on": _TIME,
        "certainty": {"enum": [*map(str, Certainty)]},
        "earliest": _TIME,
        "latest": _TIME,
    },
    "required": ["stage"],
}


_TIMES = {
    Stage.INITIATED: "it was begun",
    Stage.COMPLETED: "all was sent",
    Stage.VERIFIED: "it was verified",
    Stage.ERROR: "it failed",
}


class LineField(Struct, frozen=True):
    """One field of an upload's line: its name, its JSON schema, and what it means.

    `is_listed` fields are those that `upload-tui list` prints and that can be read back; the help leaves them out.
    """

    name: str
    schema: Mapping[str, Any]
    meaning: str
    is_listed: bool = False


_PRINTED_FIELDS = (
    "service", "overdue", "stuck", "acknowledged", "acknowledgement", "trouble", "as_of", "stale", "least_age", "gone",
    "purged", "purged_on",
)  # fmt: skip

LINE_FIELDS = (
    LineField("id", {"type": ["string", "integer"]}, "required; the same in every run"),
    LineField("name", _TEXT, "required"),
    LineField("project", {"type": ["string", "object", "null"]}, 'a name, or {"id": …, "name": …}'),
    LineField("size", _COUNT, "bytes that the client will send; leave it out if that is not known"),
    LineField("stage", {"type": ["string", "null"]}, f"{', '.join(Stage)}, or a state of your own; with `on`"),
    LineField("on", _TIME, "when that stage began"),
    *(LineField(f"{stage}_on", _TIME, f"when {verb} (in place of `stage`)") for stage, verb in _TIMES.items()),
    LineField("current", _STATE, 'in place of `stage`: {"state": …, "state_on": …}'),
    LineField("prior", {"type": ["array", "null"], "items": _STATE}, "the states before `current` (or `stage`)"),
    LineField("error_message", {"type": ["string", "null"]}, "why it failed; counts only with the stage error"),
    LineField("received_bytes", _COUNT, "bytes that have arrived"),
    LineField(
        "chunks",
        {"type": ["array", "object", "null"], "items": _CHUNK, "properties": {"count": _COUNT, "size_bytes": _COUNT}},
        '[{"number": 1, "size": …}, …], or {"count": …, "size_bytes": …}',
    ),
    LineField(
        "final_chunks",
        {"type": ["boolean", "null"]},
        "true: after completion, a gap in `chunks` means lost data",
    ),
    LineField("updated_on", _TIME, "when bytes last arrived; if left out, when that was observed"),
    LineField("by", {"type": ["string", "null"]}, "who uploads"),
    LineField("content_type", {"type": ["string", "null"]}, "the media type"),
    LineField(
        "url",
        {"type": ["string", "null"]},
        "its page, an http(s) address; without a query or a secret, or it is not kept",
    ),
    LineField(
        "ended", {"type": ["boolean", "null"]}, "true: the upload has ended; it is not gone when it is no longer listed"
    ),
    LineField("size_bytes", _COUNT, "the same as `size`", is_listed=True),
    LineField("stage_since", _TIME, "the same as `on`", is_listed=True),
    LineField(
        "stage_since_certainty",
        {"enum": [*map(str, Certainty), None]},
        "observed: a state of your own began at that time at the latest",
        is_listed=True,
    ),
    LineField("timeline", {"type": ["array", "null"], "items": _EVENT}, "all stages reached", is_listed=True),
    LineField("anomalies", {"type": ["array", "null"]}, "contradictions that are known already", is_listed=True),
    *(LineField(name, {}, "ignored: found out again", is_listed=True) for name in _PRINTED_FIELDS),
)
"""The fields of an upload. Any others are kept for the raw view."""

_END: Mapping[str, Any] = MappingProxyType({"type": {"const": "end"}, "uploads": _NUMBER})
_ERROR: Mapping[str, Any] = MappingProxyType(
    {"type": {"const": "error"}, "kind": {"enum": [*map(str, ErrorKind)]}, "message": _TEXT}
)


def line_schema() -> Mapping[str, Any]:
    """The JSON schema of one line."""
    properties = {field.name: {**field.schema, "description": field.meaning} for field in LINE_FIELDS}
    upload = {
        "properties": {"type": {"enum": ["upload", None]}, **properties},
        "required": ["id", "name"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a source of upload-tui",
        "description": "One JSON object a line, in UTF-8. A line of another type is ignored.",
        "type": "object",
        "if": {"properties": {"type": {"enum": ["upload", None]}}},
        "then": upload,
        "else": {
            "anyOf": [
                {"properties": dict(_END), "required": ["uploads"]},
                {"properties": dict(_ERROR), "required": ["kind"]},
                {"properties": {"type": {"type": "string", "not": {"enum": ["end", "error"]}}}},
            ]
        },
    }


def contract_lines() -> Iterator[str]:
    """The contract, for the help of `upload-tui source`."""
    yield "A source is a command that prints the uploads that are there now, one JSON object a line,"
    yield "and exits with 0."
    yield ""
    yield from _field_lines()
    yield ""
    yield "Other lines:"
    yield '  {"type": "end", "uploads": N}    the listing is complete and has N uploads'
    yield f'  {{"type": "error", "kind": "{"|".join(ErrorKind)}", "message": "…"}}    it failed'
    yield "  any other type is ignored"
    yield ""
    yield "A listing is whole if the exit code is 0, every line can be read, each id occurs once, and"
    yield "the end line (if any) has the right number. Uploads that a whole listing lacks are gone."
    yield "The end line counts the uploads on all lines, also on later ones. A source that has printed"
    yield "one once must always print one; an empty listing needs one."
    yield "Any other listing is partial: what was read is shown, and no upload is gone. The alarm line"
    yield "says why."
    yield ""
    yield "The command gets no standard input, no shell and no variables of upload-tui except"
    yield "UPLOAD_TUI_SOURCE_VERSION=1 and UPLOAD_TUI_SOURCE_RUN, by which its processes are found."
    yield "Standard error is shown if it fails. After 30 s (`timeout`) the command gets SIGTERM, and 5 s"
    yield "later SIGKILL, together with all processes that it started, on Linux even those in a session of"
    yield "their own. Time in which its lines wait for upload-tui does not count, but after 20 times the"
    yield "timeout it is ended anyway. Time in which upload-tui was stopped does not count either. The"
    yield "command is not started again while it runs."
    yield ""
    yield f"A line cannot be read if it is longer than {MAX_LINE_BYTES:,} bytes, has one of these fields twice,"
    yield f"or objects and lists in more than {MAX_DEPTH} levels; nor can two lines with the same id that differ."
    yield "Unknown fields may repeat. After two end lines with different numbers, the listing is partial."


def _field_lines() -> Iterator[str]:
    yield "Fields of an upload; what is left out is shown as unknown, never as zero:"
    for field in LINE_FIELDS:
        if not field.is_listed:
            yield f"  {field.name:<15} {field.meaning}"
    yield "`stage` (without it, `current`) is the present stage. If another field names a later stage, that"
    yield "belongs to an earlier try and never ends the upload; it is an anomaly unless its time is before"
    yield "that of the present stage."
    yield "Of two fields that mean the same and differ (`size` and `size_bytes`, `chunks` and"
    yield "`received_bytes`, `on` and `stage_since`) none counts. A `stage` that cannot be read leaves the"
    yield "known one. A time that cannot be read reaches no stage; the stage that `stage` names has then"
    yield "begun at an unknown time. Each of these is an anomaly."
    yield "Times are ISO 8601 with a date and a time of day, from 1900 to 2999; no seconds since 1970, no"
    yield "dates by week or day of the year. One without an offset is UTC."
    yield "Other fields are kept for the raw response (J). The lines of `upload-tui list -o jsonl` are such"
    yield "lines as well. A project with two names has that of the line that was read last."
