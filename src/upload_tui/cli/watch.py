"""`upload-tui watch`: the dashboard over a service."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from upload_tui.cli.connecting import client_for, open_store, service_options, settings_in_force
from upload_tui.cli.screen import need_terminal, show
from upload_tui.cli.visits import projects_to_watch
from upload_tui.errors import SettingsError
from upload_tui.settings import Flags, ServiceSettings

if TYPE_CHECKING:
    from upload_tui.tui.look import Look

__all__ = ["command"]


@click.command(help="Watch the uploads of projects in the dashboard; PROJECT is an id or a name.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@service_options
def command(projects: Sequence[str] = (), *, flags: Flags) -> int:
    """Run the dashboard."""
    settings = settings_in_force(replace(flags, projects=(*projects, *flags.projects)))
    need_terminal()
    return asyncio.run(_watch(settings))


async def _watch(settings: ServiceSettings) -> int:
    from upload_tui.clock import SystemClock
    from upload_tui.monitor.live_session import LiveSession
    from upload_tui.monitor.schedule import Schedule
    from upload_tui.tui.app import UploadApp
    from upload_tui.tui.theme import DEFAULT_THEME

    look = _look(settings)
    store = open_store(settings)
    try:
        async with client_for(settings) as client:
            session = LiveSession(
                client,
                await projects_to_watch(client, store, settings),
                store,
                clock=SystemClock(),
                title=settings.profile or urlsplit(client.root).netloc.rpartition("@")[2],
                schedule=Schedule(shortest_seconds=settings.refresh_seconds),
                stuck_after_seconds=settings.stuck_after_seconds,
            )
            app = UploadApp(session, look=look, theme=settings.theme or DEFAULT_THEME, keymap=dict(settings.keys))
            return await show(app)
    finally:
        store.close()


def _look(settings: ServiceSettings) -> "Look":
    """How facts are written, as far as the settings say.

    Raises:
        SettingsError: they name a column or an action that is none.
    """
    from upload_tui.tui.bindings import APP_KEYS, DASHBOARD_KEYS, TABLE_KEYS
    from upload_tui.tui.columns import read_wishes
    from upload_tui.tui.glyphs import glyphs_for
    from upload_tui.tui.look import Look

    actions = [str(binding.id) for binding in (*TABLE_KEYS, *DASHBOARD_KEYS, *APP_KEYS)]
    for action in settings.keys:
        if action not in actions:
            nearest = get_close_matches(action, actions, n=1)
            mend = f"Did you mean {nearest[0]}?" if nearest else f"Known are: {', '.join(actions)}."
            raise SettingsError(f"{settings.sources['keys']}: keys names the unknown action {action}", mend)
    return Look(glyphs_for(sys.stdout.encoding), zone=settings.zone, columns=read_wishes(settings.columns))
