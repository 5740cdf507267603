"""Runs the dashboard on this terminal."""

import gc
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING

from upload_tui.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from upload_tui.tui import UploadApp

__all__ = ["require_terminal", "run_dashboard"]


def require_terminal() -> None:
    """Check that there is a terminal, and prepare the process for a fast first frame.

    Raises:
        UsageError: standard input or output is not a terminal.
    """
    has_driver = "TEXTUAL_DRIVER" in os.environ  # Textual then draws in a browser, for example
    if not has_driver and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("The dashboard needs a terminal", "Run it in one, without pipes.")
    if not has_driver:
        _correct_variables(os.environ)
    # Halves the time until the second message of a key press is painted, such as what a search finds. Textual reads this when it is
    # imported; an idle dashboard paints nothing.
    os.environ.setdefault("TEXTUAL_FPS", "120")
    # Imports make many objects that stay; garbage collections of them take a tenth of the start. The app enables it again.
    gc.disable()


def _correct_variables(environment: MutableMapping[str, str]) -> None:
    """Remove variables that Textual misreads: an empty NO_COLOR is not set, and the terminal knows its size best."""
    if not environment.get("NO_COLOR"):
        environment.pop("NO_COLOR", None)
    with suppress(OSError):
        size = os.get_terminal_size(sys.stdout.fileno())
        if size.columns and size.lines:
            environment.pop("COLUMNS", None)
            environment.pop("LINES", None)


async def run_dashboard(app: "UploadApp") -> int:
    """Run the dashboard until it ends; return the exit code.

    Raises:
        UploadTuiError: the error that ended the dashboard.
    """
    code = await app.run_async()
    if app.failure is not None:
        raise app.failure
    return EXIT_OK if code is None else code
