"""Synchronisation with a source: what is new, changed and gone, and what a listing that is not whole may never do."""

import asyncio
import json
import re
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from tests.unit.cli.virtual_program import virtual_time
from tests.unit.sources.lines import LATER, ON
from tests.unit.sources.scripted_source import SERVICE, SourceHarness, lines_of

from upload_tui.errors import AuthError, SourceError
from upload_tui.monitor import (
    Acknowledgement,
    AnomalyNoticed,
    OwnStateReached,
    ProjectRef,
    Query,
    StageReached,
    Store,
    StorePicture,
    UploadChange,
    UploadRef,
    change_record,
    matches_change,
    upload_record,
)
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.store.store import Limits
from upload_tui.sources import Line, Listing, UploadLine, parse_line, records
from upload_tui.status import Certainty, Stage
from upload_tui.testing import NOW, FrozenClock
from upload_tui.wire import UploadReading, format_time, parse_time

pytestmark = pytest.mark.slow

END = b'{"type": "end", "uploads": %d}'
FAILED = Listing(failure="exit code 1")


async def test_what_exists_at_first_is_no_change_and_later_uploads_are() -> None:
    harness = SourceHarness()
    await harness.print({"a": {"stage": "completed", "on": ON}})
    assert harness.take_changes() == []
    await harness.print({"a": {"stage": "verified", "on": LATER}, "b": {}})
    assert sorted(harness.take_changes()) == ["StageReached a", "StageReached b", "UploadSeen b"]
    detail = harness.picture.detail("a")
    assert detail is not None
    assert [event.stage for event in detail.upload.timeline] == [Stage.COMPLETED, Stage.VERIFIED]
    assert json.loads(detail.raw) == {"id": "a", "name": "a.tiff", "stage": "verified", "on": LATER}


@pytest.mark.parametrize("project", [None, "Genome"])
async def test_a_whole_listing_is_a_reading_of_all_its_uploads_whatever_their_stage(project: str | None) -> None:
    """Also of those that have not changed; a partial one is a reading of those that it has."""
    clock = FrozenClock()
    harness = SourceHarness(clock=clock)
    more = {"project": project} if project else {}
    uploads = {stage: {"stage": stage, **more} for stage in (*map(str, Stage), "quarantined")}
    await harness.print({**uploads, "left": {"stage": "verified", **more}})
    first_on = harness.clock.now()
    for _ in range(2):
        clock.advance(60)
        await harness.print(uploads, END % len(uploads))
    rows = {row.id: row.read_on for row in harness.picture.window(Query(), 0, 99).rows}
    detail = harness.picture.detail("verified")
    assert rows.pop("left") == first_on  # gone
    assert set(rows.values()) == {harness.clock.now()}
    assert detail is not None
    assert detail.row.read_on == harness.clock.now()
    listed_on = harness.clock.now()
    clock.advance(60)
    with pytest.raises(SourceError):
        await harness.print({"verified": uploads["verified"]}, listing=FAILED)
    after = {row.id: row.read_on for row in harness.picture.window(Query(), 0, 99).rows}
    assert (after["verified"], after["error"]) == (clock.now(), listed_on)


async def test_gone_is_what_a_whole_listing_does_not_have() -> None:
    harness = SourceHarness()
    await harness.print({"a": {}, "b": {}})
    await harness.print({"b": {}}, END % 1)
    assert (harness.shown(), harness.take_changes()) == ({"a": True, "b": False}, ["UploadGone a"])
    await harness.print({"a": {}, "b": {}}, END % 2)
    assert (harness.shown(), harness.take_changes()) == ({"a": False, "b": False}, ["UploadSeen a"])


@pytest.mark.parametrize(
    ("more", "listing", "error"),
    [
        ([], FAILED, SourceError),
        ([END % 3], None, SourceError),
        *(
            ([b'{"type": "end", %s}' % count], None, SourceError)
            for count in (b'"uploads": "2"', b'"uploads": 1.5', b'"uploads": true', b'"uploads": -1', b'"count": 2')
        ),
        ([b'{"type": "end"}'], None, SourceError),
        ([b'{"type": "end", "uploads": null}'], None, SourceError),
        ([b'{"type": "end", "uploads": 3, "uploads": 2}'], None, SourceError),
        ([END % 3, END % 2], None, SourceError),
        ([END % 2, END % 3], None, SourceError),
        ([b'{"type": "error", "kind": "auth"}'], None, AuthError),
        ([b"{broken"], None, SourceError),
        ([None], None, SourceError),
        ([b'{"id": "a", "id": "x", "name": "a"}'], None, None),
        ([b'{"type": "upload", "id": "a", "name": "a", "type": "note"}'], None, None),
        ([b'{"type": "note", "uploads": 2, "type": "end"}'], None, SourceError),
    ],
    ids=[
        "exit code",
        "end disagrees",
        "text",
        "fraction",
        "true",
        "negative",
        "count",
        "no number",
        "null",
        "number twice",
        "end lines disagree",
        "end lines disagree, the last is wrong",
        "error line",
        "broken line",
        "long line",
        "id twice",
        "type twice",
        "end with a type twice",
    ],
)
async def test_a_listing_that_is_not_whole_updates_the_picture_and_makes_nothing_gone(
    more: list[bytes | None], listing: Listing | None, error: type[Exception] | None
) -> None:
    harness = SourceHarness()
    await harness.print({"a": {}, "b": {}})
    read_on = harness.synchroniser.previous_read_on
    harness.clock.advance(60)  # type: ignore[attr-defined]
    if error is None:
        await harness.print({"b": {"stage": "completed"}, "c": {}}, *more, listing=listing)
        assert harness.synchroniser.unreadable_notice.startswith("partial: line 3 cannot be read (")
    else:
        with pytest.raises(error):
            await harness.print({"b": {"stage": "completed"}, "c": {}}, *more, listing=listing)
    assert harness.present == {"a", "b", "c"}
    assert harness.picture.funnel()[Stage.COMPLETED].count == 1
    assert harness.synchroniser.previous_read_on == read_on
    await harness.print({"b": {"stage": "completed"}, "c": {}})
    assert harness.present == {"b", "c"}
    assert harness.synchroniser.unreadable_notice == ""


