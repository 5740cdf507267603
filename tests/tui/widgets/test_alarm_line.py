"""The alarm line: there only while something is wrong, the most serious first, and in its colour."""

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from functools import cache
from itertools import product
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Size
from textual.pilot import Pilot
from textual.widgets._toast import Toast

from tests.tui.dashboards import mixed, opened, toasts, until
from tests.tui.test_prominence import Picture
from upload_tui.client.error_mapping import raise_for_status
from upload_tui.errors import Cause, ServiceError
from upload_tui.monitor import (
    Acknowledgement,
    Connection,
    ConnectionState,
    Funnel,
    InMemoryPicture,
    Notice,
    NoticeKind,
    Query,
    Row,
    StageSummary,
    Trouble,
)
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, an_upload, dashboard, settled
from upload_tui.tui.appearance.theme import THEMES
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.widgets.alarm_bar import AlarmBar
from upload_tui.tui.widgets.footer import KeyFooter
from upload_tui.tui.widgets.funnel import FunnelBar
from upload_tui.tui.widgets.pending_list import PendingList
from upload_tui.tui.widgets.pending_text import least_age_text, pending_age_text
from upload_tui.tui.widgets.status_bar import state_word
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.wire import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, SIZE_DIFFERS

FINE = [an_upload("fine.bin", initiated=60, completed=50, verified=40), an_upload("new.bin", initiated=10)]
STUCK = [*FINE, an_upload("stuck.bin", initiated=9000, completed=8000)]
FAILED = [*STUCK, an_upload("failed.bin", initiated=90, completed=80, error=70, message="no room left")]
OVERDUE = [
    *(an_upload(f"fast-{n}.bin", initiated=60 + n, completed=50 + n, verified=40 + n) for n in range(60)),
    *(an_upload(f"overdue-{n}.bin", initiated=90, completed=40) for n in range(2)),
]
NOT_WHOLE = [*STUCK, an_upload("half.bin", initiated=60, completed=50, verified=40, chunks=(1, 3))]
WAITING = [an_upload(f"waiting-{n}.bin", initiated=3000 + n, completed=2000 + n) for n in range(9)]
OFFLINE = Connection(
    state=ConnectionState.OFFLINE,
    since=NOW - timedelta(seconds=125),
    next_try_on=NOW + timedelta(seconds=8),
    reason="Connection refused: https://example.org/api/v1/projects",
    cause=Cause("Connection refused"),
)
BUSY = Cause("Service busy", 503, "The service is down until 6")
REJECTED = Connection(
    state=ConnectionState.NOT_ALLOWED,
    since=NOW - timedelta(seconds=5),
    reason="Token rejected (401: expired): https://example.org/api/v1",
    cause=Cause("Token rejected", 401, "expired"),
)
DENIED = Connection(
    state=ConnectionState.DENIED,
    since=NOW - timedelta(seconds=5),
    next_try_on=NOW + timedelta(seconds=3),
    reason="Access denied (403: No): https://example.org/api/v1/projects/p-2/uploads",
    cause=Cause("Access denied", 403, "No"),
    name="Prot",
    is_partly_live=True,
)
DELETED = Connection(
    state=ConnectionState.DELETED,
    since=NOW - timedelta(seconds=5),
    reason="Not found (404: No): https://example.org/api/v1/projects/p-2/uploads",
    cause=Cause("Not found", 404, "No"),
    name="Prot",
    is_partly_live=True,
)
RETRYING = Connection(state=ConnectionState.RETRYING, since=NOW, next_try_on=NOW, reason="no answer in time")


async def alarm_of(pilot: Pilot[int]) -> tuple[str, str]:
    """Level and text of the line; two empty texts while it is hidden."""
    await settled(pilot)
    bar = pilot.app.screen.query_one(AlarmBar)
    levels = [name for name in ("lost", "waits", "retry", "note") if bar.has_class(f"-{name}")]
    assert bar.display is bool(levels)
    return (levels[0], bar.text().plain) if levels else ("", "")


