"""A picture says nothing of the machine that it was taken on: its zone, its wish for no colours, its terminal, its hurry."""

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
def move(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Go to another machine; back home after the test."""

    def there(machine: str) -> None:
        for name, value in MACHINES[machine].items():
            monkeypatch.setenv(name, value)
        time.tzset()

    yield there
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("app", APPS)
def test_the_picture_is_the_same_when_it_is_taken_on_another_machine(app: str, move: Callable[[str], None]) -> None:
    pictures = []
    for machine in MACHINES:
        move(machine)
        press = [] if app == "widgets" else ["t"]  # absolute times, where there are any
        pictures.append(take_svg_screenshot(APPS[app](), terminal_size=(120, 40), press=press, run_before=settled))
    assert pictures[0] == pictures[1] == pictures[2]