async def test_an_unreadable_line_makes_its_upload_unreadable_and_no_other_gone_or_kept() -> None:
    harness = SourceHarness()
    await harness.print({"a": {}, "b": {}, "c": {}})
    await harness.print({"b": {}}, b'{"id": "a"}')
    rows = {row.id: row for row in harness.picture.window(Query(), 0, 10).rows}
    assert [(rows[one].is_gone, rows[one].is_stale) for one in "abc"] == [(False, True), (False, False), (True, False)]
    assert harness.synchroniser.unreadable_notice == "1 of 2 uploads cannot be read: line 2 cannot be read (no name)"
    await harness.print({"a": {}, "b": {}})
    assert not any(row.is_stale for row in harness.picture.window(Query(), 0, 10).rows)


@pytest.mark.parametrize(
    ("line", "reason", "is_partial"),
    [
        (b'{"id": "b", "name": "b", "error_on": "%b", "error_on": null, "verified_on": "%b"}', "error_on is there twice", False),
        (b'{"id": "b", "name": "b", "stage": "error", "stage": "verified"}', "stage is there twice", False),
        (b'{"id": "b", "name": "b", "tags": "\xff"}', "not UTF-8", True),
    ],
)  # fmt: skip
async def test_a_line_of_a_first_listing_that_only_the_full_parse_refuses_is_counted(
    line: bytes, reason: str, is_partial: bool
) -> None:
    harness, printed = SourceHarness(), line.replace(b"%b", ON.encode())
    await harness.print({"a": {}}, printed)
    assert harness.present == {"a"}
    problem = f"line 2 cannot be read ({reason})"
    notice = harness.synchroniser.unreadable_notice
    assert notice == (f"partial: {problem}" if is_partial else f"1 of 2 uploads cannot be read: {problem}")
    await harness.print({"a": {}}, printed)
    assert harness.present == {"a"}
    assert reason in harness.synchroniser.unreadable_notice


A = b'{"id": "a", "name": "a.tiff", "project": "P", "stage": "%s"}'
Z_IN_Q = b'{"id": "z", "name": "z", "project": "Q"}'


@pytest.mark.parametrize(
    ("lines", "notice"),
    [
        ([A % b"completed"] * 3, "2 lines have an id that was listed before, such as a"),
        ([A % b"error", A % b"verified"], "1 line has an id that was listed before, such as a"),
        ([b'{"id": "a"}'] * 3, "2 lines have an id that was listed before, such as a"),
        ([A % b"verified", b'{"id": "a"}'], "1 line has an id that was listed before, such as a"),
        ([A % b"verified", Z_IN_Q] * 2, "2 lines have an id that was listed before, such as a"),
        ([A % b"verified", b"nonsense"], "line %d cannot be read (not JSON)"),
        ([A % b"verified", None], "line %d cannot be read (longer than 1,048,576 bytes)"),
    ],
    ids=["same", "contradictory", "unreadable", "once unreadable", "of another project", "unreadable line", "long line"],
)  # fmt: skip
@pytest.mark.parametrize("lacks", ["", "b", "bc"])
async def test_a_listing_that_is_not_whole_is_said_and_fails_if_it_lacks_known_uploads(
    lines: list[bytes | None], notice: str, lacks: str
) -> None:
    harness = SourceHarness(projects=frozenset({"P"}))
    await harness.print({one: {"project": "P"} for one in "abc"}, END % 3)
    others = {one: {"project": "P"} for one in "bc" if one not in lacks}
    reason = f"partial: {notice % (len(others) + 2) if '%d' in notice else notice}"
    suffix = {"": "", "b": "; 1 known upload is not listed", "bc": "; 2 known uploads are not listed"}[lacks]
    for _ in range(2):
        with pytest.raises(SourceError, match=re.escape(reason + suffix)) if lacks else nullcontext():
            await harness.print(others, *lines, END % (len(others) + len(lines)))
        assert (harness.synchroniser.unreadable_notice, harness.present) == (reason, {"a", "b", "c"})
        harness.new_session(frozenset({"P"}))
    await harness.print({"a": {"project": "P"}}, END % 1)
    assert (harness.synchroniser.unreadable_notice, harness.present) == ("", {"a"})


LINES = st.sampled_from(["completed", "verified", "other size", "unreadable"])


@given(st.lists(LINES, min_size=1, max_size=4), st.integers(1, 5), st.booleans())
@settings(max_examples=80, deadline=None)
def test_an_upload_whose_lines_differ_is_unreadable(printed: list[str], batch: int, is_known: bool) -> None:
    """What is believed depends neither on how the lines arrive nor on pauses between them: batches are recorded at once."""
    lines = {"completed": A % b"completed", "verified": A % b"verified", "unreadable": b'{"id": "a"}'}
    lines["other size"] = lines["verified"].replace(b"}", b', "size": 7}')

    async def check() -> None:
        harness = SourceHarness()
        harness.source.batch_lines = batch
        if is_known:
            await harness.print({"a": {"stage": "initiated"}, "b": {}})
        for _ in range(2):
            await harness.print({"b": {}}, *(lines[one] for one in printed))
            is_unreadable = len({*printed}) > 1 or "unreadable" in printed
            assert ("a" in harness.synchroniser.unreadable_ids) == is_unreadable
            row = harness.picture.row("a")
            before = Stage.INITIATED if is_known else None
            assert (row and row.stage) == (
                before if is_unreadable else Stage(printed[0].replace("other size", "verified"))
            )
            assert row is None or row.is_stale == is_unreadable
            reached = [change.after for change in harness.changes if isinstance(change, StageReached)]
            assert not (is_unreadable and reached)
            assert bool(harness.synchroniser.partial_problem) == (len(printed) > 1)
        await harness.print({"b": {}}, lines["completed"])
        row = harness.picture.row("a")
        assert row is not None
        assert (row.stage, row.is_stale) == (Stage.COMPLETED, False)
        harness.store.close()

    asyncio.run(check())


async def test_changes_are_published_though_every_listing_has_an_id_on_two_lines() -> None:
    harness = SourceHarness()
    for stage in ("initiated", "completed"):
        await harness.print({"a": {"stage": stage}}, *lines_of({"a": {"stage": stage}}))
    assert (harness.take_changes(), harness.synchroniser.previous_read_on) == (["StageReached a"], None)