@pytest.mark.parametrize(
    ("uploads", "level", "text"),
    [
        (FINE, "", ""),
        (STUCK, "waits", "▲ 1 stuck 2h 13m"),
        (OVERDUE, "waits", "▲ 2 overdue"),
        ([*OVERDUE, *STUCK], "waits", "▲ 1 stuck 2h 13m · ▲ 2 overdue"),
        (NOT_WHOLE, "lost", "▲ 1 verified but not whole · ▲ 1 stuck 2h 13m"),
        (FAILED, "lost", "▲ 1 stuck 2h 13m · ✗ 1 failed: no room left"),
    ],
    ids=["fine", "stuck", "overdue", "stuck and overdue", "not whole", "failed"],
)
async def test_the_line_shows_what_is_in_trouble(uploads: Sequence[dict[str, Any]], level: str, text: str) -> None:
    async with opened(uploads) as (pilot, _, _):
        assert await alarm_of(pilot) == (level, text)


MANY_NAMES = "a-name-of-a-service-0, a-name-of-a-service-1, a-name-of-a-service-2"


@pytest.mark.parametrize(
    ("uploads", "expected"),
    [
        (
            FINE,
            [
                (OFFLINE, "lost", "✗ OFFLINE 2m 05s · Connection refused · retry in 8s"),
                (RETRYING, "retry", "◌ retrying: no answer in time · retry now"),
                (DENIED, "lost", "✗ Prot: ACCESS DENIED 5s · 403: No · retry in 3s"),
                (
                    replace(DENIED, others=1),
                    "lost",
                    "✗ Prot: ACCESS DENIED 5s, 1 more fails · 403: No · retry in 3s",
                ),
                (
                    replace(
                        RETRYING,
                        name="ceph",
                        others=9,
                        names=(*MANY_NAMES.split(", "), *"abcdefg"),
                        watched=12,
                    ),
                    "retry",
                    "◌ retrying, 10 of 12: " + MANY_NAMES + ", … · ceph: no answer in time",
                ),
                (
                    replace(RETRYING, name="Prot", others=1),
                    "retry",
                    "◌ Prot: retrying, 1 more fails: no answer in time · retry now",
                ),
            ],
        ),
        (
            STUCK,
            [
                (REJECTED, "lost", "✗ TOKEN REJECTED 5s · 401: expired · ▲ 1 stuck 2h 13m"),
                (RETRYING, "waits", "◌ retrying: no answer in time · retry now · ▲ 1 stuck 2h 13m"),
                (
                    replace(OFFLINE, name="ceph", others=1, names=("ceph", "oc"), watched=3),
                    "lost",
                    "✗ OFFLINE 2m 05s, 2 of 3: ceph, oc · ceph: Connection refused · retry in 8s · ▲ 1 stuck 2h 13m",
                ),
                (DELETED, "waits", "▲ 1 stuck 2h 13m · ✗ Prot: DELETED 5s · Not found (404): No"),
            ],
        ),
    ],
    ids=["fine", "stuck"],
)
async def test_the_line_shows_cause_and_state(
    uploads: Sequence[dict[str, Any]], expected: Sequence[tuple[Connection, str, str]]
) -> None:
    async with opened(uploads) as (pilot, session, _):
        for connection, level, text in expected:
            session.set_connection(connection)
            assert await alarm_of(pilot) == (level, text)


@pytest.mark.parametrize(
    ("uploads", "title"),
    [(FINE, "Waiting 1"), (OVERDUE, "Waiting 2 · 2 overdue"), ([*OVERDUE, *STUCK], "Waiting 4 · 1 stuck · 2 overdue")],
)
async def test_waiting_has_the_numbers_of_the_alarm_line(uploads: Sequence[dict[str, Any]], title: str) -> None:
    async with opened(uploads) as (pilot, _, _):
        await settled(pilot)
        assert Content.from_text(pilot.app.screen.query_one(PendingList).border_title or "").plain == title


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (300, "▲ 9 stuck 5m 00s · none verified for 30m, 9 completed waiting"),
        (1100, "▲ WORKER DOWN · none verified for 30m, 9"),
    ],
    ids=["only a fact", "an alarm"],
)
async def test_a_worker_that_ends_nothing_is_a_fact_then_an_alarm(seconds: int, text: str) -> None:
    done = [an_upload(f"done-{n}.bin", initiated=2000 + n, completed=1900, verified=1890 - 4 * n) for n in range(12)]
    waiting = [an_upload(f"waits-{n}.bin", initiated=1200 + n, completed=seconds - 16 * n) for n in range(9)]
    async with opened([*waiting, *done]) as (pilot, _, _):
        level, shown = await alarm_of(pilot)
        assert level == "waits"
        assert shown.startswith(text)


