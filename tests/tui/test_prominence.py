"""What stands out: trouble is on the first screen and more prominent than anything normal, and all text can be read."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from rich.color import Color
from textual.app import App
from textual.geometry import Region
from textual.pilot import Pilot

from tests.snapshots.test_source_pictures import session_of
from tests.tui.colour_vision import chroma, contrast
from tests.tui.dashboards import opened
from tests.unit.sources.scripted_source import lines_of
from upload_tui.monitor import Connection, ConnectionState, Session
from upload_tui.sources import Listing
from upload_tui.testing import NOW, InMemorySession, an_upload, dashboard, sample_uploads, settled
from upload_tui.tui.appearance.theme import FEW_COLOURS_THEME, THEMES
from upload_tui.tui.preferences import TableOrder
from upload_tui.tui.widgets.alarm_bar import AlarmBar
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.wire import StatusShape, format_time

pytestmark = pytest.mark.slow

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]
PAINTED = [theme.name for theme in THEMES if theme.name != FEW_COLOURS_THEME]
_FILL_CONTRAST = 3.0
"""A background with more contrast than this is a fill, which is more prominent than any text."""
_FILL_FACTOR = 3
_GREY_CHROMA = 15.0
_TEXT_CONTRAST, _DIM_CONTRAST = 4.5, 3.0


class Run(NamedTuple):
    """Characters of one style at (x, y); colours as `#rrggbb`."""

    x: int
    y: int
    text: str
    colour: str
    background: str
    is_bold: bool


class Picture:
    """What the screen of an app shows now."""

    def __init__(self, app: App[int]) -> None:
        self._app = app
        self.page = (app.current_theme.background or "").lower()
        self.runs = tuple(self._runs())

    def _runs(self) -> Iterator[Run]:
        """All runs of the screen that are not blank, or have a background of their own."""
        for y, strip in enumerate(self._app.screen._compositor.render_strips(self._app.size)):
            x = 0
            for segment in strip:
                style = segment.style
                if (
                    style is not None
                    and style.bgcolor is not None
                    and (style.color is not None or segment.text.isspace())
                ):
                    background = hex_of(style.bgcolor)
                    colour = background if style.color is None else hex_of(style.color)
                    pair = (background, colour) if style.reverse else (colour, background)
                    yield Run(x, y, segment.text, *pair, bool(style.bold))
                else:
                    assert segment.text.isspace(), segment
                x += segment.cell_length

    def lines_in(self, region: Region) -> Sequence[Sequence[Run]]:
        runs = [run for run in self.runs if region.contains(run.x, run.y)]
        return [[run for run in runs if run.y == y] for y in sorted({run.y for run in runs})]

    def fills(self) -> Sequence[Run]:
        return [run for run in self.runs if contrast(run.background, self.page) >= _FILL_CONTRAST]

    def unreadable(self) -> set[tuple[str, str, str, float]]:
        """Texts with too little contrast; what a dialog covers and fades is left out."""
        faint = self._app.get_css_variables()["faint"].lower()
        screen = self._app.screen
        region = screen.children[0].region if screen.is_modal else screen.region
        found = set()
        for run in self.runs:
            ratio = contrast(run.colour, run.background)
            least = _DIM_CONTRAST if run.colour == faint else _TEXT_CONTRAST
            if region.contains(run.x, run.y) and any(map(str.isalnum, run.text)) and ratio < least:
                found.add((run.text.strip(), run.colour, run.background, round(ratio, 2)))
        return found


def hex_of(colour: Color) -> str:
    return colour.get_truecolor().hex


def prominence(runs: Sequence[Run], page: str) -> float:
    """The colour that runs have, in cells; a fill counts more than text, grey counts nothing.

    Lines of rows and of the alarm bar are compared, not borders: a frame is seen as a shape, however long it is.
    """
    return sum(_run_prominence(run, page) for run in runs)


def _run_prominence(run: Run, page: str) -> float:
    if contrast(run.background, page) >= _FILL_CONTRAST:
        return _FILL_FACTOR * len(run.text) * chroma(run.background)
    colour = chroma(run.colour)
    return len(run.text.replace(" ", "")) * colour if colour >= _GREY_CHROMA else 0.0


def text_of(runs: Sequence[Run]) -> str:
    return "".join(run.text for run in runs)


STUCK = an_upload("t-stuck.h5", initiated=9000, completed=8000, size_bytes=9_000_000_000)
FAILED = an_upload("t-failed.czi", initiated=90, completed=60, error=50, message="no room left on the storage")
ODD = an_upload("t-odd.czi", initiated=90, completed=60, verified=50, chunks=(1, 3, 4))
NORMAL: list[dict[str, Any]] = [
    an_upload("n-new-almost.bin", initiated=20, chunks=(1, 2, 3), size_bytes=3_000_100),
    an_upload("n-new-verifying.bin", initiated=20, completed=3),
    *(an_upload(f"n-done-{n}.bin", initiated=60 + n, completed=50 + n, verified=40 + n) for n in range(2)),
]
SEVERAL = [an_upload(f"n-done-{n + 2}.bin", initiated=60 + n, completed=50 + n, verified=40 + n) for n in range(60)]
LATE = an_upload("t-overdue.bin", initiated=90, completed=40)
"""The others were verified within seconds."""
TROUBLE = {"stuck": STUCK, "failed": FAILED, "anomaly": ODD, "overdue": LATE}


@pytest.mark.parametrize("is_offline", [False, True], ids=["live", "offline"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
async def test_trouble_is_on_the_first_screen_and_stands_out_from_anything_normal(
    size: tuple[int, int], is_offline: bool
) -> None:
    themes = half_of_the_themes(size, is_offline)
    async with opened([*TROUBLE.values(), *NORMAL, *SEVERAL], size=size, order=TableOrder()) as (pilot, session, table):
        if is_offline:
            session.clock.advance(600)
            session.set_connection(Connection(state=ConnectionState.OFFLINE, since=NOW, read_on=NOW))
            await settled(pilot)
        await assert_trouble_stands_out(pilot, table, themes, len(TROUBLE), {"NOT", "STUCK"})


def half_of_the_themes(size: tuple[int, int], is_second: bool) -> Sequence[str]:
    """One half in the first case and the other in the second, and the reverse at the next size: every two of the three meet."""
    return PAINTED[(SIZES.index(size) + is_second) % 2 :: 2]


async def assert_trouble_stands_out(
    pilot: Pilot[int], table: UploadTable, themes: Sequence[str], count: int, badges: set[str]
) -> None:
    """In each theme the rows of this many uploads `t-…` are more prominent than those of `n-…`, and only badges are filled."""
    for theme in themes:
        pilot.app.theme = theme
        await pilot.pause()
        screen = Picture(pilot.app)
        lines = screen.lines_in(table.content_region)
        loud = {text_of(line): prominence(line, screen.page) for line in lines}
        normal = {text: value for text, value in loud.items() if " n-" in text}
        troubled = {text: value for text, value in loud.items() if " t-" in text}
        assert len(troubled) == count
        assert len(normal) >= len(NORMAL) - 1
        assert min(troubled.values()) > max(normal.values()), (theme, loud)
        alarm = screen.lines_in(pilot.app.screen.query_one(AlarmBar).region)
        assert max(prominence(line, screen.page) for line in alarm) > max(normal.values()), theme
        alarming = {pilot.app.get_css_variables()[name].lower() for name in ("stage-error", "overdue")}
        calm = [run for line in lines if " n-" in text_of(line) for run in line]
        assert not any(run.is_bold or run.colour in alarming for run in calm), theme
        done, new, trouble = (
            {contrast(run.colour, screen.page) for line in lines for run in line if kind in run.text}
            for kind in ("n-done", "n-new", "t-")
        )
        assert max(done, default=0.0) < min(trouble), theme  # the lowest table may have none
        assert max(new) <= min(trouble), theme
        assert {run.text.split()[0] for run in screen.fills()} == badges, theme


def of_several_projects() -> InMemorySession:
    """Trouble in one of three projects, with states of the service's own in another."""
    projects = [(f"p-{n}", f"Genome {n}") for n in range(3)]
    own = an_upload("n-own-state.bin", initiated=15, status_shape=StatusShape.B, project=projects[1])
    state = {"state": "archived", "state_on": format_time(NOW - timedelta(seconds=5))}
    own["status"] = {"current": state, "prior": [own["status"]["current"]]}
    placed = [
        {**upload, "project": {"id": project_id, "name": name}}
        for n, upload in enumerate([*TROUBLE.values(), *NORMAL, *SEVERAL])
        for project_id, name in [projects[n % 3]]
    ]
    return InMemorySession([own, *placed], projects=projects)


