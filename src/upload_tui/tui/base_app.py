"""The part of the app that needs no session: stylesheets, themes, keys, help, command palette, saved files, notifications."""

import asyncio
import errno
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from rich.segment import Segment, Segments
from textual import events, on
from textual._context import active_message_pump
from textual.app import App, ScreenStackError
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.command import Provider
from textual.content import Content
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.filter import LineFilter
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkerFailed, get_current_worker

from upload_tui.errors import UploadTuiError
from upload_tui.files import working_folder, write_private_file
from upload_tui.text import sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import ASCII, AsciiFilter, glyphs_for
from upload_tui.tui.appearance.theme import (
    THEMES,
    TOKEN_DEFAULTS,
    complete_stylesheet,
    stylesheet_paths,
    theme_for,
)
from upload_tui.tui.bindings import key_label
from upload_tui.tui.bridge import ColumnsChosen, ExportReady, ThemeChosen, ViewsChanged
from upload_tui.tui.fitting import truncate_at_word
from upload_tui.tui.key_queue import KeyQueueApp
from upload_tui.tui.preferences import Preferences

__all__ = ["BaseApp", "size_classes"]

Choice = TypeVar("Choice")


def _action_commands() -> type[Provider]:
    from upload_tui.tui.command_palette import ActionCommands

    return ActionCommands


class ExportApp(App[int]):
    """Writes exports to files."""

    _preferences: Preferences

    @on(ExportReady)
    def deliver_export(self, message: ExportReady) -> None:
        """Save an export, on the web as a download."""
        if self.is_web:
            self.deliver_text(message.text, save_filename=message.file_name, name="export")
        else:
            self.run_worker(self._save_export(message), group="save export")

    async def _save_export(self, message: ExportReady) -> None:
        """Write an export to a file that only its owner can read; if that fails, there is no file."""
        folder = self._preferences.export_folder or working_folder()
        try:
            if not folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
            await asyncio.to_thread(lambda: write_private_file(folder / message.file_name, message.text.read()))
        except (OSError, ValueError) as error:
            self._notify_failed_export(error)
        else:
            self.notify(sanitize(f"Exported to {folder / message.file_name}"), markup=False)

    def _notify_failed_export(self, error: BaseException) -> None:
        """Show why an export failed."""
        self.notify(sanitize(f"Export failed: {error}"), severity="error", markup=False)

    @on(events.DeliveryComplete)
    def notify_export_delivered(self) -> None:
        """Show that the browser has an export."""
        self.notify("Exported")

    @on(events.DeliveryFailed)
    def notify_export_failed(self, event: events.DeliveryFailed) -> None:
        """Show why the browser does not get an export."""
        self._notify_failed_export(event.exception)


def size_classes(app: App[Any]) -> list[str]:
    """The breakpoint classes of the present size.

    Textual sets them on a screen after its first layout, and then lays it out again. A screen that has them from the start
    is laid out once.
    """
    return [
        _class_at(app.size.width, app.HORIZONTAL_BREAKPOINTS or []),
        _class_at(app.size.height, app.VERTICAL_BREAKPOINTS or []),
    ]


_TOAST_FRAME_CELLS = 3
"""The cells of a notification's line that its text cannot use."""


class NotificationApp(App[int]):
    """Shows only the last notification, in as many lines as the screen has for it: they cover nothing but a border and the footer."""

    _notification: tuple[str, dict[str, Any]] | None = None
    """The notification that is to be shown, then is shown."""
    _fitted_to: tuple[int, int] | None = None
    """The width and the number of lines that its text was shortened to; None before it is shown."""

    def notify(self, message: str, **options: Any) -> None:
        """Show a notification in place of an earlier one."""
        self._notification, self._fitted_to = (message, options), None
        self.call_later(self._show_notification)

    def _show_notification(self) -> None:
        if self._notification is None or self._fitted_to is not None or not self.is_running:
            return  # another one came at once, or the app is ending
        message, options = self._notification
        self.clear_notifications()
        for screen in self.screen_stack:
            for holder in screen.query("ToastHolder"):
                holder.remove()  # Textual empties it only, and it keeps a height
            screen.screen_layout_refresh_signal.unsubscribe(self)
            screen.screen_layout_refresh_signal.subscribe(self, self._fit_notification)
        width, count = self._fitted_to = self._notification_room()
        lines = [line.plain for line in Content(message).wrap(width)]
        if len(lines) > count:
            lines[count - 1 :] = [truncate_at_word(" ".join(lines[count - 1 :]), width)]
            message = "\n".join(lines)
        super().notify(message, **options)

    def _notification_room(self) -> tuple[int, int]:
        """The width of a notification's text, and how many lines the screen shows of it."""
        heights = (rack.styles.height for rack in self.screen.query("ToastRack"))
        lines = next((int(height.value) for height in heights if height is not None), 2)
        return max(1, self.size.width - _TOAST_FRAME_CELLS), lines

    def _fit_notification(self, _screen: Screen[Any]) -> None:
        """Shorten the text anew if a new layout has another room for it."""
        left = [notification.time_left for notification in self._notifications]
        if self._notification is not None and left and self._fitted_to not in {None, self._notification_room()}:
            message, options = self._notification
            self.notify(message, **{**options, "timeout": left[-1]})


