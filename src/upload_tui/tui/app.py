"""The dashboard as a Textual app: runs a session, shows it on screens and owns the keys that work everywhere."""

import asyncio
import gc
import os
import time
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.worker import Worker

from upload_tui.errors import InternalError, UploadTuiError, first_of_group
from upload_tui.monitor import LastVisit, Rewound, Session, counts_since
from upload_tui.tui.alerts import AlertNotifications, Alerts, alerts_text, desktop_notification
from upload_tui.tui.base_app import size_classes
from upload_tui.tui.bindings import APP_KEYS
from upload_tui.tui.bridge import Bridge, ChangeBatch
from upload_tui.tui.command_app import CommandApp, FailureHook
from upload_tui.tui.controls import PlaybackControls
from upload_tui.tui.preferences import Preferences, ScreenState
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.screens.session_screen import LiveScreen

__all__ = ["UploadApp"]


_ALERT_SECONDS = 5.0
"""Without changes, what became stuck is looked for this often."""
_ALERT_SHOWN_SECONDS = 8.0
_ALERT_PAUSE_SECONDS = 40.0
"""A notification of alerts may cover the footer's keys: most of the time none is shown, however often uploads fail."""
_ALERT_RECENT_SECONDS = 10.0
"""A notification is about what was found within this time; longer than `_ALERT_SECONDS`."""
_SESSION_END_SECONDS = 2.0
"""Longer than the command of a source gets to end."""


class UploadApp(CommandApp):
    """The dashboard.

    Args:
        session: what to show; the app runs it while it is open.
        controls: the controls of a demo or a replay; None for a service.
        preferences: the user's preferences; None means the defaults.
        on_failures: called with new failures of one service and cause; None does nothing.
        last_visit: the user's last visit; once the session is live, a summary of what happened since is shown. None shows none.
        update_interval_seconds: the shortest time between two updates of the screen.
    """

    TITLE = "upload-tui"
    BINDINGS: ClassVar[list[BindingType]] = list(APP_KEYS)

    def __init__(
        self,
        session: Session,
        *,
        controls: PlaybackControls | None = None,
        preferences: Preferences | None = None,
        on_failures: FailureHook | None = None,
        last_visit: LastVisit | None = None,
        update_interval_seconds: float = 0.1,
    ) -> None:
        super().__init__(session, preferences or Preferences(), controls, on_failures)
        self.failure: UploadTuiError | None = None
        self._dashboard: DashboardScreen | None = None
        self._alerts = Alerts(self._preferences.alerts, self._preferences.service_alerts)
        self._alert_notifications = AlertNotifications(_ALERT_PAUSE_SECONDS, _ALERT_RECENT_SECONDS)
        self._last_visit = last_visit
        self._was_live = False
        self._has_own_process = False
        self._bridge = Bridge(session, self._dispatch, update_interval_seconds)
        self._bridge_worker: Worker[None] | None = None

    def get_default_screen(self) -> DashboardScreen:
        """The dashboard."""
        dashboard = DashboardScreen(self.session, self._initial_display_options, self._preferences, self.controls)
        dashboard.set_classes(size_classes(self))
        self._dashboard = dashboard
        return dashboard

    @property
    def screen_state(self) -> ScreenState | None:
        """How the dashboard is, or was left; None if it was never shown."""
        return None if self._dashboard is None else self._dashboard.state

    def on_mount(self) -> None:
        """Start the session after the first frame."""
        self.call_after_refresh(self._start)  # the first frame comes before any work of the session
        self.set_interval(_ALERT_SECONDS, self._deliver_alerts)

    def watch_app_focus(self, focused: bool) -> None:
        """Pass on whether the terminal has the focus."""
        self.session.set_watched(is_watched=focused)

    @property
    def is_current(self) -> bool:
        """True while the session runs and the screen shows all its changes."""
        screen = self.screen
        return self._bridge.is_current and not (isinstance(screen, DashboardScreen) and screen.is_behind)

    def _start(self) -> None:
        self._has_painted = True
        if self._requested_exit is not None:
            self.exit(self._requested_exit)
            return
        self._has_own_process = not gc.isenabled()  # the command line disables collections until the first frame
        if self._has_own_process:
            gc.freeze()  # imported objects live as long as the process
            gc.enable()
        self._bridge_worker = self.run_worker(self._run_bridge(), name="bridge", exit_on_error=False)

    async def _run_bridge(self) -> None:
        """Run the session; an error of it ends the app, which keeps the error in `failure`."""
        try:
            await self._bridge.run()
        except* UploadTuiError as errors:
            self.failure = first_of_group(errors)
        except* Exception as errors:  # noqa: BLE001  # no caller is left to handle it
            self.failure = InternalError.from_exception(errors)
        if self.failure is not None:
            self.exit()  # the caller raises it

    async def wait_for_session(self) -> None:
        """Wait, once the app has ended, until its session has too: until then it needs its store.

        One that does not end in time is left to the event loop, which cancels each of its tasks.
        """
        if self._bridge_worker is not None:
            ending = asyncio.ensure_future(self._bridge_worker.wait())
            await asyncio.wait([ending], timeout=_SESSION_END_SECONDS)
            if ending.done():
                ending.exception()  # it was cancelled, or has reported its error

    def _dispatch(self, batch: ChangeBatch) -> None:
        if not any(isinstance(change, Rewound) for change in batch.changes):  # a replay that went back repeats failures
            self._alerts.add(batch.changes)
            self.queue_changes(batch.changes)
        self._deliver_alerts()
        connection = self.session.connection()
        if not self._was_live and (connection.is_live or connection.is_partly_live):
            self._was_live = True
            if self._has_own_process:
                gc.collect()
                gc.freeze()  # what the session has imported and read since the first frame
            self._show_summary()
        for screen in self.live_screens():  # another reads the session when it is mounted
            if isinstance(screen, LiveScreen):
                screen.apply_changes(batch.changes)

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        self._dispatch(ChangeBatch(()))

    def _deliver_alerts(self) -> None:
        """Show what was found, and send the alerts that are due where the settings say."""
        connection = self.session.connection()
        if connection.is_live or connection.is_partly_live:
            self._alerts.compare(self.session.picture)
        at = time.monotonic()
        self._alert_notifications.add(self._alerts.pop_found(), at)
        if due := self._alert_notifications.pop_due(at):
            severity: SeverityLevel = "error" if any(alert.is_failure for alert in due) else "warning"
            self.notify(alerts_text(due), severity=severity, timeout=_ALERT_SHOWN_SECONDS, markup=False)
        for alert in self._alerts.pop_due(self.session.picture.clock.now()):
            settings = self._alerts.settings_for(alert)
            if settings.bell:
                self.bell()
            if settings.desktop and self._driver is not None:
                self._driver.write(desktop_notification(alert.text, in_tmux="TMUX" in os.environ))
            self.run_on_failures(alert.failures)

    def _show_summary(self) -> None:
        if self._last_visit is not None:
            picture = self.session.picture
            summary = counts_since(picture, self._last_visit)
            self.notify(summary.text(picture.clock.now()), timeout=20, markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The commands of the palette."""
        from upload_tui.tui.command_palette import action_commands

        for title, description, run in action_commands(screen):
            yield SystemCommand(title, description, partial(self.call_later, run))
        if self._last_visit is not None:
            yield SystemCommand(
                "Since your last visit",
                "Count what failed, got stuck or overdue, is new, verified or gone",
                self._show_summary,
            )
        yield SystemCommand("Theme", "Choose a theme", self.action_change_theme)
