"""Pictures are the same on every machine, whatever its time zone, locale, terminal, NO_COLOR or speed."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual._doc import take_svg_screenshot
from textual.app import App

from upload_tui.testing import Scene, dashboard, deterministic, sample_uploads, settled
from upload_tui.testing.gallery import GalleryApp

MACHINES = {
    "here": {"TZ": "UTC"},
    "kolkata": {"TZ": "Asia/Kolkata", "NO_COLOR": "1", "TERM": "dumb", "COLORTERM": "", "LC_ALL": "C"},
    "st-johns": {"TZ": "America/St_Johns", "TERM": "linux", "LC_ALL": "de_DE.UTF-8", "COLUMNS": "40"},
}
APPS: dict[str, Callable[[], App[Any]]] = {
    "dashboard": lambda: dashboard(sample_uploads()),
    "scene": lambda: Scene().upload("a.bin", completes=10).fault("outage", at=20).until(25).dashboard(),
    "widgets": lambda: deterministic(GalleryApp(initial_tab="timeline")),
}


@pytest.fixture
def switch_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the environment of another machine; undone after the test."""

    def set_environment(machine: str) -> None:
        for name, value in MACHINES[machine].items():
            monkeypatch.setenv(name, value)
        time.tzset()

    yield set_environment
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("app", APPS)
def test_a_picture_is_the_same_on_every_machine(app: str, switch_machine: Callable[[str], None]) -> None:
    pictures = []
    for machine in MACHINES:
        switch_machine(machine)
        press = [] if app == "widgets" else ["t"]  # absolute times, which the time zone could change
        pictures.append(take_svg_screenshot(APPS[app](), terminal_size=(120, 40), press=press, run_before=settled))
    assert pictures[0] == pictures[1] == pictures[2]