class BaseApp(NotificationApp, ExportApp, KeyQueueApp):
    """An app that follows the user's preferences, and saves the theme and the columns that the user chooses.

    Args:
        preferences: the user's preferences.
    """

    # Textual declares these three without ClassVar, so they stay unannotated.
    COMMANDS = {_action_commands}  # noqa: RUF012
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (50, "-narrow"), (80, "-middle"), (100, "-wide"), (116, "-broad")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-low"), (20, "-short"), (24, "-tall"), (36, "-high")]  # noqa: RUF012

    def __init__(self, preferences: Preferences) -> None:
        # Without this, NO_COLOR makes Textual paint greys, and the terminal's own colours black on black.
        super().__init__(
            css_path=[*stylesheet_paths()[:-1], *preferences.stylesheets],
            ansi_color="NO_COLOR" in os.environ or None,
        )
        self._preferences = preferences
        self._initial_display_options = preferences.display_options or DisplayOptions(glyphs_for(sys.stdout.encoding))
        self._is_ascii = self._initial_display_options.glyphs is ASCII
        self._has_painted = False
        self._requested_exit: int | None = None
        for theme in (*THEMES, *preferences.themes):
            self.register_theme(theme)
        self.theme = preferences.theme or theme_for(
            self.console.color_system, no_color=self.no_color, saved=preferences.saved_theme
        )
        # Otherwise the stylesheets are parsed once more, for Textual's default theme.
        self.stylesheet.set_variables(self.get_css_variables())
        if not preferences.is_animated:
            self.animation_level = "none"

    def request_exit(self, code: int) -> None:
        """Exit with a code, but not before the first frame: Textual cannot end an app that is being composed."""
        self._requested_exit = code
        if self._has_painted:
            self.exit(code)

    @property
    def is_exiting(self) -> bool:
        """True once the app ends."""
        return self._exit

    def get_driver_class(self) -> type[Driver]:
        """The terminal's driver; on Linux and macOS ours, which ends the app when the terminal is gone."""
        driver_class = super().get_driver_class()
        if driver_class.__module__ != "textual.drivers.linux_driver":  # Windows, or a driver that the environment names
            return driver_class
        from upload_tui.tui.terminal_driver import TerminalDriver

        return TerminalDriver

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The colour tokens, for themes that do not define them."""
        return dict(TOKEN_DEFAULTS)

    def refresh_css(self, animate: bool = True) -> None:
        """Apply the stylesheets again, unless no frame was painted yet."""
        if self._has_painted:  # before the first frame the stylesheets are already up to date
            super().refresh_css(animate=animate)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Add the ASCII filter where only ASCII is shown."""
        return [*super().get_line_filters(), *([AsciiFilter()] if self._is_ascii else [])]

    def get_key_display(self, binding: Binding) -> str:
        """The label of a key."""
        label = binding.key_display or key_label(binding.key, is_ascii=self._is_ascii)
        return super().get_key_display(binding) if label == binding.key else label

    def push_screen(self, screen: Screen[Any] | str, *arguments: Any, **options: Any) -> Any:
        """Open a screen, which is laid out once: it has the classes of the size from the start."""
        complete_stylesheet(self.stylesheet)
        if isinstance(screen, Screen):
            screen.add_class(*size_classes(self))
        return super().push_screen(screen, *arguments, **options)

    def pop_screen(self) -> AwaitComplete:
        """Close the top screen; nothing if it is the only one: Enter may reach Textual's palette again while it closes."""
        return super().pop_screen() if len(self.screen_stack) > 1 else AwaitComplete()

    def live_screens(self) -> list[Screen[Any]]:
        """The open screens, the dashboard first. One that is not mounted, or is being removed, lacks widgets and is left out."""
        return [screen for screen in self.screen_stack if not self._is_removing(screen)]

    def _handle_exception(self, error: Exception) -> None:
        """End the app with an error, unless it only looked for what is being removed.

        Textual removes a screen's children before it; its timers, workers and keys, also the palette's, go on and fail until then.
        """
        node, cause = active_message_pump.get(), error
        if isinstance(error, WorkerFailed):
            node, cause = get_current_worker().node, error.error  # type: ignore[assignment]
        if not (isinstance(cause, NoMatches | ScreenStackError) and self._is_removing(node)):
            super()._handle_exception(error)

    def _is_removing(self, pump: MessagePump) -> bool:
        """True if a widget or screen is not mounted (any more), or the app is closing."""
        is_hidden = isinstance(pump, Widget) and not (pump.display and pump.is_mounted)
        return self._exit or not self.is_running or not self.screen_stack or not pump.is_attached or is_hidden

    def on_mount(self) -> None:
        """Apply the keys and signs of the preferences."""
        self.set_class(self._is_ascii, "-ascii")
        self.set_keymap(dict(self._preferences.keymap))

    def on_resize(self) -> None:
        """Repaint the screen."""
        # After several quick resizes the size may be the first one again. Textual then repaints nothing, but the terminal is blank.
        self.call_after_refresh(self.screen.refresh)

    def action_command_palette(self) -> None:
        """Open the command palette."""
        from upload_tui.tui.command_palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def search_themes(self) -> None:
        """Open the palette with the themes."""
        from upload_tui.tui.command_palette import ThemeCommands, ThemePalette

        self.push_screen(ThemePalette(providers=[ThemeCommands], placeholder="Search for themes…"))

    @on(ThemeChosen)
    def change_theme(self, message: ThemeChosen) -> None:
        """Apply a theme and save it."""
        self.theme = message.theme
        self._save(self._preferences.save_theme, message.theme)

    @on(ColumnsChosen)
    def save_columns(self, message: ColumnsChosen) -> None:
        """Save the columns."""
        if (save := self._preferences.save_columns) is not None:
            self._save(partial(save, message.view), message.columns)

    @on(ViewsChanged)
    def save_views(self, message: ViewsChanged) -> None:
        """Save the views."""
        self._save(self._preferences.save_views, message.views)

    def _save(self, save: Callable[[Choice], None] | None, choice: Choice) -> None:
        if save is None:
            return
        try:
            save(choice)
        except UploadTuiError as error:
            self.notify(sanitize(f"{error.title}. {error.hint}"), severity="warning", markup=False)

    def action_help(self) -> None:
        """Show the help."""
        from upload_tui.tui.screens.help import HelpScreen, key_helps

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(key_helps(self.screen), self._initial_display_options.glyphs))

    def action_leave(self) -> None:
        """Close the screen; on the last one, quit."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.exit(0)

    def action_quit_with_screen(self) -> None:
        """Quit, and leave what the screen shows in the terminal."""
        self.exit(0, message=_segments_of(self.screen, self.get_line_filters()))

    def action_copy_selection(self) -> None:
        """Copy the selected text."""
        text = self.screen.get_selected_text()
        if text:
            self.copy_to_clipboard(text)
        else:
            self.notify("Press q to quit.", timeout=3)


def _segments_of(screen: Screen[Any], filters: Sequence[LineFilter]) -> Segments:
    """What a screen shows, for Rich."""
    lines = screen._compositor.render_strips(screen.size)  # noqa: SLF001  # Textual has no other way to read a screen
    for line_filter in filters:
        lines = [line.apply_filter(line_filter, screen.background_colors[1]) for line in lines]
    return Segments([segment for line in lines for segment in (*line, Segment.line())])


def _class_at(cells: int, breakpoints: Sequence[tuple[int, str]]) -> str:
    return next(name for at_least, name in reversed(breakpoints) if cells >= at_least)
