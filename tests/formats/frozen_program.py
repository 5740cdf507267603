"""Runs `upload-tui` with a frozen clock: the file `FROZEN_CLOCK` has the current time, in seconds after `NOW`."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from upload_tui.cli import main as run
from upload_tui.clock import SystemClock
from upload_tui.testing import NOW


def _now(_: SystemClock) -> datetime:
    return NOW + timedelta(seconds=float(Path(os.environ["FROZEN_CLOCK"]).read_text(encoding="utf-8")))


def _monotonic(_: SystemClock) -> float:
    return 0.0


def main() -> None:
    """Run the command line."""
    SystemClock.now = _now  # type: ignore[assignment, method-assign]
    SystemClock.monotonic = _monotonic  # type: ignore[assignment, method-assign]
    run()
