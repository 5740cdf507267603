"""The top line (what is watched, the state of the connection, the age of the data) and the alarm line below it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum

from textual.content import Content
from textual.reactive import reactive
from textual.timer import Timer

from upload_tui.monitor import Connection, ConnectionState, Funnel, Playback, ProjectRef, Trouble
from upload_tui.status import Stage
from upload_tui.text import age_text, clock_text, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import truncate_at_word, truncate_middle
from upload_tui.tui.widgets.cached_lines import DiffedText

__all__ = ["AlarmBar", "StatusBar", "connection_text"]

_STYLES = {
    ConnectionState.CONNECTING: "$primary",
    ConnectionState.CATCHING_UP: "$primary",
    ConnectionState.LIVE: "$stage-verified",
    ConnectionState.SLOW: "$foreground",
    ConnectionState.RETRYING: "$foreground bold",
    ConnectionState.OFFLINE: "$stage-error bold",
    ConnectionState.NOT_ALLOWED: "$stage-error bold",
    ConnectionState.PAUSED: "$foreground",
    ConnectionState.REPLAYING: "$primary",
}

_MIN_FAULT_CELLS = 12
_MIN_PLACE_CELLS = 8
"""A name shortened to fewer cells is not shown."""
_AGE_FROM_WIDTH = 60
"""Width of the line from which on the age of the data is shown."""
_SINCE_FROM_WIDTH = 80
"""Width of the line from which on the start of an outage is shown."""
_REQUESTS_FROM_WIDTH = 120
"""Width of the line from which on the number of requests is shown."""


def connection_text(
    connection: Connection, now: datetime, display_options: DisplayOptions, *, is_short: bool = False
) -> str:
    """The state of a connection: `live`, `retrying in 8s`, `offline since 12:31:04, next try in 12s`, `replay 0:08 of 0:12`.

    Args:
        connection: the connection.
        now: the current time.
        display_options: the time zone.
        is_short: leave out since when it is offline.
    """
    if connection.playback is not None:
        return _playback_text(connection.playback)
    match connection.state:
        case ConnectionState.CATCHING_UP:
            total = "" if connection.total is None else f" of {connection.total:,}"
            return f"catching up {connection.known:,}{total}"
        case ConnectionState.RETRYING if connection.next_try_on is not None:
            return f"retrying {_countdown_text(connection.next_try_on, now)}"
        case ConnectionState.OFFLINE | ConnectionState.NOT_ALLOWED as state:
            word = "token rejected" if state is ConnectionState.NOT_ALLOWED else str(state)
            since = "" if is_short else f" since {clock_text(connection.since, now, display_options.zone)}"
            due = connection.next_try_on
            return f"{word}{since}{'' if due is None else f', next try {_countdown_text(due, now)}'}"
        case state:
            return str(state)


def _countdown_text(then: datetime, now: datetime) -> str:
    seconds = (then - now).total_seconds()
    return f"in {age_text(seconds)}" if seconds >= 1 else "now"


def _playback_text(playback: Playback) -> str:
    """`replay 0:08 of 0:12`, with the recorded connection's state if it was neither live nor slow."""
    length = _length_text(playback.length_seconds)
    if playback.position_seconds >= playback.length_seconds:
        return f"replay ended at {length}"
    text = f"replay {_length_text(playback.position_seconds)} of {length}"
    was_connected = playback.state in {ConnectionState.LIVE, ConnectionState.SLOW}
    return text if was_connected else f"{text}, was {playback.state}"


