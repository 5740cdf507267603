"""`upload-tui replay`: plays a recording in the dashboard, with pause, step and speed."""

from pathlib import Path

import click

from upload_tui.cli.support.dashboard import require_terminal, run_dashboard
from upload_tui.cli.support.error_reporting import run_async
from upload_tui.cli.support.options import FilePath, effective_display_settings
from upload_tui.cli.support.preferences import dashboard_preferences

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


async def _replay(file: Path, speed: float, from_seconds: float) -> int:
    from datetime import timedelta

    from upload_tui.monitor import ReplaySession, read_recording
    from upload_tui.tui import UploadApp

    header, lines = read_recording(file)
    session = ReplaySession(header, lines, speed=speed)
    try:
        session.seek(header.began_on + timedelta(seconds=from_seconds))
        settings = effective_display_settings()
        preferences = dashboard_preferences(settings)
        return await run_dashboard(UploadApp(session, preferences=preferences, controls=session), settings)
    finally:
        session.close()
