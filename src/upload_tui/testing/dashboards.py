"""The dashboard for tests: a Textual app that looks the same on every machine.

Only this module of the kit and the gallery import textual.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, TypeVar

from textual.app import App
from textual.filter import ANSIToTruecolor, LineFilter
from textual.pilot import Pilot
from textual.widget import Widget

from upload_tui.monitor import LastVisit, Session
from upload_tui.testing.scene import Scene
from upload_tui.testing.service import UploadService
from upload_tui.testing.sessions import InMemorySession, ManualSession
from upload_tui.tui import (
    ASCII,
    DEFAULT_THEME,
    UNICODE,
    AsciiFilter,
    DisplayOptions,
    PlaybackControls,
    Preferences,
    UploadApp,
)

__all__ = ["SnapshotApp", "Source", "dashboard", "deterministic", "settled"]

Source = Session | UploadService | Scene | Iterable[Mapping[str, Any]]
"""What a dashboard can show."""

AnyApp = TypeVar("AnyApp", bound=App[Any])


def deterministic(app: AnyApp) -> AnyApp:
    """Turn off what makes two pictures of an app differ: animations, and the effect of `NO_COLOR`. Call it before the app runs.

    It is for other apps: those of `dashboard` are deterministic already.

    >>> from textual.app import App
    >>> from upload_tui.testing import deterministic
    >>> deterministic(App()).animation_level
    'none'
    """

    def filters() -> Sequence[LineFilter]:
        ascii_filters = [each for each in type(app).get_line_filters(app) if isinstance(each, AsciiFilter)]
        return ascii_filters if app.native_ansi_color else [ANSIToTruecolor(app.ansi_theme), *ascii_filters]

    app.animation_level = "none"
    app.no_color = False
    app.ansi_color = None
    app.get_line_filters = filters  # type: ignore[method-assign]  # an app has no other public way to set its filters
    return app


class SnapshotApp(UploadApp):
    """The dashboard, deterministic: it also paints each change at once.

    Args:
        session: what it shows.
        owns_session: close the session with the app.
        options: further arguments of `UploadApp`.
    """

    def __init__(self, session: Session, *, owns_session: bool, **options: Any) -> None:
        super().__init__(session, update_interval_seconds=0, **options)
        self._owns_session = owns_session
        deterministic(self)

    def on_unmount(self) -> None:
        """Close the session if it belongs to this app."""
        if self._owns_session and isinstance(self.session, InMemorySession | ManualSession):
            self.session.close()


def dashboard(  # noqa: PLR0913  # all keyword-only, all optional
    source: Source = (),
    *,
    theme: str = DEFAULT_THEME,
    ascii_only: bool = False,
    zone: tzinfo = UTC,
    display_options: DisplayOptions | None = None,
    keymap: dict[str, str] | None = None,
    controls: PlaybackControls | None = None,
    last_visit: LastVisit | None = None,
    preferences: Preferences | None = None,
) -> UploadApp:
    """Make a dashboard for `run_test` and `snap_compare`.

    Args:
        source: what it shows: upload resources; a session, which the caller closes; a service, which is polled when the app
            starts, when `r` is pressed and in `settled`; or a scene, which is played first.
        theme: the name of a theme.
        ascii_only: use plain ASCII.
        zone: the time zone of absolute times.
        display_options: replaces `ascii_only` and `zone`.
        keymap: keys by action id, in place of the default ones.
        controls: controls of a demo or a replay.
        last_visit: the previous visit, for the summary of what happened since.
        preferences: replaces `theme`, `ascii_only`, `zone`, `display_options` and `keymap`.

    >>> import asyncio
    >>> from upload_tui.testing import an_upload, dashboard
    >>> async def press_keys():
    ...     app = dashboard([an_upload("scan.tiff"), an_upload("plate.czi", initiated=300)])
    ...     async with app.run_test(size=(120, 40)) as pilot:
    ...         await pilot.press("j")
    ...         return app.session.picture.detail(*app.screen.selected).upload.name
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
    """Poll the service once if there is one, and wait until the screen is current; also for `run_before` of `snap_compare`.

    >>> import asyncio
    >>> from upload_tui.testing import UploadService, dashboard, settled
    >>> async def upload_while_watching():
    ...     async with UploadService() as service:
    ...         app = dashboard(service)
    ...         async with app.run_test(size=(120, 40)) as pilot:
    ...             await service.upload("scan.tiff")
    ...             await settled(pilot)
    ...             return [row.name for row in app.session.picture.pending(10)]
    >>> asyncio.run(upload_while_watching())
    ['scan.tiff']
    """
    app = pilot.app
    if isinstance(app, UploadApp):
        await _caught_up(pilot, app)  # changes that are published before the app subscribes are lost
        if isinstance(app.session, ManualSession):
            await app.session.poll()
            await _caught_up(pilot, app)
    await _laid_out(pilot)
    await pilot.pause()


async def _caught_up(pilot: Pilot[Any], app: UploadApp) -> None:
    """Wait until the screen shows every change of the session."""
    while app.is_running and not app.is_current:
        await pilot.pause()


async def _laid_out(pilot: Pilot[Any]) -> None:
    """Wait until no widget has a message left, and none moves or scrolls."""
    before: object = None
    while pilot.app.is_running:
        widgets = pilot.app.screen.walk_children(Widget, with_self=True)
        layout = [(id(widget), widget.region, widget.virtual_size, widget.scroll_offset) for widget in widgets]
        if layout == before and not any(widget.message_queue_size for widget in widgets):
            return
        before = layout
        await pilot.pause(0)