async def test_notifications_leave_the_counts_and_the_alarm_line_free_at_80_columns() -> None:
    app = dashboard(FAILED)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.notify("Since your last visit 3h ago: 5 failed, 2 newly overdue, 40 new, 33 verified", timeout=20)
        await until(pilot, lambda: any(toast.region.area for toast in app.screen.query(Toast)))
        await settled(pilot)
        (toast,) = app.screen.query(Toast)
        for bar in (FunnelBar, AlarmBar, KeyFooter):
            assert not toast.region.overlaps(app.screen.query_one(bar).region), bar


@pytest.mark.parametrize("direction", ["ahead of", "behind"])
async def test_a_note_about_the_clock_keeps_its_direction_and_the_cause_of_failures(direction: str) -> None:
    async with opened([an_upload("bad.bin", error=30, message=SIZE_DIFFERS)]) as (pilot, session, _):
        reason = f"the service's clock is 10m {direction} ours, by which times are judged"
        session.set_connection(Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW, reason=reason))
        for width, note in ((120, reason), (80, f"the service's clock is 10m {direction} ours")):
            await pilot.resize_terminal(width, 24)
            _, text = await alarm_of(pilot)
            assert text.startswith(f"✗ 1 failed: wrong size · ◌ {note}")


async def test_a_long_note_is_cut_before_the_causes_of_alarms() -> None:
    async with opened(FAILED) as (pilot, session, _):
        reason = "times of uploads are about 1m 00s ahead of the service's clock"
        session.set_connection(Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW, reason=reason))
        causes = "▲ 1 stuck 2h 13m · ✗ 1 failed: no room left · "
        assert (await alarm_of(pilot))[1] == f"{causes}◌ times of uploads are about 1m 00s ahead of the service's clock"
        await pilot.resize_terminal(90, 24)
        assert (await alarm_of(pilot))[1] == f"{causes}◌ times of uploads are about 1m 00s ahead…"


@pytest.mark.parametrize("key", ["a", "gone", "again", "p"])
async def test_the_numbers_are_those_of_the_funnel_also_after_an_alert(key: str) -> None:
    """An alert changes no number, whatever happens to its upload: acknowledged, gone, tried again, or of another project."""
    old = [an_upload(f"old-{n}.bin", completed=90, error=60 + n, message=SIZE_DIFFERS) for n in range(2)]
    new, again = (an_upload("new.bin", completed=50, error=error, project=("p-2", "B")) for error in (40, None))
    async with opened([*old, an_upload("fine.bin", project=("p-2", "B"))]) as (pilot, session, _):
        session.publish(new)
        await until(pilot, lambda: toasts(pilot) == ["new.bin failed: no reason given"])
        assert (await alarm_of(pilot))[1] == "✗ 3 failed: 2 wrong size, 1 no reason given"
        match key:
            case "a":
                session.picture.acknowledge([new["id"]], Acknowledgement(), "")
            case "gone":
                session.picture.mark(new["id"], gone=True)
            case "again":
                session.picture.update(again)
            case "p":
                screen = pilot.app.screen
                assert isinstance(screen, DashboardScreen)
                screen.rows_query = Query(project_ids=frozenset({"p-1"}))
        session.publish()
        assert (await alarm_of(pilot))[1] == "✗ 2 failed: wrong size"


@pytest.mark.parametrize("uploads", [STUCK, FAILED], ids=["waits", "lost"])
async def test_the_line_can_be_read_in_every_theme(uploads: Sequence[dict[str, Any]]) -> None:
    async with opened(uploads) as (pilot, _, _):
        for theme in THEMES:
            pilot.app.theme = theme.name
            await pilot.pause()
            await settled(pilot)
            if not theme.ansi:
                assert Picture(pilot.app).unreadable() == set(), theme.name


