"""Cells and second lines of rows: a problem is visible at every width, and a cause is cut only between its parts."""

from collections.abc import Mapping
from datetime import UTC, timedelta
from functools import cache
from itertools import product
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from rich.style import Style
from textual.geometry import Size

from upload_tui.monitor import (
    Acknowledgement,
    Connection,
    ConnectionState,
    Query,
    Row,
    SortKey,
    Store,
    StorePicture,
    WaitsFor,
    ingest,
    parse_query,
    text_terms,
)
from upload_tui.status import Anomaly, AnomalyName, Certainty, Stage, Timeline, UnknownState
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload
from upload_tui.text import size_text
from upload_tui.tui.appearance.columns import Column, ColumnKey, ColumnSpec, fit_columns
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import ASCII, UNICODE, Glyphs
from upload_tui.tui.fitting import cause_text, detailed_cause_text
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.tui.widgets.pending_text import pending_reasons
from upload_tui.tui.widgets.table.cells import BADGE_CLASSES, cell, highlighted, second_line
from upload_tui.tui.widgets.table.row_painter import ColumnView, RowPainter
from upload_tui.tui.widgets.timeline_view import timeline_lines
from upload_tui.widgets import InMemoryPicture
from upload_tui.wire import CHUNK_HASH_DIFFERS, SIZE_DIFFERS, StatusShape, format_time, parse_upload_reading

OPTIONS = DisplayOptions(zone=UTC)
STUCK = an_upload("stuck", initiated=9000, completed=8000)
NO_CHUNKS = an_upload("no chunks", initiated=9000, chunks=())
VERIFIED = an_upload("verified", initiated=60, completed=30, verified=20)
ON_TIME = an_upload("on time", initiated=60, completed=3)
CONTRADICTORY = an_upload("contradictory", initiated=60, completed=30, verified=20, chunks=(1, 3, 4))
FAILED = an_upload(
    "failed", completed=60, error=20, message=f"{SIZE_DIFFERS}: reported 35703 bytes, stored 26777 bytes"
)


def row_of(upload: Mapping[str, Any]) -> Row:
    session = InMemorySession([upload])
    (row,) = session.picture.window(Query(), 0, 1).rows
    session.close()
    return row


def stage_cell(upload: Mapping[str, Any], width: int, glyphs: Glyphs = UNICODE) -> list[tuple[str, str]]:
    (column,) = [column for column in fit_columns(width) if column.key == "stage"]
    return [*cell(column, row_of(upload), NOW, DisplayOptions(glyphs))]


def text_of(pieces: list[tuple[str, str]]) -> str:
    return "".join(text for text, _ in pieces)


@pytest.mark.parametrize("width", [36, 44, 56, 74, 150])
@pytest.mark.parametrize("upload", [STUCK, NO_CHUNKS, CONTRADICTORY], ids=["stuck", "no chunks", "contradictory"])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_a_problem_has_a_warning_sign_at_every_width(width: int, upload: Mapping[str, Any], glyphs: Glyphs) -> None:
    pieces, on_time = stage_cell(upload, width, glyphs), stage_cell(ON_TIME, width, glyphs)
    assert (glyphs.warning, "uploads--error" if upload is CONTRADICTORY else "uploads--overdue") in pieces
    assert glyphs.warning not in text_of(on_time)
    assert len(text_of(pieces)) == len(text_of(on_time))


def test_the_warning_replaces_the_stage_in_question() -> None:
    assert text_of(stage_cell(STUCK, 120)) == "○─◐─▲ completed"
    assert text_of(stage_cell(NO_CHUNKS, 120)) == "○─▲─· initiated"
    assert text_of(stage_cell(CONTRADICTORY, 120)) == "○─◐─▲ verified "
    assert text_of(stage_cell(STUCK, 74)) == "◐▲"


@pytest.mark.parametrize(
    ("width", "text"), [(1, "▲"), (2, "◐▲"), (5, "○─◐─▲"), (9, "○─◐─▲    "), (15, "○─◐─▲ completed")]
)
def test_a_stage_column_of_a_chosen_width_shows_what_fits(width: int, text: str) -> None:
    (column,) = fit_columns(120, specs=[ColumnSpec(ColumnKey.STAGE, width)])
    assert text_of([*cell(column, row_of(STUCK), NOW, OPTIONS)]) == text


