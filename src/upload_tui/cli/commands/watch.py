"""`upload-tui watch`: the dashboard over one or more services."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from upload_tui.cli.access.access import deferred_session
from upload_tui.cli.access.service import service_of
from upload_tui.cli.support.dashboard import require_terminal, run_dashboard
from upload_tui.cli.support.options import multi_service_options, settings_for_profiles
from upload_tui.cli.support.preferences import dashboard_preferences
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.user_commands import failure_hook
from upload_tui.cli.support.visits import record_visit, visit_key
from upload_tui.settings import Flags, ServiceSettings

if TYPE_CHECKING:
    from upload_tui.monitor import Session

__all__ = ["command"]


@click.command(help="Watch uploads in the dashboard; PROJECT is an id or a name.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@multi_service_options
def command(projects: Sequence[str] = (), *, flags: Sequence[Flags]) -> int:
    """Run the dashboard."""
    all_settings = settings_for_profiles([each.with_projects(projects) for each in flags])
    require_terminal()
    return run_async(_watch(all_settings))


async def _watch(all_settings: Sequence[ServiceSettings]) -> int:
    """Show cached state on the first frame; connect after it."""
    from upload_tui.clock import SystemClock
    from upload_tui.tui import UploadApp

    is_only_service = len(all_settings) == 1
    key, preferences = visit_key(all_settings), dashboard_preferences(*all_settings)
    on_failures = failure_hook({service_of(settings): settings for settings in all_settings})
    clock = SystemClock()
    with ExitStack() as stores:
        sessions = [
            deferred_session(settings, stores, clock, can_retry=not is_only_service) for settings in all_settings
        ]
        session = sessions[0] if is_only_service else _combined(sessions)
        async with record_visit(key, session) as last_visit:
            app = UploadApp(session, preferences=preferences, on_failures=on_failures, last_visit=last_visit)
            return await run_dashboard(app, key)


def _combined(sessions: "Sequence[Session]") -> "Session":
    from upload_tui.monitor import CombinedSession

    return CombinedSession(sessions)
