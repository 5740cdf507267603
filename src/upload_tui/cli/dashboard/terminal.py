"""Runs the dashboard on this terminal, and tells early if there is none."""

import gc
import os
import sys
from typing import TYPE_CHECKING

from upload_tui.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from upload_tui.tui import UploadApp

__all__ = ["require_terminal", "run_dashboard"]


def require_terminal() -> None:
    """Return if there is a screen to draw on and a keyboard to read; nothing is collected until the first frame is on it.

    Raises:
        UsageError: there is not.
    """
    is_elsewhere = "TEXTUAL_DRIVER" in os.environ  # in a browser, say: Textual draws where this says
    if not is_elsewhere and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("The dashboard needs a terminal", "Run it in one, without pipes.")
    # Of what one key brings in two messages, such as a letter and what is found by it, the second comes a frame later. Textual reads
    # this when it is imported, and paints no more than there is to paint.
    os.environ.setdefault("TEXTUAL_FPS", "120")
    # Importing makes many objects that stay: looking through them again and again takes a tenth of the start.
    gc.disable()


async def run_dashboard(app: "UploadApp") -> int:
    """Run the dashboard until the person leaves; gives the exit code.

    Raises:
        UploadTuiError: what made the dashboard end.
    """
    code = await app.run_async()
    if app.failure is not None:
        raise app.failure
    return EXIT_OK if code is None else code