def _length_text(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class StatusBar(DiffedText):
    """One line: on the left the session's title and its projects, on the right the connection and the age of the data.

    In the demo, `active_faults` (seconds left; None means until it is ended) replace the title. `speed` is the speed of
    a demo or replay, 0 while it is paused; None elsewhere.
    """

    title: reactive[str] = reactive("", repaint=False)
    projects: reactive[Sequence[ProjectRef]] = reactive((), repaint=False)
    connection: reactive[Connection | None] = reactive(None, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)
    speed: reactive[float | None] = reactive(None, repaint=False)
    active_faults: reactive[Mapping[str, int | None]] = reactive(dict, repaint=False)

    watch_title = watch_projects = watch_connection = watch_now = watch_display_options = DiffedText.refresh_changed
    watch_speed = watch_active_faults = DiffedText.refresh_changed

    @property
    def _glyphs(self) -> Glyphs:
        return self.display_options.glyphs

    def text(self) -> Content:
        """The line, as wide as the widget; a narrow one shows only its right side."""
        width = self.size.width
        right = self._right()
        names = ", ".join(project.name or project.id for project in self.projects)
        brand = Content.styled(" upload-tui ", "bold $primary")
        room = width - brand.cell_length - right.cell_length - 1
        parts = (sanitize(self.title), self._glyphs.dot, names)
        place = " ".join(part for part in parts if part) if names else self.title
        left = brand + self._middle(place, max(room, 0))
        if left.cell_length + right.cell_length > width:
            left = Content("")
        return left + Content(" " * max(0, width - left.cell_length - right.cell_length)) + right

    def _middle(self, place: str, room: int) -> Content:
        """The active faults, or what is watched."""
        glyphs = self._glyphs
        if self.active_faults and room > _MIN_FAULT_CELLS:
            faults = self.active_faults.items()
            text = ", ".join(name if seconds is None else f"{name} {age_text(seconds)}" for name, seconds in faults)
            line = truncate_at_word(f"{glyphs.warning} {text}", room, glyphs.ellipsis)
            return Content.styled(line, "$accent bold")
        place = truncate_middle(place, room, glyphs.ellipsis) if room >= _MIN_PLACE_CELLS else ""
        return Content.styled(place, "$quiet")

    def _right(self) -> Content:
        if self.connection is None or self.now is None:
            return Content("")
        width = self.size.width
        state = connection_text(self.connection, self.now, self.display_options, is_short=width < _SINCE_FROM_WIDTH)
        parts = [Content.styled(f"{self._sign()} {state}", _STYLES[self.connection.state])]
        age = self._age_text()
        if age and width >= _AGE_FROM_WIDTH:
            parts.append(Content.styled(age, "$quiet"))
        requests = self.connection.requests_last_minute
        if requests is not None and width >= _REQUESTS_FROM_WIDTH:
            parts.append(Content.styled(f"{requests:,} requests/min", "$quiet"))
        if self.speed is not None and self.speed != 1:
            speed = "paused" if self.speed == 0 else f"{self.speed:g}{self._glyphs.times}"
            parts.insert(0, Content.styled(speed, "$accent"))
        return Content(f" {self._glyphs.dot} ").join(parts) + Content(" ")

    def _sign(self) -> str:
        glyphs = self._glyphs
        if self.connection is None or self.connection.state is ConnectionState.CONNECTING:
            return glyphs.waiting
        if self.connection.state in {ConnectionState.OFFLINE, ConnectionState.NOT_ALLOWED}:
            return glyphs.broken
        return glyphs.live if self.connection.is_live else glyphs.waiting

    def _age_text(self) -> str:
        """The age of the data; empty while there are none."""
        if self.connection is None or self.now is None or self.connection.read_on is None:
            return ""
        seconds = (self.now - self.connection.read_on).total_seconds()
        return f"updated {age_text(seconds)} ago" if seconds >= 1 else "updated just now"


_ALERT_SECONDS = 20.0
_WORKER_NOTICE = "verification worker appears down"
_URL_PATH = re.compile(r"(https?://[^\s/]+)/\S*")
"""The path of a URL. Without it, a long reason still fits into the line."""
_STATE_WORDS = {ConnectionState.OFFLINE: "OFFLINE", ConnectionState.NOT_ALLOWED: "TOKEN REJECTED"}


class _Level(IntEnum):
    """How serious an alarm is; the line has the colour of the most serious one. Values are in order of seriousness."""

    NOTE = 0
    """Not about uploads: a retry, or a notice."""
    WAITS = 1
    """Uploads are stuck, or no worker verifies them."""
    LOST = 2
    """The service cannot be reached, uploads failed, or chunks of verified ones do not match."""


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
