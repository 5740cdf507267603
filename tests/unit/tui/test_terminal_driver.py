"""The terminal's driver."""

import asyncio
from typing import Any

from upload_tui.tui import Preferences
from upload_tui.tui.base_app import BaseApp
from upload_tui.tui.terminal_driver import TerminalDriver


async def test_a_terminal_that_is_read_again_before_the_first_screen_is_no_error() -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    TerminalDriver(BaseApp(Preferences()))._repaint()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert errors == []
