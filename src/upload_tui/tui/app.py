"""The dashboard as a Textual app: wires a session to its screens, and knows the keys that work everywhere."""

import sys
from collections.abc import Iterable
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from upload_tui.errors import DefectError, UploadTuiError
from upload_tui.monitor.session import Session
from upload_tui.tui.bindings import APP_KEYS, STORY_ACTIONS
from upload_tui.tui.bridge import Bridge
from upload_tui.tui.glyphs import ASCII, glyphs_for
from upload_tui.tui.look import Look
from upload_tui.tui.messages import PictureMoved
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.story import Story
from upload_tui.tui.stylesheets import sheet_paths
from upload_tui.tui.theme import DEFAULT_THEME, THEMES, TOKEN_DEFAULTS

__all__ = ["UploadApp"]


class UploadApp(App[int]):
    """The dashboard.

    Args:
        session: the picture to show; the app keeps it running while it is open.
        story: the demo's controls; None where there is no story to meddle with.
        look: how facts are written; None takes the signs that the terminal's encoding can show.
        theme: the name of a theme.
        keymap: other keys for actions, by the ids of their bindings; several keys are separated by commas.
        tell_every_seconds: the shortest time between two paintings of what the session told.
    """

    TITLE = "upload-tui"
    # Textual declares these two without ClassVar's reach, so they stay unannotated.
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (50, "-middle"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-low"), (20, "-tall"), (36, "-high")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = list(APP_KEYS)

    def __init__(
        self,
        session: Session,
        *,
        story: Story | None = None,
        look: Look | None = None,
        theme: str = DEFAULT_THEME,
        keymap: dict[str, str] | None = None,
        tell_every_seconds: float = 0.1,
    ) -> None:
        super().__init__(css_path=[*sheet_paths()])
        self.session = session
        self.story = story
        self._first_look = look or Look(glyphs_for(sys.stdout.encoding))
        self._keymap_wanted = keymap or {}
        self._tell_every_seconds = tell_every_seconds
        self.failure: UploadTuiError | None = None
        for own in THEMES:
            self.register_theme(own)
        self.theme = theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(TOKEN_DEFAULTS)

    def get_default_screen(self) -> DashboardScreen:
        return DashboardScreen(self.session, self._first_look, self.story)

    def on_mount(self) -> None:
        self.set_class(self._first_look.glyphs is ASCII, "-ascii")
        self.set_keymap(self._keymap_wanted)
        bridge = Bridge(self.session, self._pass_on, self._tell_every_seconds)
        # After the first frame, so that nothing the session does comes before it.
        self.call_after_refresh(self._start, bridge)

    def _start(self, bridge: Bridge) -> None:
        self.run_worker(self._guard(bridge), name="bridge", exit_on_error=False)

    async def _guard(self, bridge: Bridge) -> None:
        """The last line of defence: whatever ends the session ends the dashboard with a sentence."""
        try:
            await bridge.run()
        except* UploadTuiError as errors:
            self.failure = _first_error(errors)
        except* Exception as errors:  # noqa: BLE001  # nobody is above us to tell
            self.failure = DefectError.of(errors)
        if self.failure is not None:
            self.exit(self.failure.exit_code)

    def _pass_on(self, moved: PictureMoved) -> None:
        for screen in self.screen_stack:
            take = getattr(screen, "take", None)
            if take is not None:
                take(moved.changes)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for _, binding, _, tooltip in self._palette_bindings(screen):
            yield SystemCommand(
                binding.description, tooltip, lambda action=binding.action: self.call_later(screen.run_action, action)
            )
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)

    def _palette_bindings(self, screen: Screen[object]) -> Iterable[tuple[object, Binding, bool, str]]:
        seen: set[str] = set()
        for node, binding, enabled, tooltip in screen.active_bindings.values():
            if binding.id and binding.action not in seen and not binding.id.startswith("table."):
                seen.add(binding.action)
                yield node, binding, enabled, tooltip or binding.tooltip

    def action_help(self) -> None:
        from upload_tui.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(list(self.screen.active_bindings.values())))

    def action_leave(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.exit(0)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.story is not None if action in STORY_ACTIONS else True

    def action_start_upload(self) -> None:
        if self.story is not None:
            self.story.start_upload()

    def action_break_something(self) -> None:
        from upload_tui.tui.screens.faults import FaultScreen

        if self.story is not None and not isinstance(self.screen, FaultScreen):
            self.push_screen(FaultScreen(self.story.faults), self._break)

    def _break(self, fault_name: str | None) -> None:
        if self.story is not None and fault_name is not None:
            self.story.break_something(fault_name)

    def action_slower(self) -> None:
        if self.story is not None:
            self.story.slower()
            self._pass_on(PictureMoved(()))

    def action_faster(self) -> None:
        if self.story is not None:
            self.story.faster()
            self._pass_on(PictureMoved(()))

    def action_step(self) -> None:
        if self.story is not None:
            self.story.step()

    def action_copy_selection(self) -> None:
        text = self.screen.get_selected_text()
        if text:
            self.copy_to_clipboard(text)
        else:
            self.notify("Press q to quit.", timeout=3)


def _first_error(errors: BaseExceptionGroup[UploadTuiError]) -> UploadTuiError:
    first = errors.exceptions[0]
    return _first_error(first) if isinstance(first, BaseExceptionGroup) else first
