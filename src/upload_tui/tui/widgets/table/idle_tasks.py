"""Work for the moments in which a hand rests: in small pieces, none of which a key has to wait for long."""

from collections.abc import Callable, Iterator

from textual.timer import Timer
from textual.widget import Widget

__all__ = ["IdleTasks"]

_IDLE_SECONDS = 0.03
"""A hand that has not pressed a key for so long rests: a key that is held comes again about as soon."""
_PAUSE_SECONDS = 0.003
"""Between two pieces, for a key that has come meanwhile."""


class IdleTasks:
    """What a widget does while nobody presses keys.

    Args:
        widget: whose time it is; what is left ends with it.
    """

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._timer: Timer | None = None

    def schedule(self, tasks: Iterator[Callable[[], object]]) -> None:
        """Do these works one by one once the hand rests; what was left of others is not done any more."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._widget.set_timer(_IDLE_SECONDS, lambda: self._run_next(tasks))

    def _run_next(self, tasks: Iterator[Callable[[], object]]) -> None:
        work = next(tasks, None)
        if work is not None:
            work()
            self._timer = self._widget.set_timer(_PAUSE_SECONDS, lambda: self._run_next(tasks))