@pytest.mark.parametrize(
    ("count", "left", "is_most"),
    [(1, 0, True), (2, 0, True), (2, 1, True), (3, 0, True), (3, 1, True), (3, 2, False), (4, 1, True), (4, 2, False),
     (20, 0, True), (20, 4, True), (20, 9, True), (20, 10, False), (21, 10, True)],
)  # fmt: skip
async def test_most_uploads_that_vanish_at_once_are_asked_for_twice(count: int, left: int, is_most: bool) -> None:
    harness = SourceHarness()
    uploads: dict[str, dict[str, Any]] = {f"u{number:02}": {} for number in range(count)}
    some = dict(list(uploads.items())[:left])
    await harness.print(uploads)
    harness.source.outputs = [(lines_of(some), Listing()), (lines_of(uploads), Listing())]
    await harness.synchroniser.sync()
    assert (harness.source.runs, harness.present) == ((3, set(uploads)) if is_most else (2, set(some)))
    runs = harness.source.runs
    await harness.print(uploads)
    await harness.print(some, END % left)
    assert (harness.source.runs, harness.present) == (runs + 2 + is_most, set(some))


async def test_uploads_that_ended_do_not_hide_that_most_others_vanish() -> None:
    harness = SourceHarness()
    ended = {f"e{number}": {"ended": True} for number in range(9)}
    await harness.print({**ended, "a": {}, "b": {}, "c": {}})
    await harness.print({"a": {}}, END % 1)
    assert harness.source.runs == 3


async def test_a_second_listing_that_fails_makes_nothing_gone() -> None:
    harness = SourceHarness()
    await harness.print({"a": {}, "b": {}})
    harness.source.outputs = [([], Listing()), ([], FAILED)]
    with pytest.raises(SourceError):
        await harness.synchroniser.sync()
    assert harness.present == {"a", "b"}


async def test_a_listing_without_the_end_line_of_earlier_ones_is_asked_for_again_and_never_whole() -> None:
    harness = SourceHarness()
    await harness.print({"a": {}, "b": {}}, END % 2)
    harness.new_session()
    harness.source.outputs = [(lines_of({"a": {}}), Listing()), ([*lines_of({"a": {}, "b": {}}), END % 2], Listing())]
    await harness.synchroniser.sync()
    assert harness.present == {"a", "b"}
    with pytest.raises(SourceError, match="there is no end line, which earlier listings had"):
        await harness.print({"a": {}, "c": {}})
    assert harness.present == {"a", "b", "c"}
    await harness.print({"a": {}}, END % 1)
    assert harness.present == {"a"}


async def test_an_empty_listing_makes_uploads_gone_only_with_an_end_line() -> None:
    harness = SourceHarness()
    with pytest.raises(SourceError, match="nothing was listed, and there is no end line"):
        await harness.print({})
    assert harness.synchroniser.previous_read_on is None
    await harness.print({"a": {}, "b": {"ended": True}})
    for more in ([], [b"", b'{"type": "progress"}']):
        with pytest.raises(SourceError, match="nothing was listed, and there is no end line"):
            await harness.print({}, *more)
    assert harness.present == {"a", "b"}
    await harness.print({}, END % 0)
    assert harness.present == {"b"}


async def test_an_upload_that_ended_stays_as_it_ended() -> None:
    harness = SourceHarness(store=Store(limits=Limits(ended_uploads_kept=1)))
    await harness.print({"a": {"stage": "verified", "on": ON, "ended": True}, "b": {"stage": "verified"}, "c": {}})
    await harness.print({"c": {}})
    assert harness.shown() == {"a": False, "b": True, "c": False}
    assert harness.picture.funnel()[Stage.VERIFIED].count == 1
    harness.new_session()
    await harness.print({"d": {"stage": "verified", "ended": True}, "c": {}})
    await harness.print({"c": {}})
    assert harness.shown() == {"a": True, "b": True, "c": False, "d": False}


