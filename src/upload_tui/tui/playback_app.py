"""The part of the app that controls a demo or a replay: uploads, faults, speed, steps and position."""

from abc import abstractmethod
from datetime import datetime

from msgspec.structs import replace

from upload_tui.text import parse_moment
from upload_tui.tui.base_app import BaseApp
from upload_tui.tui.bindings import DEMO_ACTIONS, PLAYBACK_ACTIONS, REPLAY_KEYMAP, SEEK_ACTIONS
from upload_tui.tui.controls import PlaybackControls, demo_controls, seek_controls
from upload_tui.tui.preferences import Preferences

__all__ = ["PlaybackApp"]


class PlaybackApp(BaseApp):
    """An app that may show a demo or a replay.

    Args:
        preferences: the user's preferences.
        controls: the controls of a demo or a replay; None for a service.
    """

    def __init__(self, preferences: Preferences, controls: PlaybackControls | None) -> None:
        self._demo, self._replay = demo_controls(controls), seek_controls(controls)
        if self._replay is not None:
            preferences = replace(preferences, keymap={**REPLAY_KEYMAP, **preferences.keymap})
        super().__init__(preferences)
        self.controls = controls

    @abstractmethod
    def refresh_picture(self) -> None:
        """Show the picture as it is now."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide the actions of the demo and of playback where there are none."""
        if action in DEMO_ACTIONS:
            return self._demo is not None
        if action in SEEK_ACTIONS:
            return self._replay is not None
        return self.controls is not None if action in PLAYBACK_ACTIONS else True

    def action_start_upload(self) -> None:
        """Start an upload in the demo."""
        if self._demo is not None:
            self._demo.start_upload()

    def action_start_fault(self) -> None:
        """Choose a fault of the demo in a menu."""
        from upload_tui.tui.screens.menu import MenuScreen, fault_menu

        if self._demo is not None and not isinstance(self.screen, MenuScreen):
            self.push_screen(fault_menu(self._demo.faults), self._start_fault)

    def _start_fault(self, fault_name: str | None) -> None:
        if self._demo is not None and fault_name is not None:
            self._demo.start_fault(fault_name)
            self.refresh_picture()

    def action_slower(self) -> None:
        """Slow the playback down."""
        if self.controls is not None:
            self.controls.slower()
            self.refresh_picture()

    def action_faster(self) -> None:
        """Speed the playback up."""
        if self.controls is not None:
            self.controls.faster()
            self.refresh_picture()

    def action_step(self) -> None:
        """Advance the playback by one step."""
        if self.controls is not None:
            self.controls.step()

    def action_step_back(self) -> None:
        """Go one step back in a replay."""
        if self._replay is not None:
            self._replay.step_back()

    def action_seek(self) -> None:
        """Go to a time of a replay, which the user types."""
        from upload_tui.tui.screens.prompts import PromptScreen, time_prompt

        if not isinstance(self.screen, PromptScreen):
            note = "`5m` is five minutes back, `+5m` is forwards"
            self.push_screen(time_prompt("Go to time in the recording", self._time_within, note), self._seek)

    def _time_within(self, text: str) -> datetime | None:
        """A time that was typed; a clock time is the one within the recording."""
        if self._replay is None:
            return None
        controls, zone = self._replay, self._initial_display_options.zone
        return parse_moment(
            text, controls.picture.clock.now(), zone, earliest=controls.began_on, latest=controls.ends_on
        )

    def _seek(self, text: str | None) -> None:
        if text and self._replay is not None and (on := self._time_within(text)) is not None:
            self._replay.seek(on)
