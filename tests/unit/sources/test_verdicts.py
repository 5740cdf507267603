"""`source check` and the synchroniser, which all other commands use, come to the same verdict about each listing."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.unit.sources.lines import FIELDS, LATER, ON, line_of, objects
from tests.unit.sources.scripted_source import ScriptedSource, SourceHarness

from upload_tui.errors import ServiceError
from upload_tui.monitor.changes import upload_record
from upload_tui.monitor.queries.query import Query
from upload_tui.sources import Inspection, Listing, inspect_source
from upload_tui.status import Stage

IDS = st.sampled_from("aabcde")
STAGES = st.sampled_from(["initiated", "completed", "verified", "odd", 7])


def upload(upload_id: str, **fields: Any) -> bytes:
    return json.dumps({"id": upload_id, "name": "x", **fields}).encode()


def nested(upload_id: str, levels: int, innermost: str = "") -> bytes:
    return b'{"id": "%b", "name": "x", "z": %b}' % (
        upload_id.encode(), (("[" * levels) + innermost + ("]" * levels)).encode(),
    )  # fmt: skip


UPLOADS = st.one_of(
    st.builds(upload, IDS),
    st.builds(lambda one, stage, on: upload(one, stage=stage, on=on), IDS, STAGES, st.sampled_from([ON, LATER, "?"])),
    st.builds(nested, IDS, st.sampled_from([62, 63, 64, 65, 400]), st.sampled_from(["", "1", '"]]"', '{"size": 1}'])),
    st.builds(lambda one: upload(one, secret="s3cret", size=2**70), IDS),
)
BROKEN = st.sampled_from(
    [
        b'{"id": "a"}',
        b'{"name": "x"}',
        b'{"id": "b", "na',
        b"[]",
        b"nonsense",
        b'{"id": "c", "name": "x", "x": "\xff"}',
        b'{"id": "d", "name": "x", "stage": "error", "stage": "verified"}',
        b'{"id": "d", "name": "\\ud800", "stage": "error", "stage": "verified"}',
        b'{"id": "e", "id": "f", "name": "x"}',
        b'{"type": "end", "type": "upload", "id": "a", "name": "x"}',
        None,
    ]
)
OTHERS = st.sampled_from(
    [
        b"",
        b'{"type": "progress", "percent": 5}',
        b'{"type": 7}',
        b'{"type": "error", "kind": "auth", "message": "who?"}',
        b'{"type": "error", "kind": "config"}',
        b'{"type": "error", "kind": "later", "message": 7}',
        b'{"type": "error", "type": "error"}',
    ]
)
ENDS = st.one_of(
    st.builds(lambda number: b'{"type": "end", "uploads": %d}' % number, st.integers(0, 6)),
    st.sampled_from([b'{"type": "end"}', b'{"type": "end", "uploads": "3"}', b'{"type": "end", "count": 3}']),
)
TIMES = st.sampled_from([ON, LATER, "2026-03-14T07:00:00Z", "?", None])
STATES = st.fixed_dictionaries({"state": st.sampled_from([*map(str, Stage), "odd"])}, optional={"state_on": TIMES})
LISTINGS = st.sampled_from(
    [Listing()] * 3 + [Listing(failure="exit code 1", stderr="no disk"), Listing(failure="no file", is_misconfigured=True)]
)  # fmt: skip
PRINTED = st.tuples(st.lists(UPLOADS | UPLOADS | UPLOADS | BROKEN | OTHERS | ENDS, max_size=7), LISTINGS)


def verdict_of(inspection: Inspection) -> object:
    """The error of a run, or what cannot be read."""
    error = inspection.error
    return inspection.tally.notice if error is None else (type(error), error.title, error.hint, error.exit_code)


async def listed_verdict(harness: SourceHarness) -> object:
    """The same of a round of the synchroniser."""
    try:
        await harness.synchroniser.sync()
    except ServiceError as error:
        return (type(error), error.title, error.hint, error.exit_code)
    return harness.synchroniser.unreadable_notice.replace("not all uploads have been read yet", "")


@given(st.lists(PRINTED, min_size=1, max_size=3), st.integers(1, 4), st.booleans())
@settings(max_examples=150, deadline=None)
@example([([upload("a"), b'{"type": "end", "uploads": 2}', upload("b")], Listing())], 1, False)
@example([([b'{"type": "end", "uploads": 1}', upload("b"), upload("c")], Listing())], 3, False)
@example([([nested("a", 64), upload("b", stage="completed")], Listing())], 3, False)
@example([([upload("a"), b'{"type": "end", "uploads": 1}'], Listing()), ([upload("a")], Listing())], 3, False)
def test_check_and_list_have_the_same_verdict(
    printed: list[tuple[list[bytes | None], Listing]], batch_lines: int, has_new_sessions: bool
) -> None:
    """Whether a line is new, known from an earlier listing, or stored by an earlier session."""

    async def check() -> None:
        harness, inspected = SourceHarness(), ScriptedSource()
        harness.source.batch_lines = batch_lines
        had_end = False
        for lines, listing in printed:
            for source in (harness.source, inspected):
                source.outputs.clear()
                source.print_next(lines, listing)
            if has_new_sessions:
                harness.new_session()
            known = harness.present
            inspection = await inspect_source(inspected, had_end=had_end, known=known)
            assert await listed_verdict(harness) == verdict_of(inspection)
            had_end |= inspection.tally.end_line is not None and inspection.error is None
        harness.store.close()

    asyncio.run(check())


READ_BACK = ("id", "stage", "stage_since", "error_message", "timeline", "size_bytes", "chunks", "project", "ended")
STAGED = st.fixed_dictionaries(
    {},
    optional={
        "stage": st.sampled_from(["initiated", "Completed", "verified", "error", "odd", "ended", " ", 5]),
        "on": TIMES,
        **{f"{stage}_on": TIMES for stage in Stage},
        "current": STATES,
        "prior": st.lists(STATES, max_size=4),
        "timeline": st.lists(
            st.fixed_dictionaries({"stage": st.sampled_from([*map(str, Stage)])}, optional={"on": TIMES})
        ),
        "ended": st.booleans(),
        "error_message": st.sampled_from(["no space", "password=s3cretpass"]),
        "received_bytes": st.integers(0, 9),
        "size": st.integers(0, 9),
        "final_chunks": st.booleans(),
    },
)


@given(st.lists(STAGED | objects(), min_size=1, max_size=6))
@settings(deadline=None)
def test_what_list_prints_reads_back_as_the_same_uploads(drawn: list[dict[str, Any]]) -> None:
    """Also once more, and `source check` finds nothing in it that breaks the contract."""
    fields = [{**one, "type": "upload", "id": str(number), "name": "x"} for number, one in enumerate(drawn)]

    async def listed(lines: list[bytes]) -> list[dict[str, Any]]:
        harness = SourceHarness()
        harness.source.print_next(lines)
        await harness.synchroniser.sync()
        found = [detail for number in range(len(lines)) if (detail := harness.picture.detail(str(number)))]
        harness.store.close()
        return [dict(upload_record(detail)) for detail in found]

    async def check() -> None:
        first = await listed([line_of(**one) for one in fields])
        assert len(first) == len(fields)
        printed = [json.dumps(one).encode() for one in first]
        assert b"s3cretpass" not in b"".join(printed)
        for one, again in zip(first, await listed(printed), strict=True):
            assert {key: again[key] for key in READ_BACK} == {key: one[key] for key in READ_BACK}
            assert sorted(map(str, again["anomalies"])) == sorted(map(str, one["anomalies"]))
        inspection = Inspection()
        for number, line in enumerate(printed, 1):
            inspection.add_line(number, line)
        assert [one for one in inspection.problems if "unreadable field" not in one] == []

    asyncio.run(check())


SECRET = "c4naryS3cret"
SECRETS = st.sampled_from(
    [f"token={SECRET}", f"https://ada:{SECRET}@x.test/?token={SECRET}", {"password": SECRET}, [{"state": f"password={SECRET}"}]]
)  # fmt: skip
SECRET_FIELDS = sorted({*FIELDS} - {"id", "name"})  # these are shown as they are
MANY_LINES = st.lists(
    st.tuples(
        STAGED | objects(),
        st.dictionaries(st.sampled_from([*SECRET_FIELDS, f"password={SECRET}"]), SECRETS, max_size=2),
    ),
    min_size=1,
    max_size=20,
)


@given(MANY_LINES, st.lists(BROKEN | OTHERS | ENDS, max_size=2))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_check_and_list_read_any_lines_alike_and_show_no_secret(
    drawn: list[tuple[dict[str, Any], dict[str, Any]]], more: list[bytes | None]
) -> None:
    lines = [line_of(**{**fields, **secrets, "id": f"u{number}"}) for number, (fields, secrets) in enumerate(drawn)]

    async def check() -> None:
        harness, inspected = SourceHarness(), ScriptedSource()
        for source in (harness.source, inspected):
            source.batch_lines = 8
            source.print_next([*lines, *more])
        inspection = await inspect_source(inspected)
        assert await listed_verdict(harness) == verdict_of(inspection)
        details = [*harness.picture.details(Query())]
        assert len(details) <= inspection.tally.upload_count
        printed: list[Any] = [
            inspection.problems,
            inspection.notes,
            inspection.unknown_fields,
            inspection.unknown_types,
        ]
        printed += [[upload_record(one), one.raw, one.row] for one in details]
        assert SECRET not in repr(printed)
        harness.store.close()

    asyncio.run(check())


PRETTY = json.dumps({"id": "a", "name": "x"}, indent=1).encode().split(b"\n")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (PRETTY, "line 1 cannot be read (not JSON) and 3 more; the end line says 1 upload, and 4 were listed"),
        (
            [upload("a"), None],
            "line 2 cannot be read (longer than 1,048,576 bytes); the end line says 1 upload, and 2 were listed",
        ),
        (
            [upload("a"), upload("a")],
            "1 line has an id that was listed before, such as a; the end line says 1 upload, and 2 were listed",
        ),
        ([upload("a"), upload("b")], "the end line says 1 upload, and 2 were listed"),
        ([], "0 of 1 uploads were listed"),
    ],
)
async def test_the_first_cause_of_a_wrong_number_comes_first(lines: list[bytes | None], problem: str) -> None:
    source = ScriptedSource()
    source.print_next([*lines, b'{"type": "end", "uploads": 1}'])
    error = (await inspect_source(source)).error
    assert error is not None
    assert error.title == f"partial: {problem}"
