"""Queries in the search bar, for the table and for the activity, and acknowledged uploads."""

import pytest
from textual.events import AppBlur, AppFocus, Key
from textual.pilot import Pilot
from textual.widgets import Input, Label

from tests.tui.dashboards import names_in, opened, toasts, until
from upload_tui.monitor import Query, Trouble, parse_query
from upload_tui.monitor.queries.query import FIELDS, STAGE_NAMES, State
from upload_tui.testing import NOW, InMemorySession, an_upload, settled
from upload_tui.tui.screens.prompts import parse_acknowledgement
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.footer import SearchBar
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.wire import CHUNK_HASH_DIFFERS

UPLOADS = [
    an_upload("Straße É.bin", initiated=10),
    an_upload("stuck.bin", initiated=9000, completed=8000),
    an_upload("failed.bin", completed=60, error=50, message=CHUNK_HASH_DIFFERS),
    an_upload("done.bin", completed=60, verified=30),
]


def note(pilot: Pilot[int]) -> str:
    return str(pilot.app.screen.query_one("#search-keys", Label).content)


async def search(pilot: Pilot[int], text: str) -> None:
    """Replace the text in the open search bar."""
    pilot.app.screen.query_one(Input).value = text
    await pilot.pause()
    await pilot.pause()


async def open_search(pilot: Pilot[int], text: str) -> Input:
    await pilot.press("slash")
    await search(pilot, text)
    return pilot.app.screen.query_one(Input)


async def test_a_query_is_applied_while_it_is_typed_and_opens_again() -> None:
    async with opened(UPLOADS) as (pilot, _, table):
        await pilot.press("slash")
        await search(pilot, "strasse e")
        assert names_in(table) == ["Straße É.bin"]
        await search(pilot, "bin -stage:verified,error")
        assert names_in(table) == ["Straße É.bin", "stuck.bin"]
        await search(pilot, "bin -stage:verified,error size>")
        assert names_in(table) == ["Straße É.bin", "stuck.bin"]
        assert note(pilot).startswith("size needs a value")
        await search(pilot, "bin stage:verifed done")
        assert names_in(table) == ["Straße É.bin", "stuck.bin"]  # the last good result
        assert "Did you mean verified?" in note(pilot)
        await search(pilot, "is:trouble")
        assert set(names_in(table)) == {"stuck.bin", "failed.bin"}
        await pilot.press("enter", "slash")
        assert pilot.app.screen.query_one(Input).value == "is:trouble"
        await search(pilot, "done")
        await pilot.press("escape")
        await pilot.pause()
        assert set(names_in(table)) == {"stuck.bin", "failed.bin"}  # the search before
        await pilot.press("escape")
        await pilot.pause()
        assert len(names_in(table)) == len(UPLOADS)


_MISTAKES = {
    "stage:erx": "erx is no value of stage",
    "size>": "size needs a value",
    "bin size>": "size needs a value",
    '"open': "A quotation mark is not closed",
    "(bin": 'A ")" is missing',
    "(is:trou": "trou is no value of is",
    "foo:bar": "There is no field foo",
    "bin OR": "Something is missing at the end",
}


@pytest.mark.parametrize("is_activity", [False, True], ids=["table", "activity"])
async def test_a_query_with_a_mistake_stays_open_on_enter_and_says_what_is_wrong(is_activity: bool) -> None:
    async with opened(UPLOADS) as (pilot, _, _table):
        for text, wrong in _MISTAKES.items():
            if is_activity:
                pilot.app.screen.query_one(ChangeLogView).focus()
            await pilot.press("slash")
            await search(pilot, text)
            await pilot.press("enter")
            assert pilot.app.screen.query_one(Input).has_focus
            assert wrong in note(pilot)
            await search(pilot, "bin")
            await pilot.press("enter")
            assert not pilot.app.screen.query_one(Input).has_focus


