"""`upload-tui replay`: plays a recording in the dashboard."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upload_tui.cli.support.dashboard import require_terminal, run_dashboard
from upload_tui.cli.support.options import FilePath, NumberRange, effective_display_settings
from upload_tui.cli.support.preferences import dashboard_preferences
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.visits import visit_key
from upload_tui.errors import UsageError
from upload_tui.text import parse_duration, parse_moment

if TYPE_CHECKING:
    from upload_tui.monitor import RecordingHeader, RecordingLine, ReplaySession

__all__ = ["command"]


@click.command(
    help="Play the recording FILE in the dashboard: Space pauses, [ and ] set the speed, . and , step, g goes to a time."
)
@click.argument("file", type=FilePath())
@click.option("--speed", default=1.0, show_default=True, type=NumberRange(0.01, 10_000), help="Playback speed.")
@click.option("--from", "start", default="0", metavar="TIME", help="Start there: 90, 5m, 13:05, or a date and time.")
def command(file: Path, speed: float, start: str) -> int:
    """Play a recording in the dashboard."""
    from upload_tui.monitor import read_recording

    require_terminal()
    header, lines = read_recording(file)  # where a signal ends it: a pipe may be open for long
    return run_async(_replay(header, lines, speed, start))


async def _replay(header: "RecordingHeader", lines: "Sequence[RecordingLine]", speed: float, start: str) -> int:
    from upload_tui.monitor import ReplaySession
    from upload_tui.tui import UploadApp

    session = ReplaySession(header, lines, speed=speed)
    try:
        settings = effective_display_settings()
        session.seek(_start_time(start, session, settings.zone))
        preferences = dashboard_preferences(settings)
        return await run_dashboard(UploadApp(session, preferences=preferences, controls=session), visit_key([settings]))
    finally:
        session.close()


def _start_time(text: str, session: "ReplaySession", zone: tzinfo | None) -> datetime:
    """A time in a recording, given as the time since its beginning or as a time.

    Raises:
        UsageError: it is neither.
    """
    moment = f"+{text.strip()}" if parse_duration(text) is not None else text
    on = parse_moment(moment, session.began_on, zone, earliest=session.began_on, latest=session.ends_on)
    if on is None:
        raise UsageError(f"--from: {text} is not a time", "Use one like 90, 5m, 13:05 or 2026-03-14T13:05.")
    return on