@pytest.mark.parametrize(
    ("left", "missing"),
    [
        ({"q": {"project": "Q"}}, ["P"]),
        ({"q": {"project": "Q", "stage": "completed"}, "r": {"project": "R"}}, ["P"]),
        ({"p": {"project": "P"}}, ["Q"]),
        ({"q": {"project": "Q"}, "p2": {"project": "P"}}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_new_session", [True, False])
async def test_a_project_that_a_whole_listing_lacks_is_missing_also_if_its_uploads_are_known(
    left: dict[str, dict[str, Any]], missing: list[str], *, is_new_session: bool
) -> None:
    projects = frozenset({"P", "Q"})
    harness = SourceHarness(projects=projects)
    await harness.print({"p": {"project": "P"}, "q": {"project": "Q"}, "r": {"project": "R"}})
    assert harness.synchroniser.missing_projects() == {}
    if is_new_session:
        harness.new_session(projects)
    await harness.print(left, END % len(left))
    assert [*harness.synchroniser.missing_projects()] == missing


PROJECTS = {"A": {"id": "1", "name": "A"}, "B": {"id": "1", "name": "B"}, "id": {"id": "1"}, "text": "1"}


@pytest.mark.parametrize(
    "names", [*permutations(["A", "B", "text"]), ("A", "B", "A"), ("B", "id", "id"), ("A", "A", "B")]
)
async def test_a_project_with_two_names_has_the_latest_everywhere(names: tuple[str, ...]) -> None:
    harness = SourceHarness()
    uploads = {f"u{number}": {"project": PROJECTS[name]} for number, name in enumerate(names)}
    await harness.print({"u0": {"project": PROJECTS["B"]}})
    await harness.print(uploads)
    name = [one for one in names if one in {"A", "B"}][-1]
    for picture in (harness.picture, StorePicture(harness.store, harness.clock, SERVICE)):
        details = [detail for one in uploads if (detail := picture.detail(one)) is not None]
        assert {detail.upload.project_name for detail in details} == {name}
        assert {row.project_name for row in picture.window(Query(), 0, 9).rows} == {name}
    assert harness.synchroniser.scope.projects == [ProjectRef("1", name)]


async def test_only_uploads_of_the_watched_projects_are_kept() -> None:
    harness = SourceHarness(projects=frozenset({"P", "scripted"}))
    await harness.print({"a": {"project": {"id": "1", "name": "P"}}, "b": {"project": "Q"}, "c": {}}, END % 3)
    await harness.print({"a": {"project": {"id": "1", "name": "P"}}, "b": {"project": "Q"}, "c": {}}, END % 3)
    assert harness.present == {"a", "c"}


@pytest.mark.parametrize("between", [frozenset("Q"), frozenset("PQ"), frozenset[str]()], ids=["Q", "P and Q", "all"])
@pytest.mark.parametrize("line", [b"", b'{"id": "a"}'], ids=["whole", "unreadable"])
async def test_what_was_observed_stays_when_other_projects_are_watched_meanwhile(
    between: frozenset[str], line: bytes
) -> None:
    """Without times in its lines, only the store knows when an upload reached its stages."""
    clock = FrozenClock()
    harness = SourceHarness(projects=frozenset("P"), clock=clock)
    of_p, of_q = ({name: {"project": name.upper(), "stage": "completed"}} for name in "pq")
    await harness.print({"a": {"project": "P", "stage": "initiated"}, **of_p, **of_q})
    clock.advance(60)
    after = {"a": {"project": "P", "stage": "completed"}, **of_p, **of_q}
    await harness.print(after)
    before = harness.picture.detail("a")
    harness.new_session(between)
    clock.advance(3600)
    for _ in range(2):
        await harness.print({**of_p, **of_q}, line) if line else await harness.print(after)
    unwatched = harness.picture.detail("a") if between == {"Q"} else None
    harness.new_session(frozenset("P"))
    clock.advance(60)
    await harness.print(after)
    again = harness.picture.detail("a")
    assert before is not None
    assert again is not None
    assert unwatched is None or unwatched.row.read_on == before.row.read_on
    assert again.upload.timeline == before.upload.timeline
    assert again.row.stage_since == before.row.stage_since
    assert (harness.present, "UploadGone a" in harness.take_changes()) == ({"a", "p", "q"}, False)


@pytest.mark.parametrize("final", ["verified", "error"])
@pytest.mark.parametrize("lower", ["initiated", "completed"])
@pytest.mark.parametrize("older_answers", [0, 1, 2])
async def test_a_stage_reached_a_second_time_is_a_change_also_after_an_older_answer(
    older_answers: int, lower: str, final: str
) -> None:
    harness = SourceHarness()
    first, retried, second = "2026-03-14T08:01:00.000Z", "2026-03-14T08:03:00.000Z", "2026-03-14T08:04:00.000Z"
    await harness.print({"a": {"stage": final, "on": first}})
    await harness.print({"a": {"stage": lower, "on": retried}})
    for size in range(older_answers):
        await harness.print({"a": {"stage": final, "on": first, "size": size}})
    assert [one for one in harness.take_changes() if one.startswith("StageReached")] == ["StageReached a"]
    await harness.print({"a": {"stage": final, "on": second}})
    (change,) = harness.changes
    assert isinstance(change, StageReached)
    assert (change.after, change.on and format_time(change.on)) == (final, second)
    for number, on in enumerate([second, first, second] * 2):
        await harness.print({"a": {"stage": final, "on": on, "size": 9 + number}})
    assert sum(isinstance(one, StageReached) for one in harness.changes) == 1


@pytest.mark.parametrize("stage", [*map(str, Stage)])
@pytest.mark.parametrize("passed", [{}, {"initiated_on": "2026-03-14T07:00:00.000Z"}], ids=str)
async def test_a_final_stage_is_reached_again_at_a_later_time_only(stage: str, passed: dict[str, str]) -> None:
    harness, is_final = SourceHarness(), Stage(stage).is_final
    first, second, third = "2026-03-14T08:01:00.000Z", "2026-03-14T08:03:00.000Z", "2026-03-14T08:04:00.000Z"
    await harness.print({"a": {**passed, "stage": stage, "on": first}})
    harness.store.acknowledge(["a"], Acknowledgement("known"))
    steps: list[tuple[list[str | None], list[str], bool]] = [
        ([first, None, "2026-03-14T08:00:00.000Z", first], [], True),
        ([second, second, first, second, first, None, second], [second], False),
        ([third], [third], False),
    ]
    for times, reached, is_acknowledged in steps:
        for number, on in enumerate(times):
            later = dict.fromkeys(passed, on or first) if is_final else passed
            await harness.print({"a": {**later, "stage": stage, "on": on, "size": number}})
        changes, harness.changes[:] = [*harness.changes], []
        found = [one for one in changes if isinstance(one, StageReached)]
        expected = [(on, stage, stage, True) for on in reached] if is_final else []
        assert [(one.on and format_time(one.on), one.before, one.after, one.is_again) for one in found] == expected
        row = harness.picture.row("a")
        assert row is not None
        assert (row.acknowledgement is not None) == (is_acknowledged or not is_final)


@pytest.mark.parametrize(
    "field", ["size", "received_bytes", "on", "updated_on", "initiated_on", "chunks", "project", "by", "final_chunks"]
)
@pytest.mark.parametrize("values", [[-1796025597.5, -1796025598.5], [{}, {"a": 1}], ["3026-01-01", "3026-01-02"]])
async def test_a_field_that_always_has_another_wrong_value_is_one_anomaly(field: str, values: list[object]) -> None:
    """Such as seconds since 1970: each listing has others."""
    harness = SourceHarness()
    await harness.print({"a": {"stage": "initiated"}})
    await harness.print({"a": {"stage": "initiated", field: values[0]}})
    first = harness.take_changes()
    await harness.print({"a": {"stage": "initiated", field: values[1]}})
    assert first.count("AnomalyNoticed a") <= 1
    assert "AnomalyNoticed a" not in harness.take_changes()


async def test_more_bytes_than_a_size_that_changes_are_one_anomaly() -> None:
    harness = SourceHarness()
    for size in (9, 8, 7):
        await harness.print({"a": {"stage": "initiated", "size": size, "received_bytes": 9}})
    assert harness.take_changes() == ["AnomalyNoticed a"]


async def test_a_time_that_always_is_in_the_future_is_one_anomaly() -> None:
    """The source's clock is ahead."""
    harness = SourceHarness()
    await harness.print({"a": {"stage": "initiated"}})
    for hours in (1, 2):
        updated_on = format_time(NOW + timedelta(hours=hours))
        await harness.print({"a": {"stage": "initiated", "updated_on": updated_on}})
    assert harness.take_changes() == ["AnomalyNoticed a"]


async def test_each_state_of_its_own_is_a_change_and_no_anomaly() -> None:
    harness = SourceHarness()
    await harness.print({"a": {"stage": "completed"}})
    for number, stage in enumerate(["held", "held", "quarantined", "held", "completed", "held"]):
        await harness.print({"a": {"stage": stage, "size": number}})
        row, detail = harness.picture.row("a"), harness.picture.detail("a")
        assert row is not None
        assert detail is not None
        assert (row.anomaly, row.anomaly_count, detail.anomalies) == (None, 0, ())
    found = [one.state for one in harness.changes if isinstance(one, OwnStateReached)]
    assert found == ["held", "quarantined", "held", "held"]
    assert not any(isinstance(one, AnomalyNoticed) for one in harness.changes)


@pytest.mark.parametrize("ended", [{}, {"ended": True}], ids=str)
@pytest.mark.parametrize("on", [None, ON])
@pytest.mark.parametrize("stage", [*map(str, Stage), "held"])
@pytest.mark.parametrize("before", [*map(str, Stage), "quarantined"])
async def test_a_change_says_that_an_upload_is_in_another_state_whatever_that_is(
    before: str, stage: str, on: str | None, ended: dict[str, bool]
) -> None:
    """`tail`, the activity, `on_change` and recordings have what the picture has."""
    harness = SourceHarness()
    await harness.print({"a": {"stage": before}})
    await harness.print({"a": {"stage": stage, "on": on, **ended}})
    (row,) = harness.picture.window(Query(), 0, 9).rows
    state = row.unknown_state or str(row.stage)
    changes = [one for one in harness.changes if isinstance(one, UploadChange)]
    reached = [change for change in changes if not isinstance(change, AnomalyNoticed)]
    assert (before == state) == (not reached)
    for change in reached[-1:]:
        record = change_record(change)
        assert record["to"] == state
        assert (record["certainty"] == "reported") == (on is not None and state != "ended")
        terms = {"stage:unknown": bool(row.unknown_state), f"{state[:5]}": True, "is:failed": state == "error"}
        for query, is_found in terms.items():
            assert matches_change(parse_query(query).tree, change, row, harness.clock.now()) == is_found


@pytest.mark.parametrize("own", [{"stage": "held"}, {"stage": "held", "on": LATER}], ids=str)
@pytest.mark.parametrize("first_on", [{}, {"on": ON}], ids=str)
@pytest.mark.parametrize("first", ["initiated", "completed", "verified", "error", "queued"])
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("is_new_session", [True, False], ids=["new sessions", "one session"])
async def test_a_stage_after_a_state_of_its_own_is_reached_then(
    first: str, first_on: dict[str, str], own: dict[str, str], stage: Stage, *, is_new_session: bool
) -> None:
    """Also the one that the upload was in before: it did not wait in it meanwhile, and a later time contradicts nothing."""
    harness = SourceHarness(clock=(clock := FrozenClock()))
    await harness.print({"b": {}})
    for line in ({"stage": first, **first_on}, own, {"stage": stage}, {"stage": stage, "size": 1}):
        clock.advance(3600)
        if is_new_session:
            harness.new_session()
        await harness.print({"a": line, "b": {}})
        if line == {"stage": stage}:
            left_on, changes = clock.now(), harness.changes.copy()
    row = harness.picture.row("a")
    assert row is not None
    assert (row.stage, row.stage_since, row.since_certainty) == (stage, left_on, Certainty.OBSERVED)
    assert [one.after for one in changes if isinstance(one, StageReached)][-1] is stage
    assert sum(isinstance(one, StageReached) for one in harness.changes) == sum(
        isinstance(one, StageReached) for one in changes
    )


@pytest.mark.parametrize("stage", Stage)
async def test_a_time_after_a_state_of_its_own_says_whether_the_stage_is_reached_again(stage: Stage) -> None:
    """The same time is that of before; a later one is no anomaly."""
    harness = SourceHarness()
    await harness.print({"b": {}})
    for line, expected in (
        ({"stage": stage, "on": ON}, ["UploadSeen a", "StageReached a"]),
        ({"stage": "held"}, ["OwnStateReached a"]),
        ({"stage": stage, "on": ON}, []),
        ({"stage": "held", "size": 1}, ["OwnStateReached a"]),
        ({"stage": stage, "on": LATER}, ["StageReached a"]),
    ):
        await harness.print({"a": line, "b": {}})
        assert [one for one in harness.take_changes() if not (stage.is_final and "Anomaly" in one)] == expected


@pytest.mark.parametrize(
    ("since", "on", "certainty"), [({"on": ON}, ON, Certainty.REPORTED), ({}, None, Certainty.OBSERVED)], ids=str
)
async def test_every_process_publishes_a_state_of_its_own_with_its_time(
    since: dict[str, str], on: str | None, certainty: Certainty, tmp_path: Path
) -> None:
    """Also the one that reads it from the change log of a store that both use."""
    one, other = (SourceHarness(store=Store(tmp_path / "store.db")) for _ in range(2))
    for harness in (one, other):
        await harness.print({"a": {"stage": "completed"}})
        harness.changes.clear()
    for harness in (one, other):
        await harness.print({"a": {"stage": "held", **since}})
        assert harness.changes == [
            OwnStateReached(
                at=one.clock.now(),
                upload=UploadRef("a", "a.tiff", "scripted", "scripted", SERVICE),
                state="held",
                on=parse_time(on) if on else one.clock.now(),
                certainty=certainty,
            )
        ]
    for harness in (one, other):
        harness.store.close()


@pytest.mark.parametrize("on", [{}, {"on": ON}], ids=str)
@pytest.mark.parametrize("without", [{}, {"stage": 5}], ids=str)
async def test_a_line_without_a_stage_moves_no_upload(without: dict[str, Any], on: dict[str, str]) -> None:
    harness = SourceHarness()
    await harness.print({"a": {"stage": "completed", **on}})
    before = harness.picture.detail("a")
    for size in (1, 2):
        harness.clock.advance(60)  # type: ignore[attr-defined]
        await harness.print({"a": {"size": size, **without}})
        detail = harness.picture.detail("a")
        assert (before is not None, detail is not None) == (True, True)
        assert detail.upload.timeline == before.upload.timeline  # type: ignore[union-attr]
    assert {one.split()[0] for one in harness.take_changes()} == {"AnomalyNoticed"}
    await harness.print({"a": {"stage": "verified", "on": LATER}})
    assert harness.take_changes() == ["StageReached a"]


@pytest.mark.parametrize(
    "fields", [{"stage": "quarantined"}, {"current": {"state": "quarantined", "state_on": None}}], ids=str
)
@pytest.mark.parametrize("is_new_session", [True, False])
async def test_a_state_of_its_own_without_a_time_is_as_old_as_it_was_observed_to_be(
    fields: dict[str, Any], *, is_new_session: bool
) -> None:
    harness = SourceHarness()
    await harness.print({"a": {"stage": "completed"}})
    harness.clock.advance(60)  # type: ignore[attr-defined]
    observed_on = harness.clock.now()
    for printed in (fields, {**fields, "size": 1}, fields, {}, {"size": 2}):
        await harness.print({"a": printed})
        row = harness.picture.row("a")
        assert row is not None
        found = (row.unknown_state, row.stage_since, row.since_certainty)
        assert found == ("quarantined", observed_on, Certainty.OBSERVED)
        harness.clock.advance(60)  # type: ignore[attr-defined]
        if is_new_session:
            harness.new_session()
    await harness.print({"a": {"stage": "quarantined", "on": ON}})
    row = harness.picture.row("a")
    assert row is not None
    assert (row.stage_since and format_time(row.stage_since), row.since_certainty) == (ON, Certainty.REPORTED)
    await harness.print({"a": {"stage": "held"}})
    row = harness.picture.row("a")
    assert row is not None
    assert (row.unknown_state, row.stage_since) == ("held", harness.clock.now())


async def test_the_last_of_several_lines_of_an_upload_counts() -> None:
    harness = SourceHarness()
    first, second = {"a": {"stage": "initiated", "on": ON}}, {"a": {"stage": "completed", "on": LATER}}
    await harness.print(first, *lines_of(second))
    await harness.print(first)
    assert harness.picture.funnel()[Stage.INITIATED].count == 1
    await harness.print(second, *lines_of(first))
    assert harness.picture.funnel()[Stage.INITIATED].count == 1


async def test_a_second_session_begins_with_what_the_first_knew(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    harness = SourceHarness(store=store)
    await harness.print({"a": {}, "b": {"received_bytes": 5}})
    store.close()
    second = SourceHarness(store=Store(tmp_path / "store.db"))
    assert second.present == {"a", "b"}
    assert second.picture.previous_read_on == harness.clock.now()
    await second.print({"b": {"received_bytes": 5}, "c": {}})
    assert sorted(second.take_changes()) == ["StageReached c", "UploadGone a", "UploadSeen c"]
    second.store.close()


async def test_a_later_session_knows_since_when_an_upload_is_gone(tmp_path: Path) -> None:
    """Also of one that was listed again and is gone again, and beside one whose id its id contains."""

    def gone_on(harness: SourceHarness, upload_id: str) -> datetime | None:
        detail = harness.picture.detail(upload_id)
        assert detail is not None
        return detail.gone_on

    ids = ['"', "a", '"a"', "A\\"]
    clock = FrozenClock()
    harness = SourceHarness(store=Store(tmp_path / "store.db"), clock=clock)
    await harness.print({one: {} for one in [*ids, "b"]})
    for gone in ids:
        clock.advance(60)
        await harness.print({one: {} for one in [*ids, "b"] if one != gone})
        assert (gone_on(harness, gone), gone_on(harness, "b")) == (clock.now(), None)
        await harness.print({one: {} for one in [*ids, "b"]})
        assert gone_on(harness, gone) is None
    expected = {}
    for number, gone in enumerate(ids, 1):
        clock.advance(60)
        await harness.print({one: {} for one in [*ids[number:], "b"]}, END % (len(ids) - number + 1))
        expected[gone] = clock.now()
    harness.store.close()
    clock.advance(60)
    second = SourceHarness(store=Store(tmp_path / "store.db"), clock=clock)
    await second.print({"b": {}}, END % 1)
    assert {one: gone_on(second, one) for one in ids} == expected
    second.store.close()


async def test_what_another_session_found_is_published_before_an_upload_that_is_gone_now(tmp_path: Path) -> None:
    first, second = (SourceHarness(store=Store(tmp_path / "store.db")) for _ in range(2))
    for harness in (first, second):
        await harness.print({"a": {}, "b": {}})
        harness.take_changes()
    await first.print({"b": {}})
    await first.print({"a": {}, "b": {}})
    await second.print({"b": {}})
    assert second.take_changes() == ["UploadGone a", "UploadSeen a", "UploadGone a"]
    for harness in (first, second):
        harness.store.close()


async def test_times_that_are_not_said_are_when_the_stage_was_observed() -> None:
    clock = FrozenClock()
    harness = SourceHarness(clock=clock)
    await harness.print({"a": {}})
    began_on = clock.now()
    clock.advance(60)
    await harness.print({"a": {}})
    clock.advance(60)
    await harness.print({"a": {"stage": "completed"}})
    detail = harness.picture.detail("a")
    assert detail is not None
    timeline = upload_record(detail)["timeline"]
    assert [(event["stage"], event["on"], event["earliest"], event["latest"]) for event in timeline] == [
        ("initiated", None, None, format_time(began_on)),
        ("completed", None, format_time(clock.now().replace(minute=clock.now().minute - 1)), format_time(clock.now())),
    ]


async def test_an_upload_without_times_becomes_stuck_after_it_was_first_seen() -> None:
    clock = FrozenClock()
    harness = SourceHarness(clock=clock)
    for seconds in (0, 890, 20):
        clock.advance(seconds)
        await harness.print({"a": {}, "b": {"stage": "completed"}, "c": {"received_bytes": seconds}})
    assert {row.id: row.lateness.is_stuck for row in harness.picture.window(Query(), 0, 9).rows} == {
        "a": True, "b": True, "c": False,
    }  # fmt: skip


LONG_AGO, RECENTLY = "2026-03-12T08:00:00.000Z", format_time(NOW - timedelta(seconds=60))


@pytest.mark.parametrize(
    ("lines", "is_stuck"),
    [
        ([{"updated_on": LONG_AGO}], True),
        ([{"updated_on": LONG_AGO}, {"updated_on": LONG_AGO, "size": 5}], True),
        ([{"updated_on": LONG_AGO}, {"updated_on": RECENTLY}], False),
        ([{"updated_on": LONG_AGO, "received_bytes": 1}, {"received_bytes": 2}], False),
        ([{"updated_on": LONG_AGO, "on": LONG_AGO}], True),
        ([{"updated_on": LONG_AGO, "on": RECENTLY}], False),
        ([{"updated_on": RECENTLY, "on": LONG_AGO}], False),
        ([{}], False),
        ([{"updated_on": LONG_AGO, "stage": "completed"}], False),
        ([{"updated_on": LONG_AGO, "stage": "error"}, {"updated_on": LONG_AGO, "stage": "initiated"}], False),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_new_session", [True, False])
async def test_an_initiated_upload_is_stuck_since_bytes_last_arrived(
    lines: list[dict[str, Any]], *, is_stuck: bool, is_new_session: bool
) -> None:
    harness = SourceHarness()
    for line in lines:
        harness.clock.advance(60)  # type: ignore[attr-defined]
        await harness.print({"a": {"stage": "initiated", **line}})
    if is_new_session:
        harness.new_session()
    row, stuck = harness.picture.row("a"), Query(trouble_only=True)
    assert row is not None
    assert row.lateness.is_stuck == is_stuck
    assert (harness.picture.window(stuck, 0, 9).total, harness.picture.funnel().stuck) == (is_stuck, is_stuck)


async def test_what_list_prints_is_a_source_itself() -> None:
    harness = SourceHarness()
    await harness.print(
        {
            "a": {
                "initiated_on": ON,
                "completed_on": LATER,
                "size": 10,
                "received_bytes": 4,
                "project": {"id": "1", "name": "P"},
            },
            "b": {"stage": "error", "error_message": "no space", "chunks": [{"number": 1, "size": 5}]},
            "c": {"stage": "quarantined", "on": ON},
            "d": {"current": {"state": "verified", "state_on": None}},
            "e": {},
            "f": {"stage": "completed", "on": ON, "ended": True},
        }
    )
    listed = [dict(upload_record(detail)) for one in "abcdef" if (detail := harness.picture.detail(one)) is not None]
    second = SourceHarness()
    await second.print({record["id"]: record for record in listed})
    again = [dict(upload_record(detail)) for one in "abcdef" if (detail := second.picture.detail(one)) is not None]
    assert again == listed


# The property


UPLOADS = st.dictionaries(
    st.sampled_from("abcdefghijklmn"),
    st.fixed_dictionaries(
        {},
        optional={
            "stage": st.sampled_from([*map(str, Stage)]),
            "on": st.sampled_from([ON, LATER]),
            "received_bytes": st.integers(0, 3),
            "project": st.sampled_from(["P", "P", "Q"]),
        },
    ),
)
ENDS = st.sampled_from(
    ["whole", "whole", "with end", "cut", "failed", "timeout", "repeated", "broken line", "accident"]
)
TIMEOUT_SECONDS = 30.0


class Printed(Struct, frozen=True):
    """What a source prints in one round.

    Attributes:
        uploads: its uploads.
        end: how the listing ends.
        cut: the number of lines after which it may end.
        seconds: how long each batch takes; `timeout` is a listing that took too long.
    """

    uploads: dict[str, dict[str, Any]]
    end: str
    cut: int
    seconds: float

    @property
    def is_partial(self) -> bool:
        """Whether anything may be missing."""
        is_cut = self.end == "cut" and self.cut < len(self.uploads)
        is_repeated = self.end == "repeated" and bool(self.uploads)
        return is_cut or is_repeated or self.end in {"failed", "timeout", "broken line"}

    def fails(self, watched: set[str]) -> bool:
        """Whether the listing fails, while these uploads are known: the command does, or a listing that is not whole lacks one."""
        is_failed = self.is_partial and self.end in {"cut", "failed", "timeout"}
        return is_failed or (self.is_partial and not watched <= self.listed.keys())

    @property
    def listed(self) -> dict[str, dict[str, Any]]:
        """The uploads of its lines."""
        if self.end == "timeout":
            return dict([*self.uploads.items()][: 3 * int(TIMEOUT_SECONDS / max(self.seconds, 10))])
        is_cut = self.end in {"cut", "failed", "broken line"}
        return dict([*self.uploads.items()][: self.cut]) if is_cut else self.uploads

    def outputs(self, *, has_end: bool, is_known: bool) -> list[tuple[list[bytes], Listing]]:
        """What the command prints; the second time, too, if it is asked twice."""
        lines, some = lines_of(self.uploads), lines_of(self.listed)
        whole = [*lines, END % len(lines)]
        outputs: dict[str, list[tuple[list[bytes], Listing]]] = {
            "whole": [(whole if has_end or not lines else lines, Listing())],
            "with end": [(whole, Listing())],
            "cut": [([*some, END % len(lines)], Listing())],
            "failed": [(some, FAILED)],
            "timeout": [(some, Listing(failure="ended after 30s without finishing"))],
            "repeated": [([*lines, *lines, END % (2 * len(lines))], Listing())],
            "broken line": [([*some, b"{", END % (len(some) + 1)], Listing())],
            # An empty listing is asked for again only if uploads are known.
            "accident": [*([([], Listing())] if is_known else []), (whole, Listing())],
        }
        return outputs[self.end]


ROUNDS = st.lists(
    st.builds(Printed, UPLOADS, ENDS, st.integers(0, 14), st.sampled_from([0.0, 0.1, 0.3, 14.0])),
    min_size=1,
    max_size=8,
)


class Sessions(Struct, frozen=True):
    """How the rounds are divided into sessions.

    Attributes:
        filters: the projects that each round's session watches, again and again; a single one if all rounds are of one session.
        is_upgraded: whether each session is of a newer version, which reads lines by another contract.
    """

    filters: list[frozenset[str]]
    is_upgraded: bool


FILTERS = st.sampled_from([frozenset[str](), frozenset("P"), frozenset("Q")])
SESSIONS = st.builds(Sessions, st.lists(FILTERS, min_size=1, max_size=4), st.booleans())


@given(ROUNDS, SESSIONS, st.booleans())
@settings(max_examples=120, deadline=None)
def test_the_picture_equals_the_last_whole_listing_and_nothing_else_makes_anything_gone(
    rounds: list[Printed], sessions: Sessions, has_new_sessions: bool
) -> None:
    """The sessions share a store; what a session does not watch stays as it was."""
    with virtual_time():
        asyncio.run(_check_rounds(rounds, sessions if has_new_sessions else None, sessions.filters[0]))


async def _check_rounds(rounds: list[Printed], sessions: Sessions | None, projects: frozenset[str]) -> None:
    clock = FrozenClock()
    harness = SourceHarness(projects=projects, clock=clock)
    known = dict[str, str]()  # the project of each upload that is not gone
    has_end, read_on = False, dict[frozenset[str], datetime]()
    for number, printed in enumerate(rounds):
        clock.advance(15)
        if sessions is not None and number:
            projects = sessions.filters[number % len(sessions.filters)]
            if sessions.is_upgraded:
                harness.use_older_contract()
            harness.new_session(projects)
        watched = {one for one, project in known.items() if not projects or project in projects}
        harness.source.on_batch = partial(clock.advance, printed.seconds)
        harness.source.outputs = [*printed.outputs(has_end=has_end, is_known=bool(watched))]
        fails = printed.fails(watched)
        has_end |= not (fails and printed.end in {"cut", "failed", "timeout"}) and (
            printed.end != "whole" or not printed.uploads
        )
        with pytest.raises(SourceError) if fails else nullcontext():
            await harness.synchroniser.sync()
        listed = {
            one: fields
            for one, fields in printed.listed.items()
            if not projects or fields.get("project") in projects or one in watched  # it has moved
        }
        gone = set[str]() if printed.is_partial else watched - listed.keys()
        known |= {one: fields.get("project", "scripted") for one, fields in listed.items()}
        known = {one: project for one, project in known.items() if one not in gone}
        if not printed.is_partial:
            read_on[projects] = clock.now()
        assert (harness.present, harness.synchroniser.previous_read_on) == ({*known}, read_on.get(projects))
        assert {one[11:] for one in harness.take_changes() if one.startswith("UploadGone")} == gone
        _check_details(harness, listed)
    harness.store.close()


def _check_details(harness: SourceHarness, listed: dict[str, dict[str, Any]]) -> None:
    """What is known of each upload is what its last line says, read by the present contract."""
    for upload_id, fields in listed.items():
        assert json.loads(harness.store.raw_json.raw(upload_id))["source"] == records.CONTRACT_VERSION
        detail = harness.picture.detail(upload_id)
        assert detail is not None
        assert json.loads(detail.raw) == json.loads(lines_of({upload_id: fields})[0])
        since = detail.row.stage_since
        assert since is not None
        assert (
            format_time(since) == fields["on"]
            if fields.get("stage") and "on" in fields
            else since <= harness.clock.now()
        )


async def test_a_first_listing_of_usual_and_unusual_lines_is_what_a_later_listing_confirms() -> None:
    harness = SourceHarness()
    usual: dict[str, dict[str, Any]] = {
        f"u{number}": {"initiated_on": ON, "chunks": [{"number": 1, "size": 5}]} for number in range(1200)
    }
    unusual: dict[str, dict[str, Any]] = {
        "secret": {"by": "https://me:hunter2@example.org"},
        "extra": {"sensor": 7},
        "over": {"ended": True},
        "failed": {"stage": "error", "error_message": "lost"},
    }
    usual["u7"] = {"stage": "completed", "on": LATER}
    await harness.print({**usual, **unusual})
    assert harness.take_changes() == []
    assert harness.picture.window(Query(), 0, 0).total == 1204
    stages = harness.picture.funnel()
    assert [stages[one].count for one in (Stage.INITIATED, Stage.COMPLETED, Stage.ERROR)] == [1201, 1, 1]
    assert "hunter2" not in harness.store.raw_json.raw("secret")
    detail = harness.picture.detail("u8")
    assert detail is not None
    assert json.loads(detail.raw) == {"id": "u8", "name": "u8.tiff", **usual["u8"]}
    harness.source.outputs.clear()
    harness.source.print_next(lines_of({**usual, **unusual}))
    assert not await harness.new_session().sync()
    await harness.print({**usual, "u8": {"stage": "verified", "on": LATER}})
    assert harness.take_changes() == ["StageReached u8", "UploadGone extra", "UploadGone failed", "UploadGone secret"]


async def test_a_new_session_reads_only_lines_that_are_not_as_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, read, parsed = SourceHarness(), list[str](), list[bytes]()
    uploads: dict[str, dict[str, Any]] = {
        "page": {"size": 1}, "single": {"extra": 1}, "number": {"extra": 1}, "stale": {"extra": 1}, "gone": {},
    }  # fmt: skip
    await harness.print(uploads)
    await harness.print({one: uploads[one] for one in ("page", "single", "number")}, b'{"id": "stale"}')

    def source_reading(line: UploadLine, *arguments: Any, **options: Any) -> UploadReading:
        read.append(line.id)
        return records.source_reading(line, *arguments, **options)

    def parse_line_of(line: bytes) -> Line:
        parsed.append(line)
        return parse_line(line)

    monkeypatch.setattr("upload_tui.monitor.sync.source_recorder.source_reading", source_reading)
    monkeypatch.setattr("upload_tui.monitor.sync.source_synchroniser.parse_line", parse_line_of)
    harness.new_session()
    harness.changes.clear()
    await harness.print({**uploads, "number": {"extra": True}})
    assert read == ["number", "stale", "gone"]
    assert [json.loads(line)["id"] for line in parsed] == ["number", "stale", "gone"]
    assert (harness.take_changes(), harness.present) == (["UploadSeen gone"], {*uploads})
    assert not any(row.is_stale for row in harness.picture.window(Query(), 0, 10).rows)


async def test_a_line_that_looks_like_two_of_a_stored_page_is_taken_for_no_other() -> None:
    harness = SourceHarness()
    shifting = (
        b'{"id": "a", "name": "a", "x": [{"y":1,"seen":{}},{"source":%d,"project":"scripted","line":{"id": "b"}}]}'
        % records.CONTRACT_VERSION
    )
    before = [shifting, *lines_of({one: {"stage": "initiated"} for one in "bcd"})]
    await harness.print({}, *before)
    assert not harness.store.raw_json.ids_outside_pages([*"abcd"])
    harness.new_session()
    after = [shifting, *lines_of({one: {"stage": "completed"} for one in "bcd"})]
    await harness.print({}, *before)
    assert harness.synchroniser.unreadable_notice == ""
    assert (harness.present, harness.picture.funnel()[Stage.INITIATED].count) == ({*"abcd"}, 4)
    harness.new_session()
    await harness.print({}, *after[:3], before[3])
    stages = {row.id: str(row.stage) for row in harness.picture.window(Query(), 0, 9).rows}
    assert stages == {"a": "initiated", "b": "completed", "c": "completed", "d": "initiated"}


async def test_a_slow_first_listing_is_shown_while_it_arrives_and_nothing_is_later_than_its_reading() -> None:
    clock, shown = FrozenClock(), list[int]()
    harness = SourceHarness(clock=clock)

    def pause() -> None:
        shown.append(len(harness.shown()))
        clock.advance(2)

    harness.source.batch_lines, harness.source.on_batch = 30, pause
    await harness.print({f"u{number}": {} for number in range(120)})
    assert shown == [0, 60, 90, 120]
    assert not harness.store.db.execute("SELECT id FROM uploads WHERE since_ms > read_ms").fetchall()


async def test_a_first_listing_keeps_what_an_earlier_one_that_failed_has_read() -> None:
    harness = SourceHarness()
    with pytest.raises(SourceError):
        await harness.print({"a": {"stage": "completed", "on": ON}, "b": {}, "c": {}}, listing=FAILED)
    await harness.print({"a": {"stage": "verified", "on": LATER}, "b": {}, "d": {}})
    assert harness.present == {"a", "b", "d"}
    detail = harness.picture.detail("a")
    assert detail is not None
    assert [event.stage for event in detail.upload.timeline] == [Stage.COMPLETED, Stage.VERIFIED]