@pytest.mark.parametrize("size", [(60, 20), (20, 20), (120, 11), (80, 6)], ids=str)
async def test_the_line_fits_every_size(size: tuple[int, int]) -> None:
    async with opened([*mixed(), *FAILED], size=size) as (pilot, _, _):
        await settled(pilot)
        bar = pilot.app.screen.query_one(AlarmBar)
        assert bar.region.height == 1
        assert 0 < len(bar.text().plain) <= max(size[0] - 2, 1)
        assert pilot.app.screen.query_one(UploadTable).region.height > 0


def failures(count: int, message: str) -> list[dict[str, Any]]:
    return [an_upload(f"{message}-{n}", initiated=9000, completed=800, error=90, message=message) for n in range(count)]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (120, "▲ 1 stuck 2h 13m · ✗ 10 failed: 4 wrong size, 3 bad file hash, 2 bad chunk hash, 1 more"),
        (80, "▲ 1 stuck 2h 13m · ✗ 10 failed: 4 wrong size, 3 bad file hash, 3 more"),
        (60, "▲ 1 stuck 2h 13m · ✗ 10 failed: 4 wrong size, 6 more"),
        (34, "▲ 1 stuck 2h 13m · ✗ 10 failed"),
        (26, "▲ 1 stuck · ✗ 10 failed"),
        (24, "▲ 1 stuck · +1 more"),
    ],
)
async def test_failures_are_counted_by_cause_and_no_figure_is_cut(columns: int, text: str) -> None:
    many = [
        *failures(4, SIZE_DIFFERS),
        *failures(3, FILE_HASH_DIFFERS),
        *failures(2, CHUNK_HASH_DIFFERS),
        *failures(1, "no room left"),
        an_upload("old.bin", initiated=900_000, completed=800_000, error=700_000, message="no room left"),
    ]
    async with opened([*STUCK, *many], size=(columns, 24)) as (pilot, _, _):
        assert (await alarm_of(pilot))[1] == text


@pytest.mark.parametrize(
    ("columns", "cause", "text"),
    [
        (
            120,
            BUSY,
            "OFFLINE 2m 05s · Service busy (503): The service is down until 6 · ▲ 1 stuck 2h 13m · ✗ 1 failed: no room left",
        ),
        (80, BUSY, "OFFLINE 2m 05s · Service busy (503): The… · ▲ 1 stuck 2h 13m · ✗ 1 failed"),
        (60, BUSY, "OFFLINE · Service busy (503) · ▲ 1 stuck · ✗ 1 failed"),
        (60, OFFLINE.cause, "OFFLINE · Connection refused · ▲ 1 stuck · ✗ 1 failed"),
        (60, Cause("The certificate is not trusted"), "OFFLINE · The certificate is… · ▲ 1 stuck · ✗ 1 failed"),
    ],
)
async def test_the_cause_of_an_outage_is_shortened_and_comes_before_ages_and_other_causes(
    columns: int, cause: Cause, text: str
) -> None:
    async with opened(FAILED, size=(columns, 24)) as (pilot, session, _):
        session.set_connection(replace(OFFLINE, cause=cause))
        assert (await alarm_of(pilot))[1] == f"✗ {text}"


URL = "https://dds.example.org:8443/api/v1/projects/7b2c/uploads?page=1"


