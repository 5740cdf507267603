"""Small tasks that run while the user presses no key."""

from collections.abc import Callable, Iterator

from textual.timer import Timer
from textual.widget import Widget

__all__ = ["IdleTasks"]

_IDLE_SECONDS = 0.03
"""Time without a schedule before the tasks start; about the repeat interval of a held key."""
_PAUSE_SECONDS = 0.003
"""Pause between two tasks, so that a key pressed meanwhile is handled."""


class IdleTasks:
    """Runs one list of tasks at a time, one task per timer call.

    Args:
        widget: owns the timers; the remaining tasks end with it.
    """

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._timer: Timer | None = None

    def schedule(self, tasks: Iterator[Callable[[], object]]) -> None:
        """Run these tasks soon; cancel the remaining ones of an earlier call."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._widget.set_timer(_IDLE_SECONDS, lambda: self._run_next(tasks))

    def _run_next(self, tasks: Iterator[Callable[[], object]]) -> None:
        task = next(tasks, None)
        if task is not None:
            task()
            self._timer = self._widget.set_timer(_PAUSE_SECONDS, lambda: self._run_next(tasks))
