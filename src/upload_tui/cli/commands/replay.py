"""`upload-tui replay`: a journal in the dashboard, with pause, step and speed."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upload_tui.cli.dashboard.preferences import dashboard_preferences
from upload_tui.cli.dashboard.terminal import require_terminal, run_dashboard
from upload_tui.cli.support.service import effective_display_settings

if TYPE_CHECKING:
    from upload_tui.monitor import ReplaySession
    from upload_tui.tui import Fault

__all__ = ["command"]


@click.command(help="Replay a recorded FILE in the dashboard: Space holds it, [ and ] change its pace, . steps.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(0.01, 10_000), help="Seconds in a second."
)
@click.option("--from", "from_seconds", default=0.0, type=click.FloatRange(0), help="Begin so many seconds later.")
def command(file: Path, speed: float, from_seconds: float) -> int:
    """Replay in the dashboard."""
    require_terminal()
    return asyncio.run(_replay(file, speed, from_seconds))


class ReplayControls:
    """The dashboard's keys for pace and step, over a replay; nothing in a journal can be broken."""

    def __init__(self, session: "ReplaySession") -> None:
        self._session = session

    @property
    def speed(self) -> float:
        """Seconds of the journal in a second."""
        return self._session.speed

    @property
    def faults(self) -> "Sequence[Fault]":
        """None."""
        return ()

    @property
    def active_faults(self) -> Mapping[str, float]:
        """None."""
        return {}

    def start_upload(self) -> None:
        """What was not recorded cannot begin."""

    def start_fault(self, fault_name: str) -> None:
        """Nothing can be broken."""

    def slower(self) -> None:
        """The next slower pace."""
        self._session.slower()

    def faster(self) -> None:
        """The next faster pace."""
        self._session.faster()

    def step(self) -> None:
        """To the next line."""
        self._session.step()


async def _replay(file: Path, speed: float, from_seconds: float) -> int:
    from datetime import timedelta

    from upload_tui.monitor import ReplaySession, read_recording
    from upload_tui.tui import UploadApp

    header, lines = read_recording(file)
    session = ReplaySession(header, lines, speed=speed)
    try:
        session.seek(header.began_on + timedelta(seconds=from_seconds))
        wishes = dashboard_preferences(effective_display_settings())
        return await run_dashboard(UploadApp(session, preferences=wishes, controls=ReplayControls(session)))
    finally:
        session.close()
