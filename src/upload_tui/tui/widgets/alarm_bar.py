"""The alarm line: what is wrong with the picture as a whole, in one line that exists only while there is something."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import IntEnum

from textual.content import Content
from textual.reactive import reactive
from textual.timer import Timer

from upload_tui.monitor import Connection, ConnectionState, Funnel, Trouble
from upload_tui.status import Stage
from upload_tui.text import age_text, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import truncate_at_word
from upload_tui.tui.widgets.base.diffed_text import DiffedText

__all__ = ["AlarmBar"]

_ALERT_SECONDS = 20.0
_WORKER_NOTICE = "verification worker appears down"
_URL_PATH = re.compile(r"(https?://[^\s/]+)/\S*")
"""The path of a URL. Without it, a long reason still fits into the line."""
_STATE_WORDS = {ConnectionState.OFFLINE: "OFFLINE", ConnectionState.NOT_ALLOWED: "TOKEN REJECTED"}


class _Level(IntEnum):
    """How serious an alarm is; the line has the colour of the most serious one. Values are in order of seriousness."""

    NOTE = 0
    """Something else than uploads: a retry, or a notice."""
    WAITS = 1
    """Uploads are stuck, or no worker verifies them."""
    LOST = 2
    """The service cannot be reached, uploads failed, or verified ones are not whole."""


_Alarm = tuple[_Level, str]


class AlarmBar(DiffedText):
    """Cause and state of everything that is wrong, the most serious first; hidden while all is well.

    `connection` and `funnel` are those of the picture. An alert is shown for a moment, see `show_alert`.
    """

    connection: reactive[Connection | None] = reactive(None, repaint=False)
    funnel: reactive[Funnel] = reactive(Funnel, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)
    alert: reactive[str] = reactive("", repaint=False)

    _alert_timer: Timer | None = None

    def show_alert(self, text: str) -> None:
        """Show an alert until the next one, for at most 20 seconds."""
        self.alert = text
        if self._alert_timer is not None:
            self._alert_timer.stop()
        self._alert_timer = self.set_timer(_ALERT_SECONDS, self._clear_alert)

    def _clear_alert(self) -> None:
        self.alert = ""

    def refresh_changed(self) -> None:
        """Show or hide the line, with the colour of the most serious alarm."""
        alarms = self._alarms()
        level = alarms[0][0] if alarms else None
        self.set_class(level is not None, "-open")
        for other in _Level:
            self.set_class(other is level, f"-{other.name.lower()}")
        super().refresh_changed()

    watch_connection = watch_funnel = watch_now = watch_display_options = watch_alert = refresh_changed

    def text(self) -> Content:
        """The alarms in one line."""
        dot = f" {self.display_options.glyphs.dot} "
        line = dot.join(text for _, text in self._alarms())
        return Content(truncate_at_word(line, self.size.width - 2, self.display_options.glyphs.ellipsis))

    def _alarms(self) -> Sequence[_Alarm]:
        if self.now is None:
            return ()
        alarms = [*self._connection_alarms(self.now), *self._upload_alarms(self.now)]
        return sorted(alarms, key=lambda alarm: -alarm[0])

    def _connection_alarms(self, now: datetime) -> Iterator[_Alarm]:
        """`✗ OFFLINE 2m · connection refused · retry in 8s`."""
        connection, glyphs = self.connection, self.display_options.glyphs
        if connection is None or connection.playback is not None:
            return
        reason = _URL_PATH.sub(r"\1", sanitize(connection.reason))
        parts = [reason] if reason else []
        word = _STATE_WORDS.get(connection.state)
        if word is not None:
            parts.insert(0, f"{word} {age_text((now - connection.since).total_seconds())}")
        if not parts:
            return
        if connection.next_try_on is not None:
            seconds = (connection.next_try_on - now).total_seconds()
            parts.append(f"retry in {age_text(seconds)}" if seconds >= 1 else "retry now")
        sign = glyphs.broken if word else glyphs.waiting
        yield _Level.LOST if word else _Level.NOTE, f"{sign} {f' {glyphs.dot} '.join(parts)}"

    def _upload_alarms(self, now: datetime) -> Iterator[_Alarm]:
        """`▲ 1 verified but not whole`, `✗ 2 failed in 10 min`, `▲ WORKER DOWN · none verified for 4m`, `▲ 1 stuck 1h`."""
        glyphs, funnel = self.display_options.glyphs, self.funnel
        if contradictory := funnel.troubles.get(Trouble.CONTRADICTORY):
            yield _Level.LOST, f"{glyphs.warning} {contradictory:,} verified but not whole"
        if self.alert:
            yield _Level.LOST, f"{glyphs.broken} {sanitize(self.alert)}"
        elif failed := sum(funnel[Stage.ERROR].recent):
            yield _Level.LOST, f"{glyphs.broken} {failed:,} failed in {len(funnel[Stage.ERROR].recent)} min"
        notice = sanitize(funnel.notice)
        if notice.startswith(_WORKER_NOTICE):
            details = notice.removeprefix(_WORKER_NOTICE).removeprefix(": ")
            yield _Level.WAITS, f"{glyphs.warning} WORKER DOWN {glyphs.dot} {details}"
        elif notice:
            yield _Level.NOTE, f"{glyphs.waiting} {notice}"
        if funnel.stuck:
            since = [summary.oldest_since for summary in funnel.stages if summary.stuck and summary.oldest_since]
            age = f" {age_text((now - min(since)).total_seconds())}" if since else ""
            yield _Level.WAITS, f"{glyphs.warning} {funnel.stuck:,} stuck{age}"