def of_a_source() -> Session:
    """A source that gives neither sizes nor chunks of most uploads; nothing is verified by a worker."""
    uploads: dict[str, dict[str, Any]] = {
        "t-left-behind": {"initiated_on": format_time(NOW - timedelta(seconds=7200)), "received_bytes": 3},
        "t-infected": {
            "stage": "error",
            "on": format_time(NOW - timedelta(seconds=120)),
            "error_message": "virus found",
        },
        "n-new-promised": {
            "initiated_on": format_time(NOW - timedelta(seconds=60)),
            "size": 9000,
            "received_bytes": 8999,
        },
        "n-new-unknown": {"initiated_on": format_time(NOW - timedelta(seconds=30))},
        "n-new-checked": {"stage": "completed", "on": format_time(NOW - timedelta(seconds=3))},
        "n-done-1": {"stage": "verified", "on": format_time(NOW - timedelta(seconds=590)), "size": 7 << 20},
        "n-done-2": {"stage": "verified", "on": format_time(NOW - timedelta(seconds=990))},
    }
    return session_of((lines_of(uploads), Listing()))


class Scene(NamedTuple):
    session: Session
    trouble_count: int
    badges: set[str]


@pytest.fixture(params=["several projects", "source"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "source":
        yield Scene(of_a_source(), 2, {"STUCK"})
    else:
        session = of_several_projects()
        yield Scene(session, len(TROUBLE), {"NOT", "STUCK"})
        session.close()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
async def test_trouble_stands_out_among_several_projects_and_in_a_source(scene: Scene, size: tuple[int, int]) -> None:
    app, themes = dashboard(scene.session), half_of_the_themes(size, isinstance(scene.session, InMemorySession))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        table = app.screen.query_one(UploadTable)
        await assert_trouble_stands_out(pilot, table, themes, scene.trouble_count, scene.badges)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
async def test_trouble_below_the_fold_is_on_the_first_screen_and_without_trouble_nothing_is_filled(
    size: tuple[int, int],
) -> None:
    async with opened(SEVERAL, size=size, order=TableOrder()) as (pilot, session, _):
        assert Picture(pilot.app).fills() == []
        session.publish(STUCK)
        await settled(pilot)
        for theme in PAINTED:
            pilot.app.theme = theme
            await pilot.pause()
            overdue = pilot.app.get_css_variables()["overdue"].lower()
            late = [run for run in Picture(pilot.app).runs if overdue in {run.colour, run.background}]
            assert "1 stuck" in text_of(late), theme


@pytest.mark.parametrize("theme", ["upload-dark", "upload-safe-light"])
async def test_all_text_can_be_read(theme: str) -> None:
    async with opened([dict(upload) for upload in sample_uploads()], size=(120, 40)) as (pilot, _, _):
        pilot.app.theme = theme
        for key in ("", "question_mark", "w", "c", "F", "l", "p", "e", "enter", "3"):
            await pilot.press(*filter(None, [key]))
            await pilot.pause()
            assert Picture(pilot.app).unreadable() == set(), key
            await pilot.press("escape")


@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
async def test_without_colours_words_and_signs_say_the_same(ascii_only: bool) -> None:
    app = dashboard([*TROUBLE.values(), *NORMAL], theme=FEW_COLOURS_THEME, ascii_only=ascii_only)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        lines = [strip.text for strip in app.screen._compositor.render_strips(app.size)]
        table = app.screen.query_one(UploadTable)
        rows = {row.name: lines[table.content_region.y + 1 + n] for n in range(7) if (row := table.window.row(n))}
        warning, failed = ("!", "X") if ascii_only else ("▲", "✗")
        assert warning in rows["t-stuck.h5"]
        assert "STUCK" in rows["t-stuck.h5"]
        assert failed in rows["t-failed.czi"]
        assert warning in rows["t-odd.czi"]
        assert "NOT WHOLE" in rows["t-odd.czi"]
        assert not {warning, failed} & set(rows["n-new-almost.bin"])
