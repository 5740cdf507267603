"""The change log's search and filters, and exports."""

import csv
import json
from pathlib import Path

import pytest
from textual.widgets import Input

from tests.tui.dashboards import mixed, opened, toasts, until
from upload_tui.testing import an_upload
from upload_tui.tui.widgets.activity_pane import ChangeLogView


async def test_filters_of_the_change_log_hide_changes_until_cleared() -> None:
    async with opened([]) as (pilot, session, _):
        session.publish(an_upload("one.bin", initiated=9, completed=5, error=2, message="size differs"))
        session.publish(an_upload("two.bin", initiated=9, completed=5, verified=2))
        log = pilot.app.screen.query_one(ChangeLogView)
        await until(pilot, lambda: len(log.shown_changes) == 6)
        log.focus()
        await pilot.press("4")
        assert [change.upload.name for change in log.shown_changes] == ["one.bin"]
        await pilot.press("4", "slash", *"-one", "enter")
        await pilot.pause()
        assert {change.upload.name for change in log.shown_changes} == {"two.bin"}
        assert 'matching "-one"' in str(pilot.app.screen.query_one(ChangeLogView).border_title)
        assert log.has_focus
        await pilot.press("escape")
        assert len(log.shown_changes) == 6


async def test_clearing_the_change_logs_search_keeps_the_tables_filter() -> None:
    async with opened(mixed()) as (pilot, session, table):
        session.publish(an_upload("one.bin", initiated=9, completed=5, error=2, message="size differs"))
        log = pilot.app.screen.query_one(ChangeLogView)
        await until(pilot, lambda: len(log.shown_changes) == 3)
        await pilot.press("exclamation_mark", "tab", "tab", "slash", *"scan")
        assert log.shown_changes == ()
        await pilot.press("escape")
        await pilot.pause()
        assert len(log.shown_changes) == 3
        assert log.has_focus
        assert str(pilot.app.screen.query_one(ChangeLogView).border_title) == "Activity"
        assert "in trouble" in str(table.border_title)


async def test_escape_clears_the_change_logs_search_then_its_stage_then_the_tables_filter() -> None:
    async with opened(mixed()) as (pilot, session, table):
        session.publish(an_upload("one.bin", initiated=9, completed=5, error=2, message="size differs"))
        log = pilot.app.screen.query_one(ChangeLogView)
        await until(pilot, lambda: len(log.shown_changes) == 3)
        log.focus()
        await pilot.press("exclamation_mark", "4", "slash", *"zzz", "enter")
        assert "Esc clears the search" in log.line(0).text
        await pilot.press("escape")
        assert [change.upload.name for change in log.shown_changes] == ["one.bin"]
        await pilot.press("escape")
        assert len(log.shown_changes) == 3
        assert table.total == 3
        await pilot.press("escape")
        assert table.total == 6


@pytest.mark.parametrize(
    ("downs", "names"),
    [(0, ["b-completed", "e-stuck"]), (1, ["b-completed", "e-stuck"]), (2, ["f-new"])],
    ids=["json", "csv", "jsonl"],
)
async def test_the_visible_uploads_and_changes_are_exported(tmp_path: Path, downs: int, names: list[str]) -> None:
    async with opened(mixed(), export_folder=tmp_path) as (pilot, session, _):
        session.publish(an_upload("f-new", initiated=3))
        await pilot.press("2", "e", *["j"] * downs, "enter")
        await until(pilot, lambda: bool(toasts(pilot)))
        assert str(tmp_path) in toasts(pilot)[0]
    assert names_in_file(only_file(tmp_path)) == names


def only_file(folder: Path) -> Path:
    """The only file in a folder."""
    (file,) = folder.iterdir()
    return file


def names_in_file(file: Path) -> list[str]:
    """The names of the uploads in an exported file."""
    text = file.read_text("utf-8")
    match file.suffix:
        case ".json":
            return [record["name"] for record in json.loads(text)]
        case ".csv":
            return [row["name"] for row in csv.DictReader(text.splitlines())]
        case ".jsonl":
            return [json.loads(line)["upload"]["name"] for line in text.splitlines()]
        case suffix:
            raise AssertionError(suffix)


async def test_the_screen_is_exported(tmp_path: Path) -> None:
    async with opened(mixed(), export_folder=tmp_path) as (pilot, _, _):
        await pilot.press("e", "j", "j", "j", "enter")
        await until(pilot, lambda: bool(toasts(pilot)))
    text = only_file(tmp_path).read_text("utf-8")
    assert text.startswith("<svg")
    assert "b-completed" in text


async def test_the_reason_is_shown_when_an_export_fails(tmp_path: Path) -> None:
    async with opened(mixed(), export_folder=tmp_path / "nowhere") as (pilot, _, _):
        await pilot.press("e", "enter")
        await until(pilot, lambda: bool(toasts(pilot)))
        assert "Export failed" in toasts(pilot)[0]


async def test_the_search_bar_explains_exclusion_for_the_change_log() -> None:
    async with opened(mixed()) as (pilot, _, _):
        await pilot.press("slash")
        field = pilot.app.screen.query_one(Input)
        assert "since:" not in field.placeholder
        await pilot.press("escape")
        pilot.app.screen.query_one(ChangeLogView).focus()
        await pilot.pause()
        await pilot.press("slash")
        assert "-word" in field.placeholder
