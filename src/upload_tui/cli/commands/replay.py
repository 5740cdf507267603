"""`upload-tui replay`: plays a recording in the dashboard, with pause, step and speed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upload_tui.cli.support.dashboard import require_terminal, run_dashboard
from upload_tui.cli.support.error_reporting import run_async
from upload_tui.cli.support.options import FilePath, effective_display_settings
from upload_tui.cli.support.preferences import dashboard_preferences

if TYPE_CHECKING:
    from upload_tui.monitor import ReplaySession
    from upload_tui.tui import Fault

__all__ = ["command"]


@click.command(help="Play the recording FILE in the dashboard: Space pauses, [ and ] change the speed, . steps.")
@click.argument("file", type=FilePath())
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.01, 10_000), help="Playback speed.")
@click.option(
    "--from", "from_seconds", default=0.0, type=click.FloatRange(0), help="Start this many seconds into the recording."
)
def command(file: Path, speed: float, from_seconds: float) -> int:
    """Play a recording in the dashboard."""
    require_terminal()
    return run_async(_replay(file, speed, from_seconds))


class ReplayControls:
    """The dashboard's playback controls; a recording has no faults and no new uploads."""

    def __init__(self, session: "ReplaySession") -> None:
        self._session = session

    @property
    def speed(self) -> float:
        """Seconds of the recording in a second."""
        return self._session.speed

    @property
    def faults(self) -> "Sequence[Fault]":
        """Always empty."""
        return ()

    @property
    def active_faults(self) -> Mapping[str, float]:
        """Always empty."""
        return {}

    def start_upload(self) -> None:
        """Do nothing."""

    def start_fault(self, fault_name: str) -> None:
        """Do nothing."""

    def slower(self) -> None:
        """Set the next lower speed."""
        self._session.slower()

    def faster(self) -> None:
        """Set the next higher speed."""
        self._session.faster()

    def step(self) -> None:
        """Advance to the next line."""
        self._session.step()


async def _replay(file: Path, speed: float, from_seconds: float) -> int:
    from datetime import timedelta

    from upload_tui.monitor import ReplaySession, read_recording
    from upload_tui.tui import UploadApp

    header, lines = read_recording(file)
    session = ReplaySession(header, lines, speed=speed)
    try:
        session.seek(header.began_on + timedelta(seconds=from_seconds))
        preferences = dashboard_preferences(effective_display_settings())
        return await run_dashboard(UploadApp(session, preferences=preferences, controls=ReplayControls(session)))
    finally:
        session.close()
