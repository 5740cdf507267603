"""The help: active keys in groups, problems first, and how many lines are below."""

import pytest
from textual.content import Content
from textual.pilot import Pilot

from tests.tui.dashboards import FakeControls, mixed, opened, until
from upload_tui.tui.bindings import keys_of, keys_text
from upload_tui.tui.screens.help import KeyHelp, grouped, help_lines
from upload_tui.tui.widgets.activity_pane import ChangeLogView


def text_on(pilot: Pilot[int]) -> str:
    return " ".join(strip.text for strip in pilot.app.screen._compositor.render_strips(pilot.app.size))


def plain(lines: list[Content]) -> list[str]:
    return [line.plain.rstrip() for line in lines]


def test_keys_are_grouped_with_problems_first_and_movement_last() -> None:
    ids = (
        "table.up",
        "table.down",
        "demo.step",
        "copy.id",
        "trouble",
        "activity.up",
        "stage.error",
        "quit",
        "table.open",
    )
    groups = grouped(KeyHelp(key_id, "x", key_id) for key_id in (*ids, "no.such.key"))
    assert [group.title for group in groups] == [
        "Problems",
        "Find, filter and sort",
        "Inspect",
        "Copy, export and run",
        "Demo and replay",
        "Panes",
        "Move",
        "More",
    ]
    assert [key.id for key in groups[-2].keys] == ["table.down", "table.up", "activity.up"]
    assert sum(len(group.keys) for group in groups) == len(ids) + 1


@pytest.mark.parametrize("width", [20, 60, 87, 88, 120])
def test_each_key_is_listed_once_and_no_line_is_too_wide(width: int) -> None:
    keys = [KeyHelp(f"table.{number}", f"k{number}", f"does number{number} as it should") for number in range(9)]
    lines = help_lines(grouped([*keys, KeyHelp("trouble", "!", "Show only uploads in trouble (toggle)")]), width)
    text = "\n".join(plain(list(lines)))
    assert all(text.count(f"number{number}") == 1 for number in range(9))
    assert all(line.cell_length <= width for line in lines)
    first = text.splitlines()[0]
    assert "Problems" in first
    assert ("Move" in first) is (width >= 88)


@pytest.mark.parametrize("height", [60, 44])
async def test_a_large_screen_shows_all_keys(height: int) -> None:
    """At once, or where it is too low, page by page."""
    async with opened(mixed(), size=(120, height), controls=FakeControls()) as (pilot, _, _):
        tooltips = [(keys_text(keys), active.binding.tooltip) for active, keys in keys_of(pilot.app.screen)]
        await pilot.press("question_mark")
        box = pilot.app.screen.query_one("#help")
        await until(pilot, lambda: str(box.border_subtitle).endswith("Esc close"))
        assert (box.border_subtitle == "Esc close") is (height == 60)
        seen = text_on(pilot)
        while box.border_subtitle != "Esc close":
            await pilot.press("pagedown")
            await pilot.pause()
            seen += text_on(pilot)
    assert len(tooltips) > 45
    for keys, tooltip in tooltips:
        assert keys in seen
        assert tooltip.split()[0] in seen


async def test_the_frame_counts_the_lines_below() -> None:
    async with opened(mixed(), size=(80, 24)) as (pilot, _, _):
        await pilot.press("question_mark")
        box = pilot.app.screen.query_one("#help")
        await until(pilot, lambda: "more lines, Esc close" in str(box.border_subtitle))
        below = int(str(box.border_subtitle).split()[0])
        await pilot.press("j")
        await until(pilot, lambda: str(box.border_subtitle).startswith(f"{below - 1} "))
        await pilot.press("end")
        await until(pilot, lambda: box.border_subtitle == "Esc close")
        await pilot.resize_terminal(80, 22)
        await until(pilot, lambda: box.border_subtitle == "2 more lines, Esc close")


async def test_the_help_is_about_the_pane_with_the_focus() -> None:
    async with opened(mixed(), keymap={"activity.error": "x"}) as (pilot, _, _):
        pilot.app.screen.query_one(ChangeLogView).focus()
        await pilot.press("question_mark")
        await pilot.pause()
        seen = "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips(pilot.app.size))
    assert "Show only changes to error" in seen
    assert "Open the upload" not in seen
    assert [line for line in seen.splitlines() if "x " in line and "Show only changes to error" in line]
