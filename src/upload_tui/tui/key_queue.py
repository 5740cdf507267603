"""The part of the app that passes keys on one at a time."""

from collections import deque
from functools import partial
from typing import Any

from textual import events
from textual.app import App
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from upload_tui.tui.widgets.cursor_lines import CursorLines

__all__ = ["KeyPassed", "KeyQueueApp"]

_KEY_CHECKS, _KEY_CHECK_SECONDS = 5, 0.1
"""A key waits no longer for the one before it, for example if the widget that had the focus was removed.

Several short waits: while a dialog is imported nothing runs, and the time of that counts as one.
"""

_MOVING_ACTIONS = ("move(", "match(", "page", "first", "last", "cursor_", "scroll_")
"""Actions of lists and timelines that a held key repeats."""


class KeyPassed(Message):
    """Follows the key with a number through the same widgets, and reaches the app after it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class KeyQueueApp(App[int]):
    """Passes keys on one at a time: what one key opens or focuses gets the next one, also when they arrive together."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._waiting_keys: deque[events.Event] = deque()
        self._key_number = 0
        self._is_passing_key = False
        self._is_checking = False
        self._moving_actions: dict[tuple[type[Widget], str], str] = {}

    async def on_event(self, event: events.Event) -> None:
        """Hold keys and pasted text back until the key before has had its effect."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._is_passing_key:
            self._waiting_keys.append(event)
            if not self._is_checking:
                self._check_keys(self._key_number)
        else:
            await self._pass_key(event)

    async def _pass_key(self, event: events.Event) -> None:
        self._key_number += 1
        target = self.focused or self.screen
        action = self._moving_action(target, event.key) if isinstance(event, events.Key) else ""
        self._is_passing_key = not action
        if action and isinstance(target, CursorLines) and self.app_focus and await self.run_action(action, target):
            return  # what Textual does when the key has bubbled up from the list
        await super().on_event(event)
        if self._is_passing_key and not target.post_message(KeyPassed(self._key_number)):
            self._settle_key(self._key_number)

    def _moving_action(self, target: Widget, key: str) -> str:
        """The action of a key of the widget with the focus, if it opens and focuses nothing: the next key need not wait then."""
        place = (type(target), key)
        if place not in self._moving_actions:
            active = self.screen.active_bindings.get(key)
            action = active.binding.action if active is not None and active.node is target else ""
            self._moving_actions[place] = action if action.startswith(_MOVING_ACTIONS) else ""
        return self._moving_actions[place]

    def on_key_passed(self, message: KeyPassed) -> None:
        """Wait for what the key opened."""
        self._settle_key(message.number)

    def _settle_key(self, number: int, settled: Screen[Any] | None = None) -> None:
        """Pass the next key on when the top screen has focused a widget, and is still on top."""
        top = self.screen if self.screen_stack else None
        if top is settled or top is None or not top.call_later(self.call_later, self._settle_key, number, top):
            self.call_later(self._pass_next_key, number)

    async def _pass_next_key(self, number: int) -> None:
        """Pass the next keys on, unless a later one was already."""
        if number == self._key_number:
            self._is_passing_key = False
            while self._waiting_keys and not self._is_passing_key:
                await self._pass_key(self._waiting_keys.popleft())

    def _check_keys(self, number: int, checks: int = _KEY_CHECKS) -> None:
        """While keys wait, check that the one before them has its effect; pass all of them on if it has none."""
        checks = checks - 1 if number == self._key_number else _KEY_CHECKS
        self._is_checking = bool(self._waiting_keys and checks)
        if self._is_checking:
            self.set_timer(_KEY_CHECK_SECONDS, partial(self._check_keys, self._key_number, checks))
        elif self._waiting_keys:
            self.call_later(self._pass_all_keys, number)

    async def _pass_all_keys(self, number: int) -> None:
        if number == self._key_number:
            while self._waiting_keys:
                await self._pass_key(self._waiting_keys.popleft())
        elif not self._is_checking:  # another key was passed since, which may have no effect either
            self._check_keys(number)
