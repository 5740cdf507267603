"""The dashboard for tests: a Textual app over anything that has uploads, the same on every machine.

The only module of the kit, with the gallery, that imports the dashboard.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, TypeVar

from textual.app import App
from textual.filter import ANSIToTruecolor, LineFilter
from textual.pilot import Pilot
from textual.widgets import Input

from upload_tui.monitor import LastVisit, Session
from upload_tui.testing.scene import Scene
from upload_tui.testing.service import UploadService
from upload_tui.testing.sessions import InMemorySession, ManualSession
from upload_tui.tui import (
    ASCII,
    DEFAULT_THEME,
    UNICODE,
    AsciiFilter,
    DemoControls,
    DisplayOptions,
    Preferences,
    UploadApp,
)

__all__ = ["Source", "SnapshotApp", "dashboard", "settled", "deterministic"]

Source = Session | UploadService | Scene | Iterable[Mapping[str, Any]]
"""What a dashboard can be shown over."""

AnyApp = TypeVar("AnyApp", bound=App[Any])


def deterministic(app: AnyApp) -> AnyApp:
    """Take from an app what makes two pictures of one thing differ: animation, and the machine's wish for no colours (`NO_COLOR`).

    `dashboard` gives apps that are still; this is for apps of one's own, before they run.

    >>> from textual.app import App
    >>> from upload_tui.testing import deterministic
    >>> deterministic(App()).animation_level
    'none'
    """

    def colours_alone() -> Sequence[LineFilter]:
        signs = [each for each in type(app).get_line_filters(app) if isinstance(each, AsciiFilter)]
        return signs if app.native_ansi_color else [ANSIToTruecolor(app.ansi_theme), *signs]

    app.animation_level = "none"
    app.no_color = False
    app.ansi_color = None
    app.get_line_filters = colours_alone  # type: ignore[method-assign]  # the one public way to what an app's filters are
    return app


class SnapshotApp(UploadApp):
    """The dashboard, still: also without a cursor that blinks, and without waits between two paintings.

    Args:
        session: as for any dashboard.
        owns_session: whether the session is closed with the app.
        options: what else `UploadApp` takes.
    """

    def __init__(self, session: Session, *, owns_session: bool, **options: Any) -> None:
        super().__init__(session, update_interval_seconds=0, **options)
        self._owns_session = owns_session
        deterministic(self)

    def on_ready(self) -> None:
        """Keep the cursor of the search still."""
        for line in self.screen.query(Input):
            line.cursor_blink = False

    def on_unmount(self) -> None:
        """Close what was opened for this app alone."""
        if self._owns_session and isinstance(self.session, InMemorySession | ManualSession):
            self.session.close()


def dashboard(  # noqa: PLR0913  # all of it by keyword, none of it needed
    source: Source = (),
    *,
    theme: str = DEFAULT_THEME,
    ascii_only: bool = False,
    zone: tzinfo = UTC,
    display_options: DisplayOptions | None = None,
    keymap: dict[str, str] | None = None,
    controls: DemoControls | None = None,
    last_visit: LastVisit | None = None,
    preferences: Preferences | None = None,
) -> UploadApp:
    """The dashboard, for `run_test` and `snap_compare`.

    Args:
        source: what it shows: upload resources, a session, a service that is watched (the app looks when it starts, when `r` is
            pressed, and when a test awaits `settled`), or a scene, which is played first. A session that is handed in is closed by
            whoever made it, all others with the app.
        theme: the name of a theme.
        ascii_only: draw with plain ASCII.
        zone: the time zone of absolute times.
        display_options: in place of the two before it.
        keymap: other keys for actions.
        controls: the demo's controls.
        last_visit: when this person last looked.
        preferences: in place of the theme, the look and the keys before it.

    >>> import asyncio
    >>> from upload_tui.testing import an_upload, dashboard
    >>> async def press_keys():
    ...     app = dashboard([an_upload("scan.tiff"), an_upload("plate.czi", initiated=300)])
    ...     async with app.run_test(size=(120, 40)) as pilot:
    ...         await pilot.press("j")
    ...         return app.session.detail(app.screen.selected_id).upload.name
    >>> asyncio.run(press_keys())
    'plate.czi'
    """
    session = _session_of(source)
    return SnapshotApp(
        session,
        owns_session=session is not source,
        controls=controls,
        last_visit=last_visit,
        preferences=preferences
        or Preferences(
            display_options=display_options or DisplayOptions(glyphs=ASCII if ascii_only else UNICODE, zone=zone),
            theme=theme,
            keymap=keymap or {},
        ),
    )


def _session_of(source: Source) -> Session:
    if isinstance(source, Scene):
        return source.play_sync()
    if isinstance(source, UploadService):
        return ManualSession(source)
    if isinstance(source, Iterable):
        return InMemorySession(source)
    return source


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until all that the service says is on the screen; for `run_before` of `snap_compare`, and between two steps of a test.

    >>> import asyncio
    >>> from upload_tui.testing import UploadService, dashboard, settled
    >>> async def upload_while_watching():
    ...     async with UploadService() as service:
    ...         app = dashboard(service)
    ...         async with app.run_test(size=(120, 40)) as pilot:
    ...             await service.upload("scan.tiff")
    ...             await settled(pilot)
    ...             return [row.name for row in app.session.pending(10)]
    >>> asyncio.run(upload_while_watching())
    ['scan.tiff']
    """
    session = pilot.app.session if isinstance(pilot.app, UploadApp) else None
    if isinstance(session, InMemorySession | ManualSession):
        while pilot.app.is_running and not session.has_subscribers:  # a slow machine's dashboard begins to listen later
            await pilot.pause()
    if isinstance(session, ManualSession):
        await pilot.pause()
        await session.poll()
    await pilot.pause()
