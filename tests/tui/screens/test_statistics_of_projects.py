"""Dialogs with numbers: they are those of the chosen project, and there are none while nothing is known."""

import pytest
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from tests.tui.dashboards import opened, until
from upload_tui.monitor import Connection, ConnectionState, ProjectRef
from upload_tui.testing import NOW, an_upload, settled
from upload_tui.tui.fitting import HangingLines
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.wire import SIZE_DIFFERS

ONE, TWO = ProjectRef("p-1", "One"), ProjectRef("p-2", "Two [b]")
REJECTED = Connection(state=ConnectionState.NOT_ALLOWED, since=NOW)
DENIED = Connection(state=ConnectionState.DENIED, since=NOW, reason="access denied")
LIVE = Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW)
OF_ONE = [
    an_upload("one", completed=60, error=50, message=SIZE_DIFFERS, project=(ONE.id, ONE.name)),
    an_upload("fine", completed=60, verified=50, project=(ONE.id, ONE.name)),
]
OF_TWO = [
    an_upload("two", completed=60, error=50, message="no room left", project=(TWO.id, TWO.name)),
    *(
        an_upload(f"slow-{n}", initiated=3000, completed=2000, verified=50, project=(TWO.id, TWO.name))
        for n in range(3)
    ),
]


def shown(pilot: Pilot[int]) -> str:
    """The title and the text of the open dialog."""
    lists = [*pilot.app.screen.query(OptionList)]
    texts = [option.prompt for option in lists[0].options] if lists else [pilot.app.screen.query_one(Static).visual]
    box = lists[0] if lists else pilot.app.screen.query_one("#latencies")
    plain = (one.wrapped(100).plain if isinstance(one, HangingLines) else str(one) for one in texts)
    return "\n".join([Content.from_markup(str(box.border_title or "")).plain, *plain])


@pytest.mark.parametrize(
    ("key", "all_lines", "one_lines", "two_lines"),
    [
        (
            "F",
            ["Failures 2 by cause", "1  wrong size", "1  no room left"],
            ["Failures 1 by cause · in One", "1  wrong size"],
            ["Failures 1 by cause · in Two [b]", "1  no room left"],
        ),
        (
            "l",
            ["Latency", "verified  4 uploads", "error  2 uploads"],
            ["Latency · in One", "verified  1 upload", "error  1 upload"],
            ["Latency · in Two [b]", "verified  3 uploads", "error  1 upload"],
        ),
    ],
)
async def test_a_dialog_has_the_numbers_and_the_name_of_the_chosen_project(
    key: str, all_lines: list[str], one_lines: list[str], two_lines: list[str]
) -> None:
    async with opened([*OF_ONE, *OF_TWO]) as (pilot, session, _):
        session.projects = (ONE, TWO)
        for choose, lines in (((), all_lines), (("p", "j", "enter"), one_lines), (("p", "j", "enter"), two_lines)):
            await pilot.press(*choose)
            await pilot.press(key)
            await settled(pilot)
            text = shown(pilot)
            assert text.splitlines()[0] == lines[0]
            assert [line for line in lines if line not in text] == []
            others = {*all_lines[1:], *one_lines[1:], *two_lines[1:]} - {*lines}
            assert [line for line in others if line in text] == []
            await pilot.press("escape")
            await pilot.pause()


@pytest.mark.parametrize(
    ("key", "unknown", "known"),
    [
        ("F", "Failures by cause\nNo data yet.", "Failures 0 by cause\nNo upload has failed."),
        ("l", "Latency\nNo data yet.", "Latency\nNo upload has reached its next stage yet."),
        ("p", "Projects 1\nAll projects\nOne", "Projects 1\nAll projects\nOne  0 uploads"),
    ],
)
async def test_no_dialog_says_that_there_is_nothing_before_anything_is_known(
    key: str, unknown: str, known: str
) -> None:
    async with opened([]) as (pilot, session, _):
        session.projects = (ONE,)
        session.set_connection(REJECTED)
        await pilot.press(key)
        await settled(pilot)
        assert shown(pilot) == unknown
        session.set_connection(LIVE)
        session.clock.advance(10)
        await until(pilot, lambda: shown(pilot).replace("uploads ", "uploads") == known)


@pytest.mark.parametrize(("key", "title"), [("F", "Failures by cause"), ("l", "Latency")])
async def test_a_project_that_cannot_be_read_is_not_one_without_uploads(key: str, title: str) -> None:
    async with opened(OF_ONE) as (pilot, session, table):
        session.projects = (ONE, TWO)
        session.set_connection(DENIED, TWO.id)
        await pilot.press("p", "end", "enter")
        await settled(pilot)
        assert table.empty_text == "No data of this project yet. Esc shows all projects."
        assert [cell for cell in pilot.app.screen.query(StageCell) if "error -" in str(cell.text())]
        await pilot.press(key)
        await settled(pilot)
        assert shown(pilot) == f"{title} · in Two [b]\nNo data yet."


async def test_only_projects_of_which_something_is_known_have_counts_in_their_dialog() -> None:
    async with opened(OF_ONE) as (pilot, session, _):
        session.projects = (ONE, TWO)
        session.set_connection(DENIED, TWO.id)
        await pilot.press("p")
        await settled(pilot)
        lines = [line.split() for line in shown(pilot).splitlines()]
        assert lines[2:] == [["One", "2", "uploads", "1", "in", "trouble"], ["Two", "[b]"]]
