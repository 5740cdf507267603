"""What screens show: matches, the raw response, ages in titles, empty projects, columns, and what quitting leaves."""

from datetime import timedelta

import pytest
from rich.console import Console
from textual.content import Content
from textual.widgets import OptionList, Static

from tests.tui.dashboards import mixed, opened, until
from upload_tui.monitor import Connection, ConnectionState
from upload_tui.testing import NOW, InMemorySession, an_upload, dashboard
from upload_tui.tui.appearance.columns import ColumnSpec
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.screens.upload import UploadScreen


async def test_matches_are_underlined_in_the_table() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("slash", *"stuck", "enter")
        segments = [segment for segment in table.render_line(1) if segment.text.strip() == "stuck"]
        assert [bool(segment.style and segment.style.underline) for segment in segments] == [True]


async def test_the_raw_response_is_in_colours() -> None:
    async with opened(mixed()) as (pilot, _, _):
        await pilot.press("J")
        await until(pilot, lambda: isinstance(pilot.app.screen, UploadScreen))
        content = pilot.app.screen.query_one("#raw", Static).content
        assert isinstance(content, Content)
        assert "$primary" in {span.style for span in content.spans}


async def test_the_title_shows_the_age_of_rows_that_are_not_current() -> None:
    async with opened(mixed()) as (pilot, session, table):
        read_on = NOW - timedelta(minutes=41)
        session.set_connection(Connection(state=ConnectionState.OFFLINE, since=read_on, read_on=read_on))
        await until(pilot, lambda: "updated 41m ago" in str(table.border_title))


async def test_an_empty_project_says_so() -> None:
    async with opened([an_upload("scan.tiff")]) as (pilot, _, table):
        table.rows_query = type(table.rows_query)(project_ids=frozenset({"p-9"}))
        await pilot.pause()
        assert table.empty_text == "No uploads in this project. Esc shows all projects."


async def test_the_columns_can_be_reset() -> None:
    async with opened(mixed()) as (pilot, _, table):
        default = table.column_specs
        await pilot.press("c", "j", "J", "plus", "r", "enter")
        await pilot.pause()
        assert table.column_specs == default


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=str)
@pytest.mark.parametrize("projects", [(), ("Proteomics", "Genome")], ids=["one project", "two projects"])
async def test_columns_that_are_not_changed_stay_as_they_are(size: tuple[int, int], projects: tuple[str, ...]) -> None:
    saved: list[tuple[ColumnSpec, ...]] = []
    async with opened(mixed(), size, save_columns=lambda _, columns: saved.append(tuple(columns))) as (pilot, _, table):
        table.several_projects, table.project_names = bool(projects), projects
        before = table.columns
        for keys in ((), ("r",), ("space", "space"), ("j", "space", "r")):
            await pilot.press("c", *keys, "enter")
            await pilot.pause()
            assert table.columns == before, keys
            assert not table.display_options.columns_of(table.view_kind)
            assert saved == []


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=str)
async def test_a_reset_of_the_columns_is_saved_as_no_choice(size: tuple[int, int]) -> None:
    saved: list[tuple[ColumnSpec, ...]] = []
    async with opened(mixed(), size, save_columns=lambda _, columns: saved.append(tuple(columns))) as (pilot, _, table):
        before = table.columns
        await pilot.press("c", "j", "plus", "enter", "c", "r", "enter")
        await until(pilot, lambda: len(saved) == 2)
        assert saved[1] == ()
        assert table.columns == before


async def test_quitting_can_leave_the_screen() -> None:
    async with opened(mixed()) as (pilot, _, _):
        await pilot.press("Q")
        await pilot.pause()
        console = Console(width=120, height=40)
        with console.capture() as capture:
            for message in pilot.app._exit_renderables:
                console.print(message)
        text = capture.get()
        assert pilot.app.return_code == 0
        assert "e-stuck" in text
        assert len(text.rstrip().splitlines()) == 40


async def test_the_help_explains_the_signs() -> None:
    async with opened(mixed()) as (pilot, _, _):
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)
        text = pilot.app.screen.query_one("#help-text").render()
        assert isinstance(text, Content)
        for words in ("NOT WHOLE", "▲ stuck", "△ acknowledged", "✓ marked", "□ missing"):
            assert words in text.plain


async def test_projects_are_counted_searched_and_sorted() -> None:
    session = InMemorySession(
        [an_upload("stuck", initiated=9000, completed=8000, project=("p-7", "Project 7")), an_upload("new")],
        projects=[(f"p-{number}", f"Project {number}") for number in range(31)],
    )
    async with dashboard(session).run_test(size=(120, 40)) as pilot:
        await pilot.press("p")
        menu = pilot.app.screen.query_one(OptionList)
        await until(pilot, lambda: "Projects 31" in str(menu.border_title))
        assert menu.option_count == 32
        await pilot.press("s")
        assert "Project 7" in str(menu.get_option_at_index(1).prompt)
        assert "1 in trouble" in str(menu.get_option_at_index(1).prompt)
        assert menu.border_subtitle == "Enter show, / search, s sort, Esc close"
        await pilot.press("slash", *"t 2")
        assert menu.option_count == 11
        assert str(menu.border_title) == "Projects 11 · by trouble · /t 2"
        assert menu.border_subtitle == "Enter show, Esc end search"
        await pilot.press(*["backspace"] * 3, *"ct 30", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, DashboardScreen)
        assert pilot.app.screen.rows_query.project_ids == {"p-30"}
    session.close()
