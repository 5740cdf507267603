"""Views: shown by a key or from the menu, saved and removed on screen; and how the dashboard was left."""

from collections.abc import Sequence

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Label, OptionList

from tests.tui.dashboards import mixed, names_in, opened, toasts
from upload_tui.monitor import Query, SortKey, parse_query
from upload_tui.status import Stage
from upload_tui.tui import ScreenState, TableOrder, View, parse_columns
from upload_tui.tui.screens.menu import ViewMenu
from upload_tui.tui.screens.views import query_text

NIGHT = View("night", "is:trouble", TableOrder(SortKey.NAME, False), parse_columns(["name", "took"]), "f2")
PENDING = View("pending", "is:pending")


def title(pilot: Pilot[int]) -> str:
    return str(pilot.app.screen.query_one("#uploads").border_title)


async def test_a_key_shows_a_view_and_escape_leaves_it() -> None:
    async with opened(mixed(), views=(NIGHT, PENDING)) as (pilot, _, table):
        usual, order = table.column_specs, (table.rows_query.sort, table.rows_query.descending)
        await pilot.press("2")
        await pilot.press("f2")
        await pilot.pause()
        assert names_in(table) == ["d-error", "e-stuck"]
        assert table.rows_query.sort is SortKey.NAME
        assert table.column_specs == NIGHT.columns
        assert 'view night · matching "is:trouble"' in title(pilot)
        await pilot.press("slash", "b", "escape")
        await pilot.pause()
        assert "view night" in title(pilot)
        await pilot.press("S", "escape")
        await pilot.pause()
        assert (table.rows_query.sort, table.rows_query.descending) == order
        assert names_in(table) == ["b-completed", "e-stuck"]
        await pilot.press("escape")
        await pilot.pause()
        assert len(names_in(table)) == 5
        assert table.column_specs == usual
        assert "view" not in title(pilot)


async def test_the_menu_shows_views_and_all_uploads() -> None:
    async with opened(mixed(), views=(NIGHT, PENDING)) as (pilot, _, table):
        await pilot.press("v", "j", "j", "enter")
        await pilot.pause()
        assert names_in(table) == ["a-initiated", "b-completed", "e-stuck"]
        await pilot.press("v", "enter")  # the menu opens on the view that is shown
        await pilot.pause()
        assert names_in(table) == ["a-initiated", "b-completed", "e-stuck"]
        await pilot.press("v", "home", "enter")
        await pilot.pause()
        assert len(names_in(table)) == 5
        assert table.rows_query.sort is SortKey.TROUBLE


async def test_what_is_on_screen_is_saved_as_a_view_and_removed() -> None:
    saved: list[Sequence[View]] = []
    async with opened(mixed(), views=(PENDING,), save_views=saved.append) as (pilot, _, table):
        await pilot.press("4", "S", "v", "s", *"night", "comma", "space", *"f2", "enter")
        await pilot.pause()
        order = TableOrder(SortKey.INITIATED, False)
        assert saved == [[View("night", "stage:error", order, (), "f2", is_saved=True)]]
        assert "view night" in title(pilot)
        assert names_in(table) == ["d-error"]
        await pilot.press("escape", "f2")
        await pilot.pause()
        assert names_in(table) == ["d-error"]
        await pilot.press("v", "home", "j", "x")
        await pilot.pause()
        assert toasts(pilot) == ["Only views that were saved here can be removed here."]
        assert isinstance(pilot.app.screen, ViewMenu)
        assert pilot.app.screen.query_one(OptionList).option_count == 3
        count = len(saved)
        await pilot.press("j", "x", "enter")  # Cancel
        await pilot.press("v", "s", *"night", "enter", "enter")
        await pilot.pause()
        assert len(saved) == count
        await pilot.press("v", "x", "j", "enter")
        await pilot.pause()
        assert saved[-1] == []
        await pilot.press("escape", "f2")
        await pilot.pause()
        assert len(names_in(table)) == 5


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("v", "Not saved: the key v belongs to views."),
        ("j", "Not saved: the key j belongs to table.down."),
        ("#", "Not saved: the key # belongs to the view night."),
        ("f99", "Not saved: there is no key f99."),
    ],
)
async def test_a_view_gets_no_key_that_is_taken_or_does_not_exist(key: str, message: str) -> None:
    await _check_not_saved(["new", ",", key], message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("night", "Not saved: night is a view of the settings. Use another name."),
        ("all Uploads", "Not saved: All uploads is the name of the line without a view."),
        (", f5", "Not saved: a view needs a name."),
    ],
)
async def test_a_view_gets_no_name_that_is_taken(name: str, message: str) -> None:
    await _check_not_saved([name], message)


async def _check_not_saved(texts: Sequence[str], message: str) -> None:
    """The prompt stays open with the text and what is wrong."""
    taken = View("night", "is:trouble", key="number_sign")
    async with opened(mixed(), views=(taken,)) as (pilot, _, _):
        await pilot.press("v", "s")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = "".join(texts)
        await pilot.press("enter")
        await pilot.pause()
        assert str(pilot.app.screen.query_one(Label).content) == message
        assert pilot.app.screen.query_one(Input).value == "".join(texts)


async def test_the_dashboard_comes_back_as_it_was_left() -> None:
    async with opened(mixed(), views=(NIGHT,)) as (pilot, _, table):
        await pilot.press("slash", *"scan", "enter", "escape", "f2", "d", "S", "4")
        await pilot.pause()
        state = pilot.app.screen_state  # type: ignore[attr-defined]
        shown = names_in(table)
    assert state == ScreenState(
        TableOrder(SortKey.NAME, True),
        "is:trouble",
        frozenset({Stage.ERROR}),
        view="night",
        is_roomy=True,
        searches=("scan",),
    )
    async with opened(mixed(), views=(NIGHT,), state=state) as (pilot, _, table):
        assert names_in(table) == shown == ["d-error"]
        assert table.display_options.is_roomy
        assert table.column_specs == NIGHT.columns
        assert 'view night · error · matching "is:trouble"' in title(pilot)
        assert pilot.app.screen_state == state  # type: ignore[attr-defined]
        await pilot.press("escape", "slash", "s")
        await pilot.pause()
        assert pilot.app.screen.query_one("SearchBar Input", Input)._suggestion == "scan"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query(), ""),
        (Query(where=parse_query("scan")), "scan"),
        (Query(where=parse_query("a OR b"), trouble_only=True), "(a OR b) is:trouble"),
        (Query(stages=frozenset({Stage.ERROR, Stage.INITIATED})), "stage:initiated,error"),
        (Query(late_only=True, recent_seconds=300), "is:overdue age<=300s"),
        (Query(cause='size "1\\2" differs', uploader="Ada"), 'is:failed error="size \\"1\\\\2\\" differs" by="Ada"'),
    ],
)
def test_filters_are_saved_as_text_of_the_query(query: Query, text: str) -> None:
    assert query_text(query) == text
    parse_query(text)


@pytest.mark.parametrize("text", ["size", "-size", "name", "-name", "trouble"])
def test_an_order_is_written_as_text(text: str) -> None:
    order = TableOrder.parse(text)
    assert str(order) == text
    assert order.descending is (text in {"size", "-name", "trouble"})