@pytest.mark.parametrize(
    ("upload", "coloured"),
    [
        (VERIFIED, [("●", "uploads--verified")]),
        (ON_TIME, [("◐", "uploads--completed")]),
        (FAILED, [("✗", "uploads--error"), ("wrong size", "uploads--error")]),
        (STUCK, [("◐", "uploads--completed"), ("▲", "uploads--overdue"), (" STUCK 2h 13m ", "uploads--stuck")]),
        (
            CONTRADICTORY,
            [("●", "uploads--verified"), ("▲", "uploads--error"), (" NOT WHOLE ", "uploads--contradictory")],
        ),
    ],
    ids=["verified", "on time", "failed", "stuck", "contradictory"],
)
def test_only_signs_and_problems_have_colours(upload: Mapping[str, Any], coloured: list[tuple[str, str]]) -> None:
    row, columns = row_of(upload), fit_columns(56)
    pieces = [piece for column in columns for piece in cell(column, row, NOW, OPTIONS)]
    plain = {"", "uploads--quiet", "uploads--dim"}
    found = [(text.rstrip() if name not in BADGE_CLASSES else text, name) for text, name in pieces if name not in plain]
    assert [piece for piece in found if not piece[0].strip().endswith("m") or piece[0].startswith(" STUCK")] == coloured


def test_a_verified_upload_is_dim_but_for_its_sign() -> None:
    pieces = [piece for column in fit_columns(56) for piece in cell(column, row_of(VERIFIED), NOW, OPTIONS)]
    assert {name for text, name in pieces if text.strip()} == {"uploads--verified", "uploads--dim", "uploads--quiet"}
    assert [name for _, name in cell(fit_columns(56)[1], row_of(ON_TIME), NOW, OPTIONS)] == [""]


@pytest.mark.parametrize(
    "upload", [VERIFIED, ON_TIME, FAILED, STUCK, CONTRADICTORY, NO_CHUNKS], ids=lambda one: one["name"]
)
def test_a_note_fills_its_column_at_every_width(upload: Mapping[str, Any]) -> None:
    row = row_of(upload)
    for width in range(1, 60):
        column = Column(ColumnKey.NOTE, "Details", width, SortKey.PROGRESS)
        assert len(text_of([*cell(column, row, NOW, OPTIONS)])) == width


@pytest.mark.parametrize(
    ("seconds_ago", "texts"),
    [
        (0, {"stuck": "2h 13m", "on time": "3s", "verified": "20s"}),
        (4, {"stuck": "2h 13m", "on time": "7s", "verified": "24s"}),
        (3600, {"stuck": ">2h 13m", "on time": ">3s", "verified": "1h 00m"}),
    ],
    ids=["now", "a moment ago", "an hour ago"],
)
def test_the_age_of_a_pending_upload_that_may_have_moved_on_is_the_least_one(
    seconds_ago: float, texts: Mapping[str, str]
) -> None:
    session = InMemorySession([STUCK, ON_TIME, VERIFIED])
    session.clock.advance(seconds_ago)
    session.set_connection(Connection(state=ConnectionState.OFFLINE, since=NOW, read_on=NOW))
    (column,) = [column for column in fit_columns(74) if column.key is ColumnKey.SINCE]
    rows = session.picture.window(Query(), 0, 3).rows
    session.close()
    assert {row.name: text_of([*cell(column, row, session.clock.now(), OPTIONS)]).strip() for row in rows} == texts


PHASES = {Stage.INITIATED: "uploading", Stage.COMPLETED: "verifying"}


def first_observed(stage: Stage, seconds_before: float | None) -> StorePicture:
    """An upload that was read in a stage without a time 24 s ago, and without the stage so long before (None: never)."""
    on = NOW - timedelta(seconds=24)
    upload, store = an_upload("odd.bin", status_shape=StatusShape.B, audit={}), Store()
    if seconds_before is not None:
        before = parse_upload_reading(upload, read_on=on - timedelta(seconds=seconds_before))
        ingest(store, [before], "https://example.org")
    upload["status"] = {"current": {"state": str(stage), "state_on": None}, "prior": []}
    ingest(store, [parse_upload_reading(upload, read_on=on)], "https://example.org")
    return StorePicture(store, FrozenClock(), "https://example.org")