@pytest.mark.parametrize("width", [58, 78, 118])
@pytest.mark.parametrize("state", [ConnectionState.RETRYING, ConnectionState.OFFLINE], ids=str)
@pytest.mark.parametrize(
    ("status", "cause"), [(500, "server error (500)"), (503, "service busy (503)"), (429, "too many requests (429)")]
)
def test_the_state_of_the_connection_comes_first_with_the_status_of_the_response(
    width: int, state: ConnectionState, status: int, cause: str
) -> None:
    """Also beside a worker that appears down, and however long the service's own words are."""
    body = b'{"error": "%d", "reason": "The storage provider is unavailable, or so it seems; ask again"}' % status
    with pytest.raises(ServiceError) as error:
        raise_for_status(status, httpx.Headers(), body, URL)
    notices = (WORKER_DOWN,) if width > 60 else ()
    stages = (StageSummary(Stage.COMPLETED, count=1, stuck=1),)
    funnel = Funnel(stages, notices, {Trouble.FAILED: 11}, failures={"wrong size": 5, "no room left": 6})
    outage = replace(OFFLINE, state=state, reason=error.value.title, cause=error.value.cause)
    line = line_of(outage, funnel, width)
    start = "◌ retrying: " if state is ConnectionState.RETRYING else "✗ OFFLINE"
    words = cause.rpartition(" (")[0] if width < 60 else cause
    assert re.match(rf"{start}( 2m 05s)?( · )?{re.escape(words)}", line, re.IGNORECASE), line
    assert "✗ 11 failed" in line


REASONS = st.text("ab:;,.( )1", max_size=80)


@given(cause=st.builds(Cause, REASONS, st.none() | st.just(500), REASONS), width=st.integers(50, 220))
@settings(max_examples=200, deadline=None)
def test_no_text_of_a_reason_hides_the_state_of_the_connection(cause: Cause, width: int) -> None:
    for state, start in ((ConnectionState.RETRYING, "◌ retrying"), (ConnectionState.OFFLINE, "✗ OFFLINE")):
        funnel = Funnel(troubles={Trouble.FAILED: 11}, failures={"wrong size": 11})
        line = line_of(replace(OFFLINE, state=state, cause=cause), funnel, width)
        assert line.startswith(start)
        assert "✗ 11 failed" in line
        assert cell_len(line) <= width


WORDS = st.text("abcdefghij", min_size=1, max_size=14) | st.just("文件")
WORKER_DOWN = Notice(NoticeKind.WORKER_DOWN, "none verified for 8m, 14 completed waiting", "14 completed waiting")
SILENCE = Notice(NoticeKind.SILENCE, "none verified for 5m, 9 completed waiting", "9 completed waiting")
REPLACED = Notice(NoticeKind.CACHE_REPLACED, "The cache was reset: the file is damaged")
CAUSES = st.lists(WORDS, min_size=1, max_size=30).map(" ".join)
BETWEEN = " · "


def next_piece_cells(cause: str, shown: str) -> int:
    """The cells that one more word of a cut cause needs, or the first words of one that is left out."""
    rest = cause[len(shown) :]
    word = rest.split()[0]
    if not shown:
        return len(BETWEEN) + 12  # fewer cells of a cause are left out
    blank = 1 if rest.startswith(" ") and shown else 0
    return blank + cell_len(word) - (rest.strip() == word)  # the last one needs no ellipsis


@given(width=st.integers(60, 220), reason=CAUSES, message=CAUSES, stuck=st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_no_cause_is_cut_while_cells_are_free(width: int, reason: str, message: str, stuck: int) -> None:
    stages = (StageSummary(Stage.INITIATED, count=stuck, stuck=stuck),)
    funnel = Funnel(stages, troubles={Trouble.FAILED: 1}, failures={message: 1})
    line = line_of(replace(OFFLINE, reason=reason, cause=None), funnel, width)
    assert cell_len(line) <= width
    outage, _, failure = line.removeprefix("✗ OFFLINE").removeprefix(" 2m 05s").partition("✗ 1 failed")
    causes = (
        (reason, outage.partition(" · ▲")[0].removesuffix(BETWEEN).removeprefix(BETWEEN).partition(" · retry")[0]),
        (message, failure.removeprefix(": ")),
    )
    free = width - cell_len(line)
    for cause, shown in causes:
        assert cause.startswith(shown.rstrip("…"))
        assert shown == cause or free < next_piece_cells(cause, shown.rstrip("…")), line


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (200, "OFFLINE 4s · exit code 7: cannot reach the object store at objects.example.org port 9000"),
        (120, "OFFLINE 4s · exit code 7: cannot reach the object store at…"),
    ],
)
async def test_the_cause_of_an_outage_has_the_room_that_other_alarms_leave(columns: int, text: str) -> None:
    cause = Cause("exit code 7", details="cannot reach the object store at objects.example.org port 9000")
    async with opened(FAILED, size=(columns, 24)) as (pilot, session, _):
        session.set_connection(replace(OFFLINE, cause=cause, is_partial=True, since=NOW - timedelta(seconds=4)))
        _, shown = await alarm_of(pilot)
        assert shown.startswith(f"✗ {text}")
        assert shown.endswith("▲ 1 stuck 2h 13m · ✗ 1 failed: no room left")