@pytest.mark.parametrize("field", ["is", "stage"])
async def test_while_a_value_is_incomplete_no_count_is_shown_and_enter_takes_the_completion(field: str) -> None:
    """The completion is behind the cursor: a count beside it would be read as that of the completed text."""
    values = [str(state) for state in State] if field == "is" else [*STAGE_NAMES]
    async with opened(UPLOADS) as (pilot, _, table):
        for value in values:
            await pilot.press("slash")
            await search(pilot, f"{field}:{value[:-1]}")
            assert "match" not in note(pilot).split("  ")[0], note(pilot)
            await pilot.press("enter")
            await settled(pilot)
            assert not pilot.app.screen.query_one(Input).has_focus
            assert table.rows_query.where.text == f"{field}:{value}"
            await pilot.press("slash")
            await search(pilot, f"{field}:{value}")
            matches = note(pilot).split("  ")[0]
            assert matches == ("1 match" if table.total == 1 else f"{table.total} matches")
            await pilot.press("escape", "escape")


async def test_a_field_is_completed_and_explained_and_the_history_comes_first() -> None:
    async with opened(UPLOADS) as (pilot, _, _table):
        await pilot.press("slash", *"is:tr")
        assert note(pilot) == "is: trouble 2, pending 2, stuck 1, overdue 1, failed 1"
        await until(pilot, lambda: pilot.app.screen.query_one(Input)._suggestion == "is:trouble")
        await pilot.press("right")
        assert pilot.app.screen.query_one(Input).value == "is:trouble"
        await search(pilot, "is:trouble -bin")
        await pilot.press("enter", "escape", "slash", *"is:t")
        await until(pilot, lambda: pilot.app.screen.query_one(Input)._suggestion == "is:trouble -bin")


async def test_tab_accepts_the_suggestion_and_without_one_applies_the_search() -> None:
    async with opened(UPLOADS) as (pilot, _, table):
        field = await open_search(pilot, "is:tr")
        await pilot.press("tab", *" bi", "tab")
        assert not field.has_focus
        assert table.has_focus
        assert table.rows_query.where.text == "is:trouble bi"
        assert not pilot.app.screen.query_one(SearchBar).is_open


_KEPT_QUERIES = {
    "bin": "bin",
    "is:trouble": "is:trouble",
    "bin size>": "bin",
    "is:trou": "",
    "": "",
    "stage:verifed": "before",
    "foo:bar": "before",
}
"""What is in force after another search, `before`: a mistake changes nothing, and an unfinished end is ignored."""


@pytest.mark.parametrize("pane", ["", "#uploads", "#timeline", "#activity ChangeLogView"])
async def test_a_search_ends_when_another_pane_gets_the_focus(pane: str) -> None:
    """The line of the search names its keys, but those of the pane would work."""
    async with opened(UPLOADS) as (pilot, _, table):
        for text, kept in _KEPT_QUERIES.items():
            await open_search(pilot, "before")
            await pilot.press("enter")
            field = await open_search(pilot, text)
            await (pilot.click(pane, offset=(5, 2)) if pane else pilot.press("shift+tab"))
            await settled(pilot)
            assert not pilot.app.screen.query_one(SearchBar).is_open
            assert not field.has_focus
            assert pilot.app.focused is not None
            assert not pane or pilot.app.focused is pilot.app.screen.query_one(pane)
            assert table.rows_query.where.text == kept
            table.focus()


async def test_a_search_stays_open_while_the_terminal_or_a_dialog_has_the_focus() -> None:
    async with opened(UPLOADS) as (pilot, _, _):
        field = await open_search(pilot, "bin")
        for leave, come_back in ((AppBlur(), AppFocus()), (None, None)):
            if leave and come_back:
                pilot.app.post_message(leave)
                await settled(pilot)
                pilot.app.post_message(come_back)
            else:
                await pilot.press("ctrl+p", "escape")
            await until(pilot, lambda: field.has_focus)
            assert pilot.app.screen.query_one(SearchBar).is_open


