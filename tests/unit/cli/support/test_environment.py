"""What `doctor` says about the terminal."""

import subprocess
import sys
from collections.abc import Sequence
from itertools import product

import pytest
from tests.tui.dashboards import opened, until

from upload_tui.cli.support.environment import has_one_pane, terminal_locale
from upload_tui.testing import an_upload
from upload_tui.tui import UploadApp
from upload_tui.tui.base_app import size_classes


def test_locale_is_ignored_on_systems_whose_terminals_use_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    for system in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", system)
        assert terminal_locale({"LC_ALL": "C"}) == ""


def test_locale_that_python_sets_itself_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    script = (
        "import os; from upload_tui.cli.support.environment import terminal_locale; print(terminal_locale(os.environ))"
    )
    for variables, expected in (({}, ""), ({"LANG": "C"}, "C"), ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "C.UTF-8")):
        for name in ("LC_ALL", "LC_CTYPE", "LANG"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert printed.strip() == expected


async def test_doctor_knows_the_sizes_at_which_the_dashboard_shows_one_pane() -> None:
    """Both sides of each breakpoint up to 80 x 24."""
    columns, lines = sides_of(UploadApp.HORIZONTAL_BREAKPOINTS, 80), sides_of(UploadApp.VERTICAL_BREAKPOINTS, 24)
    async with opened([an_upload("scan")]) as (pilot, _, table):
        activity = pilot.app.screen.query_one("#activity")
        shown = {}
        for size in product(columns, lines):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: pilot.app.screen.has_class(*size_classes(pilot.app)))
            await pilot.pause()
            shown[size] = not (table.size.area and activity.size.area)
    assert shown == {size: has_one_pane(*size) for size in shown}


def sides_of(breakpoints: Sequence[tuple[int, str]] | None, last: int) -> Sequence[int]:
    return [size for least, _ in breakpoints or () if 0 < least <= last for size in (least - 1, least)]