@st.composite
def wrong_pictures(draw: st.DrawFn) -> tuple[Connection, Funnel]:
    counts = st.integers(0, 30_000)
    failed, contradictory, stuck, overdue = draw(counts), draw(counts), draw(counts), draw(counts)
    causes = draw(st.lists(CAUSES, max_size=4, unique=True))
    of_prod = replace(WORKER_DOWN, title="prod"), replace(REPLACED, title="prod")
    notices = draw(st.sampled_from([(), (WORKER_DOWN,), (SILENCE,), of_prod]))
    cause = draw(st.builds(Cause, CAUSES, st.none() | st.just(500), st.just("") | CAUSES))
    state = draw(st.sampled_from(ConnectionState))
    name, others = draw(st.sampled_from([("", 0), ("genome-archive-frankfurt", 0), ("genome-archive-frankfurt", 4)]))
    connection = replace(OFFLINE, state=state, cause=cause, name=name, others=others)
    troubles = {Trouble.FAILED: failed, Trouble.CONTRADICTORY: contradictory, Trouble.OVERDUE: overdue}
    stages = (StageSummary(Stage.INITIATED, count=stuck, stuck=stuck, oldest_since=NOW - timedelta(hours=2)),)
    return connection, Funnel(stages, notices, troubles, failures=dict.fromkeys(causes, 1) if failed else {})


@given(width=st.integers(1, 220), picture=wrong_pictures())
@settings(max_examples=200, deadline=None)
def test_each_alarm_keeps_its_sign_word_and_number_and_notes_come_last(
    width: int, picture: tuple[Connection, Funnel]
) -> None:
    connection, funnel = picture
    line = line_of(connection, funnel, width)
    kinds = (Trouble.FAILED, Trouble.CONTRADICTORY, Trouble.OVERDUE)
    failed, contradictory, overdue = (funnel.troubles[kind] for kind in kinds)
    is_out = connection.is_failing and connection.state is not ConnectionState.RETRYING
    words = [
        *([f"{state_word(connection.state).upper()}"] if is_out else ["◌ "] if connection.is_failing else []),
        *([f"▲ {contradictory:,} "] if contradictory else []),
        *(["WORKER DOWN"] if any(notice.kind is NoticeKind.WORKER_DOWN for notice in funnel.notices) else []),
        *([f"▲ {funnel.stuck:,} stuck"] if funnel.stuck else []),
        *([f"✗ {failed:,} failed"] if failed else []),
        *([f"▲ {overdue:,} overdue"] if overdue else []),
    ]
    positions = [line.index(word) for word in words if word in line]
    assert positions == sorted(positions)
    assert all(word in line for word in words[: len(positions)]), "the least serious are hidden first"
    hidden = sum(word not in line for word in words)
    assert cell_len(line) <= width
    assert not hidden or f"+{hidden}" in line or width < len("▲ 30,000 not whole · +1")
    has_note = "The cache was reset" in line
    assert not (has_note and hidden)
    if has_note and len(funnel.failures) == 1:
        assert "…" not in line.partition(" · ◌ prod: The cache")[0], "notes come last"


@cache
def stuck_for_two_hours() -> Row:
    with closing(InMemoryPicture([an_upload("stuck.bin", initiated=7200)], clock=FrozenClock())) as picture:
        return picture.window(Query(), 0, 1).rows[0]


