"""The dashboard as a Textual app: wires a session to its screens, and knows the keys that work everywhere."""

import gc
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import ClassVar, TypeVar

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette, Provider
from textual.filter import LineFilter
from textual.screen import Screen

from upload_tui.errors import InternalError, UploadTuiError
from upload_tui.monitor import LastVisit, Session, StageReached
from upload_tui.text import sanitize
from upload_tui.tui.alerts import Alerts, desktop_notification
from upload_tui.tui.appearance.ascii_filter import AsciiFilter
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import ASCII, glyphs_for
from upload_tui.tui.appearance.theme import THEMES, TOKEN_DEFAULTS, theme_for
from upload_tui.tui.bridge import Bridge
from upload_tui.tui.controls import DemoControls
from upload_tui.tui.keys.bindings import APP_KEYS, DEMO_ACTIONS, PLAYBACK_ACTIONS
from upload_tui.tui.keys.labels import key_label
from upload_tui.tui.messages import ChangeBatch, ColumnsChosen, ExportReady, ThemeChosen
from upload_tui.tui.preferences import Preferences
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.stylesheets import stylesheet_paths
from upload_tui.tui.visit_summary import summary_since

__all__ = ["FailureHook", "UploadApp"]

FailureHook = Callable[[Sequence[StageReached]], Coroutine[None, None, None]]
"""What else happens when uploads fail: a command of the person's, say."""


Choice = TypeVar("Choice")


def _action_commands() -> type[Provider]:
    from upload_tui.tui.palette import ActionCommands

    return ActionCommands