@pytest.mark.parametrize(
    ("stage", "seconds_before", "sign"),
    [
        *((stage, None, ">") for stage in Stage),
        *((stage, 5, "") for stage in (Stage.COMPLETED, Stage.VERIFIED, Stage.ERROR)),
        *((stage, 3600, ">") for stage in (Stage.COMPLETED, Stage.VERIFIED, Stage.ERROR)),
    ],
)
def test_the_age_of_a_stage_that_was_only_observed_is_the_least_one_everywhere(
    stage: Stage, seconds_before: float | None, sign: str
) -> None:
    picture = first_observed(stage, seconds_before)
    (row,) = picture.window(Query(), 0, 1).rows
    (column,) = [column for column in fit_columns(74) if column.key is ColumnKey.SINCE]
    assert text_of([*cell(column, row, NOW, OPTIONS)]).strip() == f"{sign}24s"
    stage_cell = StageCell(stage)
    stage_cell.set_reactive(StageCell.summary, picture.funnel()[stage])
    stage_cell.set_reactive(StageCell.now, NOW)
    with patch.object(StageCell, "size", Size(26, 2)):
        note = stage_cell.text().plain.split("\n")[1]
    assert f" {sign}24s" in note
    detail = picture.detail(row.id)
    assert detail is not None
    if not stage.is_final:
        assert any(f" {sign}24s {PHASES[stage]}" in line.plain for line in timeline_lines(detail, NOW, OPTIONS, 44))


def test_the_second_line_starts_with_the_problem() -> None:
    head, rest = second_line(row_of(STUCK), NOW, OPTIONS, 60)
    assert head == ("stuck · ", "uploads--overdue")
    assert rest[0].startswith("verifying · started 2h 30m ago")


def test_the_second_line_does_not_repeat_a_reason_that_the_details_show_whole() -> None:
    row = row_of(FAILED)
    reason = text_of([*second_line(row, NOW, OPTIONS, 100)])
    (details,) = [column for column in fit_columns(150) if column.key is ColumnKey.NOTE]
    for cells in range(1, 100):
        shown = text_of([*cell(replace(details, width=cells), row, NOW, OPTIONS)]).strip()
        second = text_of([*second_line(row, NOW, OPTIONS, 100, cells)])
        assert (second == reason) is (shown != reason)
        assert second == reason or second.startswith("started ")


def test_the_second_line_fits_any_width() -> None:
    for row in map(row_of, (STUCK, ON_TIME, CONTRADICTORY, FAILED)):
        for width in range(1, 120):
            assert len(text_of([*second_line(row, NOW, OPTIONS, width)])) <= width


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (8, "wrong…"),
        (12, "wrong size"),
        (27, "wrong size: reported 35703…"),
        (26, "wrong size"),
        (40, "wrong size: reported 35703, stored 26777"),
        (120, "wrong size: reported 35703, stored 26777"),
    ],
)
def test_a_cause_includes_as_many_complete_details_as_fit(width: int, text: str) -> None:
    message = row_of(FAILED).error_message
    assert detailed_cause_text(message, width, "…") == text


def test_a_cause_without_details_is_shortened() -> None:
    assert detailed_cause_text(CHUNK_HASH_DIFFERS, 20, "…") == cause_text(CHUNK_HASH_DIFFERS, 20, "…")
    assert detailed_cause_text("no room left", 20, "…") == "no room left"
    assert detailed_cause_text("", 20, "…") == "no reason given"
    shortened = f"{CHUNK_HASH_DIFFERS}: chunk 3: reported 900150983cd2…, stored 098f6bcd4621…"
    assert detailed_cause_text(shortened, 50, "…") == "bad chunk hash: chunk 3: reported 900150983cd2…"
    for width in range(17, len(shortened)):
        text = detailed_cause_text(shortened, width, "…")
        assert text in {"bad chunk hash", "bad chunk hash: chunk 3"} or text.endswith("…")