def line_of(connection: Connection, funnel: Funnel, width: int) -> str:
    bar = AlarmBar()
    bar.set_reactive(AlarmBar.now, NOW)
    bar.set_reactive(AlarmBar.connection, connection)
    bar.set_reactive(AlarmBar.funnel, funnel)
    bar.set_reactive(AlarmBar.longest_stuck, stuck_for_two_hours() if funnel.stuck else None)
    with patch.object(AlarmBar, "size", Size(width, 1)):
        return bar.text().plain


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (Cause("no line", details="30s"), "✗ OFFLINE · no line · ▲ 2 stuck · ✗ 6 failed · ▲ 3 overdue"),
        (Cause("refused the connection"), "✗ OFFLINE · refused the… · ▲ 2 stuck · ✗ 6 failed · +1"),
        (Cause("exit code 1", details="no"), "✗ OFFLINE · exit code 1 · ▲ 2 stuck · ✗ 6 failed · +1 more"),
        (Cause(""), "✗ OFFLINE 2m 05s · ▲ 2 stuck · ✗ 6 failed · ▲ 3 overdue"),
    ],
)
def test_the_number_of_overdue_uploads_gives_way_to_the_cause_of_an_outage(cause: Cause, text: str) -> None:
    stages = (StageSummary(Stage.COMPLETED, count=5, stuck=2),)
    funnel = Funnel(stages, troubles={Trouble.FAILED: 6, Trouble.OVERDUE: 3}, failures={"no room left": 6})
    assert line_of(replace(OFFLINE, cause=cause), funnel, 58) == text


LONG = Cause("exit code 7", details="cannot reach the object store at objects.example.org")


@pytest.mark.parametrize(
    ("width", "cause", "notice", "text"),
    [
        (58, LONG, REPLACED, "✗ OFFLINE · exit code 7 · ▲ 2 stuck 2h 00m · ✗ 6 failed"),
        (78, LONG, None, "✗ genome-archive-frankfurt: OFFLINE · exit code 7 · ▲ 2 stuck · ✗ 6 failed"),
        (
            118,
            LONG,
            REPLACED,
            "✗ genome-archive-frankfurt: OFFLINE 2m 05s · exit code 7: cannot reach the object… · ▲ 2 stuck 2h 00m · ✗ 6 failed",
        ),
        (
            118,
            None,
            REPLACED,
            "▲ 2 stuck 2h 00m · ✗ 6 failed: no room left · ◌ The cache was reset: the file is damaged",
        ),
        (18, None, None, "▲ 2 stuck · +1"),
        (34, None, WORKER_DOWN, "▲ WORKER DOWN · ▲ 2 stuck · +1"),
        (36, None, WORKER_DOWN, "▲ WORKER DOWN · ▲ 2 stuck · +1 more"),
    ],
)
def test_what_is_shortened_first(width: int, cause: Cause | None, notice: Notice | None, text: str) -> None:
    stages = (StageSummary(Stage.INITIATED, count=2, stuck=2),)
    funnel = Funnel(stages, (notice,) if notice else (), {Trouble.FAILED: 6}, failures={"no room left": 6})
    outage = replace(OFFLINE, cause=cause, name="genome-archive-frankfurt")
    live = Connection(state=ConnectionState.LIVE, since=NOW)
    assert line_of(outage if cause else live, funnel, width) == text


async def test_an_age_is_the_same_in_the_row_the_pane_the_funnel_and_the_alarm_line() -> None:
    """Also if the upload was read after the picture as a whole was current."""
    async with opened(STUCK, size=(200, 60)) as (pilot, session, table):
        for state, read_seconds_ago in product((ConnectionState.LIVE, ConnectionState.OFFLINE), (0, 4, 60, 4000)):
            read_on = NOW - timedelta(seconds=read_seconds_ago)
            session.set_connection(Connection(state=state, since=read_on, read_on=read_on))
            _, alarm = await alarm_of(pilot)
            rows = [row for number in range(table.total) if (row := table.window.row(number))]
            row = next(row for row in rows if row.lateness.is_stuck)
            age = pending_age_text(row, NOW)
            assert age.startswith(">") is (state is ConnectionState.OFFLINE and read_seconds_ago > 5)
            assert f"1 stuck {age}" in alarm
            assert age in pilot.app.screen.query_one(PendingList).text().plain
            summary = next(one for one in session.picture.funnel().stages if one.stage is row.stage)
            assert least_age_text(summary.oldest_since or NOW, NOW, summary.oldest_read_on) == age