class UploadApp(App[int]):
    """The dashboard.

    Args:
        session: the picture to show; the app keeps it running while it is open.
        controls: the demo's controls; None where there is no story to meddle with.
        preferences: what the person wishes.
        on_failures: called when uploads fail, with the failures of one cause; None does nothing.
        last_visit: when this person last looked; what happened since is told once the picture is whole. None says nothing.
        update_interval_seconds: the shortest time between two paintings of what the session told.
    """

    TITLE = "upload-tui"
    # Textual declares these two without ClassVar's reach, so they stay unannotated.
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (50, "-narrow"), (80, "-middle"), (100, "-wide"), (116, "-broad")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-low"), (20, "-short"), (24, "-tall"), (36, "-high")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = list(APP_KEYS)
    COMMANDS = {_action_commands}  # noqa: RUF012

    def __init__(
        self,
        session: Session,
        *,
        controls: DemoControls | None = None,
        preferences: Preferences | None = None,
        on_failures: FailureHook | None = None,
        last_visit: LastVisit | None = None,
        update_interval_seconds: float = 0.1,
    ) -> None:
        wishes = preferences or Preferences()
        # Without this, Textual greys its colours rather than leaving them out, and the terminal's own become black on black.
        super().__init__(
            css_path=[*stylesheet_paths(), *wishes.stylesheets], ansi_color="NO_COLOR" in os.environ or None
        )
        self.session = session
        self.controls = controls
        self.failure: UploadTuiError | None = None
        self._preferences = wishes
        self._update_interval_seconds = update_interval_seconds
        self._initial_display_options = wishes.display_options or DisplayOptions(glyphs_for(sys.stdout.encoding))
        self._is_shown = False
        self._ascii_filters = (AsciiFilter(),) if self._initial_display_options.glyphs is ASCII else ()
        self._alerts = Alerts(wishes.alerts)
        self._on_failures = on_failures
        self._last_visit = last_visit
        self._is_summary_shown = last_visit is None
        for theme in (*THEMES, *wishes.themes):
            self.register_theme(theme)
        self.theme = wishes.theme or theme_for(
            self.console.color_system, no_color=self.no_color, saved=wishes.saved_theme
        )
        # Else the sheets are parsed for Textual's own theme first.
        self.stylesheet.set_variables(self.get_css_variables())
        if not wishes.is_animated:
            self.animation_level = "none"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(TOKEN_DEFAULTS)

    def refresh_css(self, animate: bool = True) -> None:
        if self._is_shown:  # until then the sheets were just read, with the theme's own colours
            super().refresh_css(animate=animate)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._ascii_filters]

    def get_key_display(self, binding: Binding) -> str:
        label = binding.key_display or key_label(binding.key, is_ascii=bool(self._ascii_filters))
        return super().get_key_display(binding) if label == binding.key else label

    def get_default_screen(self) -> DashboardScreen:
        dashboard = DashboardScreen(self.session, self._initial_display_options, self.controls)
        # Textual sets these after the first layout, and then styles and lays out everything again.
        dashboard.set_classes(
            [
                _class_at(self.size.width, self.HORIZONTAL_BREAKPOINTS),
                _class_at(self.size.height, self.VERTICAL_BREAKPOINTS),
            ]
        )
        return dashboard

    def on_mount(self) -> None:
        self.set_class(self._initial_display_options.glyphs is ASCII, "-ascii")
        self.set_keymap(dict(self._preferences.keymap))
        bridge = Bridge(self.session, self._dispatch, self._update_interval_seconds)
        # After the first frame, so that nothing the session does comes before it.
        self.call_after_refresh(self._start, bridge)
        self.set_interval(1.0, self._deliver_alerts)

    def watch_app_focus(self, focused: bool) -> None:
        self.session.set_watched(is_watched=focused)

    def on_resize(self) -> None:
        # After a storm of sizes the last one may be the first: nothing has changed then but what the terminal has forgotten.
        self.call_after_refresh(self.screen.refresh)

    def _start(self, bridge: Bridge) -> None:
        self._is_shown = True
        gc.freeze()  # what was imported stays
        gc.enable()
        self.run_worker(self._run_bridge(bridge), name="bridge", exit_on_error=False)

    async def _run_bridge(self, bridge: Bridge) -> None:
        """The last line of defence: whatever ends the session ends the dashboard with a sentence."""
        try:
            await bridge.run()
        except* UploadTuiError as errors:
            self.failure = _first_error(errors)
        except* Exception as errors:  # noqa: BLE001  # nobody is above us to tell
            self.failure = InternalError.from_exception(errors)
        if self.failure is not None:
            self.exit(self.failure.exit_code)

    def _dispatch(self, batch: ChangeBatch) -> None:
        self._alerts.add(batch.changes)
        self._deliver_alerts()
        self._show_summary_once()
        for screen in self.screen_stack:
            take = getattr(screen, "take", None)
            if take is not None:
                take(batch.changes)

    def _deliver_alerts(self) -> None:
        """Tell what is due, each in the ways that the person wished for."""
        for alert in self._alerts.due(self.session.now()):
            self._dashboard.show_alert(alert)
            if self._alerts.settings.bell:
                self.bell()
            if self._alerts.settings.desktop and self._driver is not None:
                self._driver.write(desktop_notification(alert.text, in_tmux="TMUX" in os.environ))
            if self._on_failures is not None:
                self.run_worker(self._on_failures(alert.failures), group="on failures", exit_on_error=False)

    def _show_summary_once(self) -> None:
        """Once, when the picture is whole for the first time."""
        if not self._is_summary_shown and self.session.connection().is_live:
            self._is_summary_shown = True
            self._show_summary()

    def _show_summary(self) -> None:
        if self._last_visit is not None:
            news = summary_since(self.session, self._last_visit)
            self.notify(news.text(self.session.now()), timeout=20, markup=False)

    @property
    def _dashboard(self) -> DashboardScreen:
        dashboard = self.screen_stack[0]
        assert isinstance(dashboard, DashboardScreen)  # noqa: S101  # it is the default screen, and never popped
        return dashboard

    @on(ColumnsChosen)
    def save_columns(self, message: ColumnsChosen) -> None:
        self._save(self._preferences.save_columns, message.columns)

    @on(ThemeChosen)
    def change_theme(self, message: ThemeChosen) -> None:
        self.theme = message.theme
        self._save(self._preferences.save_theme, message.theme)

    def _save(self, save: Callable[[Choice], None] | None, choice: Choice) -> None:
        if save is None:
            return
        try:
            save(choice)
        except UploadTuiError as error:
            self.notify(sanitize(f"{error.title}. {error.hint}"), severity="warning", markup=False)

    @on(ExportReady)
    def deliver_export(self, message: ExportReady) -> None:
        self.deliver_text(
            message.text, save_directory=self._preferences.export_folder, save_filename=message.file_name, name="export"
        )

    @on(events.DeliveryComplete)
    def notify_export_delivered(self, event: events.DeliveryComplete) -> None:
        self.notify(sanitize(f"Wrote {event.path}" if event.path else "Exported"), markup=False)

    @on(events.DeliveryFailed)
    def notify_export_failed(self, event: events.DeliveryFailed) -> None:
        self.notify(sanitize(f"Not exported: {event.exception}"), severity="error", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        from upload_tui.tui.palette import action_commands

        for title, does, act in action_commands(screen):
            yield SystemCommand(title, does, partial(self.call_later, act))
        if self._last_visit is not None:
            yield SystemCommand(
                "Since you last looked", "What is new, verified, failed and overdue since", self._show_summary
            )
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)

    def search_themes(self) -> None:
        from upload_tui.tui.palette import ThemeCommands

        self.push_screen(CommandPalette(providers=[ThemeCommands], placeholder="Search for themes"))

    def action_help(self) -> None:
        from upload_tui.tui.keys.help_text import key_helps
        from upload_tui.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(key_helps(self.screen)))

    def action_leave(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.exit(0)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in DEMO_ACTIONS:
            return self.controls is not None and bool(self.controls.faults)
        return self.controls is not None if action in PLAYBACK_ACTIONS else True

    def action_start_upload(self) -> None:
        if self.controls is not None:
            self.controls.start_upload()

    def action_break_something(self) -> None:
        from upload_tui.tui.screens.menu import MenuScreen, fault_menu

        if self.controls is not None and not isinstance(self.screen, MenuScreen):
            self.push_screen(fault_menu(self.controls.faults), self._start_fault)

    def _start_fault(self, fault_name: str | None) -> None:
        if self.controls is not None and fault_name is not None:
            self.controls.start_fault(fault_name)
            self._dispatch(ChangeBatch(()))

    def action_slower(self) -> None:
        if self.controls is not None:
            self.controls.slower()
            self._dispatch(ChangeBatch(()))

    def action_faster(self) -> None:
        if self.controls is not None:
            self.controls.faster()
            self._dispatch(ChangeBatch(()))

    def action_step(self) -> None:
        if self.controls is not None:
            self.controls.step()

    def action_copy_selection(self) -> None:
        text = self.screen.get_selected_text()
        if text:
            self.copy_to_clipboard(text)
        else:
            self.notify("Press q to quit.", timeout=3)


def _first_error(errors: BaseExceptionGroup[UploadTuiError]) -> UploadTuiError:
    first = errors.exceptions[0]
    return _first_error(first) if isinstance(first, BaseExceptionGroup) else first


def _class_at(cells: int, breakpoints: Sequence[tuple[int, str]]) -> str:
    return next(name for at_least, name in reversed(breakpoints) if cells >= at_least)