@pytest.mark.parametrize("certainty", Certainty)
def test_the_time_of_an_own_state_is_marked_as_that_of_a_stage(certainty: Certainty) -> None:
    """A plain time is one that the service reports."""
    picture = InMemoryPicture([upload := an_upload("odd.bin", initiated=90)], clock=FrozenClock())
    detail = picture.detail(upload["id"])
    picture.close()
    assert detail is not None
    timeline = Timeline(unknown_state=UnknownState("held", NOW - timedelta(seconds=60), certainty))
    held = replace(detail, upload=replace(detail.upload, timeline=timeline))
    lines = [line.plain for line in timeline_lines(held, NOW, DisplayOptions(zone=UTC), 60)]
    time = "before 09:25:53" if certainty is Certainty.OBSERVED else "09:25:53  1m 00s ago"
    assert f"◇ held       {time}" in lines


@pytest.mark.parametrize(
    "state", ["held", "virus check", "quarantined", "waiting for the archive", "検疫済みのファイル"]
)
@pytest.mark.parametrize("width", [30, 44, 60])
def test_a_state_of_the_service_is_named_before_its_anomaly_and_apart_from_its_time(state: str, width: int) -> None:
    upload = an_upload("odd.bin", initiated=90, status_shape=StatusShape.B)
    upload["status"] = {
        "current": {"state": state, "state_on": format_time(NOW - timedelta(seconds=60))},
        "prior": [upload["status"]["current"]],
    }
    picture = InMemoryPicture([upload], clock=FrozenClock())
    detail = picture.detail(upload["id"])
    picture.close()
    assert detail is not None
    lines = [line.plain for line in timeline_lines(detail, NOW, DisplayOptions(zone=UTC), width)]
    line = next(line for line in lines if " 09:25:53" in line)
    assert cell_len(line) <= width
    name, time = line.removeprefix("◇ ").rsplit(" 09:25:53")
    assert name.rstrip() == state if cell_len(f"◇ {state} 09:25:53") <= width else "…" in name
    assert time == ("  1m 00s ago" if width == 60 or (width == 44 and cell_len(state) < 20) else "")
    note = Column(ColumnKey.NOTE, "Details", width, SortKey.PROGRESS)
    for count, shown in ((0, state), (1, state), (2, f"{state}, anomaly"), (3, f"{state}, 2 anomalies")):
        text = "".join(text for text, _ in cell(note, replace(detail.row, anomaly_count=count), NOW, DisplayOptions()))
        assert text.strip() == (shown if cell_len(shown) <= width else state)


def test_reasons_are_whole_beside_a_project_and_columns_do_not_move_back() -> None:
    message = f"{CHUNK_HASH_DIFFERS}: chunk 3: reported 900150983cd2…, stored 098f6bcd4621…"
    failed, stuck = row_of(an_upload("mask_03.nii", error=3, message=message)), row_of(STUCK)
    painter = RowPainter(lambda *_: Style())
    view = ColumnView(several_projects=True, project_names=("Genome 01", "Genome 02"))
    starts = []
    for rows in ([row_of(VERIFIED)], [failed, stuck], [row_of(VERIFIED)]):
        painter.fit(77, OPTIONS, view, rows)
        starts.append(painter.header(Query()).text.index("Details"))
    assert starts[0] > starts[1] == starts[2]
    assert "bad chunk hash: chunk 3" in painter.row_line(failed, 0, NOW, "", is_marked=False).text
    painter.fit(78, OPTIONS, view, [row_of(VERIFIED)])
    assert painter.header(Query()).text.index("Details") == starts[0]


NAMES = st.builds(
    "{}{:03d}{}".format,
    st.sampled_from(["a", "scan-", "brain_", "a-much-longer-name-of-an-upload-"]),
    st.integers(0, 9),
    st.sampled_from(["", "_T1.nii.gz", ".fastq.gz"]),
)
REASONS = ["bad", "no space left on device", "virus scanner found EICAR in member 3 of the archive", CHUNK_HASH_DIFFERS]
PLACES = st.lists(
    st.sampled_from(["A", "Demo project", "Test project", "Proteomics of the Lower Rhine 2025", "Z" * 30]),
    min_size=1,
    max_size=4,
    unique=True,
)