PARTIAL = Connection(
    state=ConnectionState.RETRYING,
    since=NOW,
    next_try_on=NOW + timedelta(seconds=3),
    reason="partial: exit code 1: connection refused",
    cause=Cause("exit code 1", details="connection refused"),
    is_partial=True,
)
UNCACHED = "disk is full"


@pytest.mark.parametrize(
    ("width", "reason", "text"),
    [
        (40, PARTIAL.reason, "◌ partial · ▲ 1 stuck · ✗ 1 failed"),
        (58, PARTIAL.reason, "◌ partial: exit code 1 · ▲ 1 stuck 2h 00m · ✗ 1 failed"),
        (78, PARTIAL.reason, f"◌ {PARTIAL.reason} · ▲ 1 stuck 2h 00m · ✗ 1 failed"),
        (120, PARTIAL.reason, f"◌ {PARTIAL.reason} · retry in 3s · ▲ 1 stuck 2h 00m · ✗ 1 failed: no room left"),
        (58, UNCACHED, "▲ 1 stuck 2h 00m · ✗ 1 failed: no room left · ◌ not cached"),
        (78, UNCACHED, "▲ 1 stuck 2h 00m · ✗ 1 failed: no room left · ◌ not cached: disk is full"),
        (40, UNCACHED, "▲ 1 stuck · ✗ 1 failed · ◌ not cached"),
    ],
)
def test_what_makes_the_picture_incomplete_is_named_before_causes_get_room(width: int, reason: str, text: str) -> None:
    stages = (StageSummary(Stage.COMPLETED, count=1, stuck=1, oldest_since=NOW - timedelta(hours=2)),)
    text_of_store = "Nothing is cached in this session: cannot use the store /home/ada/.cache/store.db"
    notice = None if reason == PARTIAL.reason else Notice(NoticeKind.NOT_CACHED, text_of_store, reason)
    funnel = Funnel(stages, (notice,) if notice else (), {Trouble.FAILED: 1}, failures={"no room left": 1})
    assert line_of(Connection(state=ConnectionState.LIVE, since=NOW) if notice else PARTIAL, funnel, width) == text


@pytest.mark.parametrize(
    ("state", "cause", "text"),
    [
        (ConnectionState.NOT_ALLOWED, Cause("Token rejected", 401, "expired (1h)"), " · 401: expired (1h)"),
        (ConnectionState.NOT_ALLOWED, Cause("Token rejected", 401), " · 401"),
        (ConnectionState.DENIED, Cause("Access denied", 403, "No"), " · 403: No"),
        (ConnectionState.DENIED, Cause("Access denied"), ""),
        (ConnectionState.DENIED, Cause("the source is not allowed to list"), " · the source is not allowed to list"),
        (ConnectionState.OFFLINE, Cause("Offline for maintenance"), " · Offline for maintenance"),
    ],
)
def test_a_cause_that_repeats_the_state_gives_only_what_it_adds(
    state: ConnectionState, cause: Cause, text: str
) -> None:
    outage = Connection(state=state, since=NOW - timedelta(seconds=5), reason="a whole sentence", cause=cause)
    assert line_of(outage, Funnel(), 120) == f"✗ {state_word(state).upper()} 5s{text}"


@pytest.mark.parametrize("state", [ConnectionState.RETRYING, ConnectionState.LIVE, ConnectionState.PAUSED], ids=str)
def test_only_a_listing_that_may_lack_uploads_is_called_partial(state: ConnectionState) -> None:
    """Whatever words it has printed: `partial` is data of the connection, not a part of its reason."""
    connection = Connection(state=state, since=NOW, reason="partial: as the service says", is_partial=True)
    connection = replace(connection, cause=Cause("line 3 cannot be read (not JSON)"))
    assert line_of(connection, Funnel(), 120) == "◌ partial: line 3 cannot be read (not JSON)"
    other = line_of(replace(connection, is_partial=False, cause=None), Funnel(), 120)
    assert other == ("◌ retrying: " if state is ConnectionState.RETRYING else "◌ ") + "partial: as the service says"