async def test_values_are_completed_with_the_number_of_uploads_that_have_them() -> None:
    async with opened(UPLOADS) as (pilot, _, table):
        await pilot.press("slash", *"by:a")
        assert note(pilot) == f"{len(UPLOADS)} matches  by: Ada Lovelace {len(UPLOADS)}"
        await until(
            pilot,
            lambda: pilot.app.screen.query_one(Input)._suggestion == "by:ada",
        )
        await search(pilot, "error:")
        assert "error: " in note(pilot)
        assert note(pilot).endswith(" 1")
        await search(pilot, "done")
        assert note(pilot) == "1 match  Enter apply, Esc cancel"
        assert names_in(table) == ["done.bin"]


async def test_matches_are_highlighted_in_the_id() -> None:
    async with opened(UPLOADS[3:], size=(115, 40)) as (pilot, _, table):
        row = table.window.row(0)
        assert row is not None
        await pilot.press("d", "slash")
        await search(pilot, row.id[:6])
        underlined = [part.text for part in table.render_line(2) if part.style and part.style.underline]
        assert underlined == [row.id[:6]]


async def test_the_activity_understands_the_same_queries() -> None:
    async with opened(UPLOADS) as (pilot, session, _):
        log = pilot.app.screen.query_one(ChangeLogView)
        session.publish(an_upload("Straße É.bin", initiated=10, completed=5))
        session.publish(an_upload("stuck.bin", initiated=9000, completed=8000, verified=1))
        await until(pilot, lambda: log.total == 2)
        for text, expected in {
            "strasse": {"Straße É.bin"},
            "-stage:completed": {"stuck.bin"},
            "took>1h": {"stuck.bin"},
        }.items():
            log.focus()
            await pilot.press("slash")
            await search(pilot, text)
            assert {change.upload.name for change in log.shown_changes} == expected, text
            await pilot.press("enter")


async def test_the_values_for_the_activity_have_no_numbers_of_uploads() -> None:
    async with opened(UPLOADS) as (pilot, _, _table):
        pilot.app.screen.query_one(ChangeLogView).focus()
        await pilot.press("slash")
        for text in ("stage:er", "stage:error", "is:", "by:a", "error:"):
            await search(pilot, text)
            field = text.partition(":")[0]
            assert f"{field}: {FIELDS[field]}" in note(pilot)


async def test_marked_uploads_are_found_also_when_the_marks_change() -> None:
    async with opened(UPLOADS) as (pilot, _, table):
        await pilot.press("m", "m", "slash")
        first, second = names_in(table)[:2]
        await search(pilot, "is:marked")
        await pilot.press("enter")
        assert names_in(table) == [first, second]
        await pilot.press("g", "m")
        await settled(pilot)
        assert names_in(table) == [second]
        await pilot.press("m")
        await settled(pilot)
        assert names_in(table) == []


async def test_an_upload_is_acknowledged_with_a_note_and_that_is_taken_back() -> None:
    async with opened(UPLOADS) as (pilot, session, table):
        await pilot.press("W")
        await pilot.press("a", *"known for 2h", "enter")
        await until(pilot, lambda: "stuck.bin acknowledged; a on it takes it back" in toasts(pilot))
        found = session.picture.window(Query(where=parse_query("is:acknowledged")), 0, 9).rows
        assert [row.name for row in found] == ["stuck.bin"]
        assert found[0].acknowledgement is not None
        assert found[0].acknowledgement.note == "known"
        assert not found[0].lateness.is_stuck
        assert trouble_of(session) is None
        session.clock.advance(7300)
        assert trouble_of(session) is Trouble.STUCK
        assert session.picture.window(Query(where=parse_query("is:acknowledged")), 0, 9).total == 0
        await pilot.press("a", "enter")
        await until(pilot, lambda: trouble_of(session) is None)
        await pilot.press("a")
        await until(pilot, lambda: trouble_of(session) is Trouble.STUCK)
        assert "stuck.bin no longer acknowledged" in toasts(pilot)
        await pilot.press("a", "escape")
        assert trouble_of(session) is Trouble.STUCK
        assert table.total == len(UPLOADS)