@cache
def row_of_kind(kind: str) -> Row:
    """A row with each kind of note; a stuck one has been so for hours."""
    reasons = {f"error {reason}": {"completed": 5, "error": 3, "message": reason} for reason in REASONS}
    kinds: dict[str, dict[str, Any]] = {
        "verified": {"completed": 30, "verified": 9},
        "not whole": {"completed": 30, "verified": 20, "chunks": (1, 3, 4)},
        "stuck": {"initiated": 8000},
        "held": {},
        **reasons,
    }
    row = row_of(an_upload("any", **{"initiated": 40, **kinds[kind]}))
    return replace(row, unknown_state="awaiting manual approval by data steward") if kind == "held" else row


BADGES = [("NOT WHOLE", 11), ("STUCK", 14)]
"""The widths of badges with the blanks around them; that of a stuck upload for the longest age."""
KINDS = st.sampled_from(["verified", "not whole", "stuck", "held", *(f"error {reason}" for reason in REASONS)])


@settings(deadline=None, max_examples=30)
@given(
    width=st.integers(30, 200),
    rows=st.lists(st.tuples(NAMES, KINDS), min_size=1, max_size=8),
    places=PLACES,
)
def test_no_column_has_padding_while_texts_of_another_are_cut(
    width: int, rows: list[tuple[str, str]], places: list[str]
) -> None:
    """Of columns of texts. Columns of figures have the width of their longest figure, and a title is never cut."""
    shown = [
        replace(row_of_kind(kind), name=name, project_name=places[number % len(places)])
        for number, (name, kind) in enumerate(rows)
    ]
    painter = RowPainter(lambda *_: Style())
    view = ColumnView(several_projects=len(places) > 1, project_names=tuple(places))
    painter.fit(width, OPTIONS, view, shown)
    has_age = any(column.key is ColumnKey.SINCE for column in painter.columns)
    texts = {
        column.key: (
            column,
            ["".join(text for text, _ in cell(column, row, NOW, OPTIONS, has_age_beside=has_age)) for row in shown],
        )
        for column in painter.columns
        if column.key in (ColumnKey.NAME, ColumnKey.PROJECT, ColumnKey.NOTE)
    }
    if ColumnKey.PROJECT in texts:  # its width is that of all names of projects, on screen or not
        texts[ColumnKey.PROJECT][1].extend(places)
    cut = {key for key, (_, cells) in texts.items() if any("…" in text for text in cells)}
    padded = {
        key
        for key, (column, cells) in texts.items()
        if key not in cut
        and column.width > max(len(column.title) + 1, *(cell_len(text.rstrip(" ")) for text in cells))
        and not any(
            badge in text and column.width <= cells_of_badge for text in cells for badge, cells_of_badge in BADGES
        )
    }
    assert not (cut and padded)
    names = {row.name for row in shown}
    if width >= 56 and max(map(len, names)) <= 20:
        assert len({*texts[ColumnKey.NAME][1]}) == len(names)


@pytest.mark.parametrize("width", [30, 44, 58, 120])
def test_a_text_instead_of_rows_is_whole_at_every_width(width: int) -> None:
    text, painter = (
        "No data yet. Retrying automatically; `upload-tui doctor` finds the cause.",
        RowPainter(lambda *_: Style()),
    )
    painter.fit(width, OPTIONS, ColumnView(), ())
    lines = [painter.message(text, line).text for line in range(10)]
    assert {len(line) for line in lines} == {width}
    assert " ".join("".join(lines).split()) == text


MISSING = [{"number": number, "size": 100} for number in (2, 3)]


@pytest.mark.parametrize(
    ("facts", "forms"),
    [
        ({"completed": 5}, ["2 anomalies", "chunk 1 missing", "chunk 1 missing, 1 more anomaly"]),
        ({"completed": 8000}, [" STUCK ", "chunk 1 missing", "chunk 1 missing, verifying"]),
        ({"completed": 5, "verified": 2}, [" NOT WHOLE ", "chunks do not match", "200 B of 300 B received"]),
    ],
    ids=["on time", "stuck", "verified"],
)
def test_what_is_wrong_with_the_chunks_is_in_the_details(facts: Mapping[str, Any], forms: list[str]) -> None:
    row = row_of(an_upload("scan.tiff", initiated=9000, size_bytes=300, chunks=MISSING, **facts))
    texts = [
        text_of(
            [*cell(Column(ColumnKey.NOTE, "Details", width, SortKey.PROGRESS), row, NOW, OPTIONS, has_age_beside=True)]
        )
        for width in range(len(forms[0]), 60)
    ]
    for form in forms:
        assert any(form in text for text in texts)
    seen = [max((number for number, form in enumerate(forms) if form in text), default=0) for text in texts]
    assert seen == sorted(seen)


