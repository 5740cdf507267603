"""Runs the dashboard on this terminal."""

import gc
import os
import sys
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
    # Halves the time until the second message of a key press is painted, such as what a search finds. Textual reads this when it is
    # imported; an idle dashboard paints nothing.
    os.environ.setdefault("TEXTUAL_FPS", "120")
    # Imports make many objects that stay; garbage collections of them take a tenth of the start. The app enables it again.
    gc.disable()


async def run_dashboard(app: "UploadApp") -> int:
    """Run the dashboard until it ends; return the exit code.

    Raises:
        UploadTuiError: the error that ended the dashboard.
    """
    code = await app.run_async()
    if app.failure is not None:
        raise app.failure
    return EXIT_OK if code is None else code
