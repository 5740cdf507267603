"""Pictures wait until nothing is left to be painted. Textual waits only for an idle process, and on a busy machine it looks idle."""

from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from upload_tui.testing import settled


@pytest.fixture
def snap_compare(snap_compare: Callable[..., bool]) -> Callable[..., bool]:
    """Like the plugin's, but wait until the screen is current, also before and after the keys."""

    def compare(
        app: App[Any],
        press: Iterable[str] = (),
        terminal_size: tuple[int, int] = (80, 24),
        run_before: Callable[[Pilot[Any]], Awaitable[None] | None] = lambda _: None,
    ) -> bool:
        async def run(pilot: Pilot[Any]) -> None:
            await settled(pilot)
            result = run_before(pilot)
            if isawaitable(result):
                await result
            await pilot.press(*press)
            await settled(pilot)

        return snap_compare(app, terminal_size=terminal_size, run_before=run)

    return compare