@pytest.mark.parametrize("name", sorted({*AnomalyName} - {AnomalyName.UNKNOWN_STATE, AnomalyName.RECEIVED_TOO_MUCH}))
def test_each_anomaly_is_named_where_there_is_room(name: AnomalyName) -> None:
    row = replace(row_of(VERIFIED), anomaly=Anomaly(name, "what it is"), anomaly_count=3)
    words = name.replace("_", " ")
    if name is AnomalyName.CHUNK_SIZES_DIFFER:
        words = f"{size_text(row.chunk_bytes or 0)} of {size_text(row.size_bytes)} received"
    for width, text in ((70, words), (70, "2 more anomalies"), (11, "3 anomalies")):
        assert text in text_of([*cell(Column(ColumnKey.NOTE, "Details", width, SortKey.PROGRESS), row, NOW, OPTIONS)])


def test_more_bytes_than_the_size_are_named_as_in_waiting() -> None:
    excess = Anomaly(AnomalyName.RECEIVED_TOO_MUCH, "133 bytes of 100")
    row = replace(row_of(VERIFIED), anomaly=excess, anomaly_count=1, chunk_bytes=133, size_bytes=100)
    note = Column(ColumnKey.NOTE, "Details", 40, SortKey.PROGRESS)
    assert text_of([*cell(note, row, NOW, OPTIONS)]).strip() == "133% received, more than its size"


def test_a_badge_leaves_the_age_to_its_column_if_the_reason_needs_the_room() -> None:
    row = row_of(an_upload("scan.tiff", initiated=9000))  # 2h 30m
    reason = "all chunks received, client never completed it"
    shown = {}
    for width, has_age in product(range(8, 80), (False, True)):
        note = Column(ColumnKey.NOTE, "Details", width, SortKey.PROGRESS)
        shown[width, has_age] = text_of([*cell(note, row, NOW, OPTIONS, has_age_beside=has_age)]).strip()
    assert shown[79, True] == shown[79, False] == f"STUCK 2h 30m  {reason}"
    assert shown[len(reason) + 8, True] == f"STUCK  {reason}"
    assert shown[24, True] == "STUCK  never completed"
    assert shown[24, False] == "STUCK 2h 30m"


@pytest.mark.parametrize("name", ["", " ", "\t", "\u3000 \u00a0"])
def test_a_blank_name_shows_the_id(name: str) -> None:
    row = replace(row_of(VERIFIED), name=name, id="u-17")
    (column,) = [column for column in fit_columns(80) if column.key is ColumnKey.NAME]
    assert text_of([*cell(column, row, NOW, OPTIONS)]).strip() == "u-17"


def test_a_state_of_the_service_has_the_room_that_names_leave() -> None:
    state = "quarantined for the archive"
    row = replace(row_of(VERIFIED), unknown_state=state, name="a.bin")
    painter = RowPainter(lambda *_: Style())
    for width in (120, 150, 200):
        painter.fit(width, OPTIONS, ColumnView(), [row])
        text = painter.row_line(row, 0, NOW, "", is_marked=False).text
        assert f"◇ {state} " in text or f" {state} " in text
        assert cell_len(text) == width


@pytest.mark.parametrize(
    ("service", "anomalies", "text"),
    [("", 1, "held"), ("", 2, "held, anomaly"), ("source:x", 0, "held"), ("source:x", 1, "held, anomaly")],
)
def test_a_state_is_an_anomaly_only_of_a_service(service: str, anomalies: int, text: str) -> None:
    row = replace(row_of(VERIFIED), unknown_state="held", service=service, anomaly_count=anomalies)
    (column,) = [column for column in fit_columns(150) if column.key is ColumnKey.NOTE]
    shown = text_of([*cell(replace(column, width=60), row, NOW, OPTIONS)])
    assert shown.strip(f" {UNICODE.warning}") == text


