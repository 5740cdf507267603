"""`upload-tui replay`: a journal in the dashboard, with pause, step and speed."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upload_tui.cli.connecting import looks_in_force
from upload_tui.cli.preferences import preferences
from upload_tui.cli.screen import need_terminal, show

if TYPE_CHECKING:
    from upload_tui.monitor.replay_session import ReplaySession
    from upload_tui.tui.story import Fault

__all__ = ["command"]


@click.command(help="Replay a recorded FILE in the dashboard: Space holds it, [ and ] change its pace, . steps.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(0.01, 10_000), help="Seconds in a second."
)
@click.option("--from", "from_seconds", default=0.0, type=click.FloatRange(0), help="Begin so many seconds later.")
def command(file: Path, speed: float, from_seconds: float) -> int:
    """Replay in the dashboard."""
    need_terminal()
    return asyncio.run(_replay(file, speed, from_seconds))


class ReplayStory:
    """The dashboard's keys for pace and step, over a replay; nothing in a journal can be broken."""

    def __init__(self, session: "ReplaySession") -> None:
        self._session = session

    @property
    def pace(self) -> float:
        """Seconds of the journal in a second."""
        return self._session.pace

    @property
    def faults(self) -> "Sequence[Fault]":
        """None."""
        return ()

    @property
    def broken(self) -> Mapping[str, float]:
        """None."""
        return {}

    def start_upload(self) -> None:
        """What was not recorded cannot begin."""

    def break_something(self, fault_name: str) -> None:
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

    from upload_tui.monitor.journal import read_journal
    from upload_tui.monitor.replay_session import ReplaySession
    from upload_tui.tui.app import UploadApp

    header, lines = read_journal(file)
    session = ReplaySession(header, lines, pace=speed)
    try:
        session.seek(header.began_on + timedelta(seconds=from_seconds))
        wishes = preferences(looks_in_force())
        return await show(UploadApp(session, preferences=wishes, story=ReplayStory(session)))
    finally:
        session.close()