async def test_only_what_is_wrong_is_acknowledged() -> None:
    async with opened(UPLOADS) as (pilot, session, table):
        table.select(str(UPLOADS[3]["id"]))
        await pilot.press("a")
        await until(pilot, lambda: "Nothing is wrong with the selection." in toasts(pilot))
        assert session.picture.window(Query(where=parse_query("is:acknowledged")), 0, 9).total == 0


def trouble_of(session: InMemorySession) -> Trouble | None:
    (row,) = session.picture.window(Query(where=parse_query("stuck.bin")), 0, 9).rows
    return row.trouble


@pytest.mark.parametrize(
    ("text", "expected_note", "hours"),
    [
        ("", "", None),
        ("known", "known", None),
        ("known for 2h", "known", 2),
        ("for 1d", "", 24),
        ("wait for it", "wait for it", None),
        ("asked for 12", "asked for 12", None),
        ("asked for 1h30m", "asked", 1.5),
        ("thanks for 2.", "thanks for 2.", None),
    ],
)
def test_a_note_may_end_with_a_time(text: str, expected_note: str, hours: float | None) -> None:
    given = parse_acknowledgement(text, NOW)
    assert given.note == expected_note
    assert (given.until is None) == (hours is None)
    if given.until is not None and hours is not None:
        assert (given.until - NOW).total_seconds() == hours * 3600


@pytest.mark.parametrize(
    ("keys", "typed"),
    [("/Qc", "Qc"), ("aQxq", "Qxq"), ("TQ5", "Q5"), ("vsQq", "Qq"), ("jjk/Qjj", "Qjj")],
)
async def test_keys_that_arrive_together_reach_what_the_first_one_opens(keys: str, typed: str) -> None:
    async with opened(UPLOADS) as (pilot, _, table):
        table.select(
            next(row.id for number in range(4) if (row := table.window.row(number)) and row.name == "stuck.bin")
        )
        for key in keys:
            pilot.app.post_message(Key({"/": "slash"}.get(key, key), key))
        await until(pilot, lambda: bool(fields := pilot.app.screen.query(Input)) and fields.first().value == typed)
        assert pilot.app.is_running


@pytest.mark.parametrize("filtered", ["", "1", "/s"], ids=["nothing", "filter", "search"])
@pytest.mark.parametrize("pane", [UploadTable, ChangeLogView])
async def test_a_key_to_a_match_moves_the_cursor_or_says_that_there_is_no_search(
    pane: type[UploadTable | ChangeLogView], filtered: str
) -> None:
    async with opened([]) as (pilot, session, _):
        session.publish(*(an_upload(f"scan-{number}.tiff", initiated=60 + number) for number in range(5)))
        found = pilot.app.screen.query_one(pane)
        await until(pilot, lambda: found.total == 5)
        found.focus()
        await pilot.press(*{"1": "8" if pane is ChangeLogView else "1", "/s": "/s"}.get(filtered, ""))
        if filtered.startswith("/"):
            await pilot.press("enter")
        await settled(pilot)
        await pilot.press("home", "j", "j")
        await until(pilot, lambda: (found.total, found.cursor_row) == (5, 2))
        for key, step in (("n", 1), ("N", -1), ("N", -1)):
            row = found.cursor_row
            await pilot.press(key)
            await settled(pilot)
            assert found.cursor_row == row + (step if filtered else 0)
        assert toasts(pilot) == ([] if filtered else ["No search. / starts one."])


async def test_no_key_of_a_burst_is_lost() -> None:
    async with opened([an_upload(id=f"{number:03}") for number in range(100)]) as (pilot, _, table):
        await pilot.press("1")
        for key in "j" * 90 + "k" * 30 + "n" * 5:
            pilot.app.post_message(Key(key, key))
        await until(pilot, lambda: table.cursor_row == 65)