QUIET = {"", "uploads--quiet", "uploads--dim"}


def acknowledged(upload: Mapping[str, Any], note: str) -> Row:
    session = InMemorySession([upload])
    session.picture.acknowledge([upload["id"]], Acknowledgement(note))
    (row,) = session.picture.window(Query(), 0, 1).rows
    session.close()
    return row


@pytest.mark.parametrize(
    ("upload", "wrong", "reason"),
    [
        (STUCK, "stuck", "verifying"),
        (NO_CHUNKS, "stuck", "no chunks received"),
        (CONTRADICTORY, "not whole", "chunks do not match"),
        (FAILED, "wrong size", "reported 35703, stored 26777"),
    ],
    ids=["stuck", "no chunks", "contradictory", "failed"],
)
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("note", ["", "known \x1b[31mto\x07 us"])
def test_an_acknowledged_upload_has_its_sign_and_what_is_wrong_in_quiet(
    upload: Mapping[str, Any], wrong: str, reason: str, glyphs: Glyphs, note: str
) -> None:
    row, options = acknowledged(upload, note), DisplayOptions(glyphs, zone=UTC)
    for width in range(30, 260):
        columns = fit_columns(width)
        pieces = [piece for column in columns for piece in cell(column, row, NOW, options)]
        shown = (*pieces, *second_line(row, NOW, options, width))
        assert {component_class for text, component_class in shown if text} <= QUIET
        text = text_of(pieces)
        assert glyphs.acknowledged in text_of([*cell(columns[0], row, NOW, options)])
        assert glyphs.warning not in text
        cells = sum(column.width for column in columns if column.key is ColumnKey.NOTE)
        assert wrong in text or cells < len(wrong)
        assert "acknowledged" in text or cells < len(f"{wrong}: {reason}, acknowledged")
        assert not note or width < 250 or "acknowledged: known " in text
        assert "\x1b" not in text


UNKNOWN_CHUNKS = an_upload("whole", initiated=60, chunks=None)
STUCK_WHOLE = an_upload("whole", initiated=9000, chunks=None)


@pytest.mark.parametrize("upload", [STUCK, NO_CHUNKS, ON_TIME, UNKNOWN_CHUNKS, STUCK_WHOLE], ids=str)
@pytest.mark.parametrize("service", ["", "source:lister"])
@pytest.mark.parametrize("typical", [None, 28.0])
@pytest.mark.parametrize("waits_for", [None, WaitsFor.WORKER])
def test_a_state_has_one_phrase_which_a_row_has_once(
    upload: Mapping[str, Any], service: str, typical: float | None, waits_for: WaitsFor | None
) -> None:
    row = row_of(upload)
    lateness = replace(row.lateness, p50_seconds=typical, waits_for=waits_for or row.lateness.waits_for)
    row = replace(row, service=service, lateness=lateness)
    phrase = pending_reasons(row)[0]
    (details,) = [column for column in fit_columns(150) if column.key is ColumnKey.NOTE]
    note = text_of([*cell(replace(details, width=100), row, NOW, OPTIONS)])
    assert phrase in note
    assert phrase in text_of([*second_line(row, NOW, OPTIONS, 200)])
    both = f"{note} {text_of([*second_line(row, NOW, OPTIONS, 200, 100)])}".casefold()
    for words in (phrase, "stuck", "typically"):
        assert both.count(words) <= 1


def test_each_place_of_each_word_is_highlighted() -> None:
    words = text_terms(parse_query('Scan "tiff" -dark').tree)
    assert words == ["scan", "tiff"]
    pieces = [piece for piece in highlighted("my-Scan-1.tiff", "", words) if piece[0]]
    assert pieces == [("my-", ""), ("Scan", "uploads--match"), ("-1.", ""), ("tiff", "uploads--match")]
    assert [*highlighted("other", "uploads--dim", ("scan",))] == [("other", "uploads--dim")]
    street = [piece for piece in highlighted("Große Straße", "", ["strasse"]) if piece[0]]
    assert street == [("Große ", ""), ("Straße", "uploads--match")]
    again = [piece for piece in highlighted("scan-scan", "", ["scan"]) if piece[0]]
    assert again == [("scan", "uploads--match"), ("-", ""), ("scan", "uploads--match")]
