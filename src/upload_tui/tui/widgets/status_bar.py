"""The top line: what is watched, the state of the connection, the age of the data."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor import Connection, ConnectionState, Playback, ProjectRef
from upload_tui.text import age_text, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import truncate_at_word, truncate_middle
from upload_tui.tui.widgets.cached_lines import DiffedText

__all__ = ["StatusBar", "connection_text", "others_text", "state_word"]

_STYLES = {
    ConnectionState.CONNECTING: "$primary",
    ConnectionState.CATCHING_UP: "$primary",
    ConnectionState.LIVE: "$stage-verified",
    ConnectionState.SLOW: "$foreground",
    ConnectionState.RETRYING: "$foreground bold",
    ConnectionState.OFFLINE: "$stage-error bold",
    ConnectionState.DELETED: "$stage-error bold",
    ConnectionState.DENIED: "$stage-error bold",
    ConnectionState.NOT_ALLOWED: "$stage-error bold",
    ConnectionState.PAUSED: "$foreground",
    ConnectionState.REPLAYING: "$primary",
}

_MIN_FAULT_CELLS = 12
_MAX_NAME_CELLS = 24
"""Cells of the name of a project that fails."""
_SHORT_NAME_CELLS = 12
"""The same if there is no room for what is watched."""
_MIN_PLACE_CELLS = 8
"""A name shortened to fewer cells is not shown."""
_MIN_TITLE_CELLS = 7
"""A title shortened to fewer cells gives way to the name or the number of projects."""
_AGE_FROM_WIDTH = 60
"""Width of the line from which on the age of the data is shown."""
_SPEED_FROM_WIDTH = 80
"""Width of the line from which on the usual speed of a demo or replay is shown."""
_GOOD_PLACE_CELLS = 20
"""What is watched gets this many cells, if it needs them, before the number of other parts that fail is written out."""
_LEAST_PLACE_CELLS = 12
"""The same before the age of the data, then the rest of the name of a project that fails, get any."""
_REQUESTS_FROM_WIDTH = 120
"""Width of the line from which on the number of requests is shown."""


def connection_text(connection: Connection, ellipsis: str, *, details: int = 2) -> str:
    """The state of a connection: `live`, `offline`, `catching up 40 of 100`, `replay 0:08 of 0:12`. Its cause is an alarm.

    If a part of what is watched fails: `Prot: access denied, 1 more fails`, with the number of other parts that fail;
    `2 of 3 offline` if all that fail are in the same state.

    Args:
        connection: the connection.
        ellipsis: the end of a shortened name.
        details: 2 for all; 1 shortens the number of other parts, -1 most of the name.
    """
    if connection.playback is not None:
        return _playback_text(connection.playback)
    if connection.names:
        return f"{len(connection.names):,} of {connection.watched:,} {state_word(connection.state)}"
    if connection.name and connection.is_failing:
        cells = _MAX_NAME_CELLS if details >= 0 else _SHORT_NAME_CELLS
        name = truncate_middle(connection.name, cells, ellipsis)
        return f"{name}: {state_word(connection.state)}{others_text(connection, is_short=details < 2)}"
    if connection.state is ConnectionState.CATCHING_UP:
        total = "" if connection.total is None else f" of {connection.total:,}"
        return f"catching up {connection.known:,}{total}"
    return state_word(connection.state)


def state_word(state: ConnectionState) -> str:
    """A state as the screen calls it."""
    return "token rejected" if state is ConnectionState.NOT_ALLOWED else str(state)


def others_text(connection: Connection, *, is_short: bool = True) -> str:
    """` +2` or `, 2 more fail` if two other projects fail too; empty if none does."""
    if not connection.others:
        return ""
    return (
        f" +{connection.others:,}" if is_short else f", {connection.others:,} more fail{'s' * (connection.others == 1)}"
    )


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

    In the demo, `active_faults` (seconds left; None means until it is ended) follow the projects. `speed` is the speed of
    a demo or replay, 0 while it is stopped; None elsewhere.
    """

    title: reactive[str] = reactive("", repaint=False)
    projects: reactive[Sequence[ProjectRef]] = reactive((), repaint=False)
    connection: reactive[Connection | None] = reactive(None, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)
    speed: reactive[float | None] = reactive(None, repaint=False)
    active_faults: reactive[Mapping[str, int | None]] = reactive(dict, repaint=False)

    watch_title = watch_projects = watch_connection = watch_now = watch_display_options = DiffedText.watch_changed
    watch_speed = watch_active_faults = DiffedText.watch_changed

    @property
    def _glyphs(self) -> Glyphs:
        return self.display_options.glyphs

    def text(self) -> Content:
        """The line, as wide as the widget. A narrow one has fewer details, then no age, a short name, and no name of the program."""
        width = self.size.width
        names = ", ".join(project.name or project.id for project in self.projects)
        brand = Content.styled(" upload-tui ", "bold $primary")
        parts = (sanitize(self.title), self._glyphs.dot, names)
        place = " ".join(part for part in parts if part) if names else self.title
        for details in (2, 1, 0, -1):
            right = self._right(details).truncate(width, ellipsis=True)
            room = width - brand.cell_length - right.cell_length - 1
            wanted = _GOOD_PLACE_CELLS if details > 1 else _LEAST_PLACE_CELLS
            if room >= min(cell_len(place), wanted):
                break
        else:
            if room < min(cell_len(place), _MIN_PLACE_CELLS):  # what is watched comes before the name of the program
                brand, room = Content(" "), room + brand.cell_length - 1
        if names and cell_len(place) > room:
            # The number stays whole: `…2 projects` would be another one. So does a name: it says more than the address before it.
            name = f"{len(self.projects):,} projects" if len(self.projects) > 1 else sanitize(names)
            title = truncate_middle(self.title, room - cell_len(name) - 3, self._glyphs.ellipsis)
            has_title = cell_len(title) >= min(_MIN_TITLE_CELLS, cell_len(self.title))
            place = f"{title} {self._glyphs.dot} {name}" if has_title else name
        left = brand + self._middle(place, max(room, 0))
        if left.cell_length + right.cell_length > width:
            left = Content("")
        return left + Content(" " * max(0, width - left.cell_length - right.cell_length)) + right

    def _middle(self, place: str, room: int) -> Content:
        """What is watched and, if there is room, the active faults."""
        glyphs = self._glyphs
        place = truncate_middle(place, room, glyphs.ellipsis) if room >= _MIN_PLACE_CELLS else ""
        watched, room = Content.styled(place, "$quiet"), room - cell_len(place) - 2
        if not self.active_faults or room < _MIN_FAULT_CELLS:
            return watched
        faults, dot = self.active_faults.items(), f" {glyphs.dot} "
        names = f"{glyphs.warning} {dot.join(self.active_faults)}"
        left = (name if seconds is None else f"{name}, {age_text(seconds)} left" for name, seconds in faults)
        line = f"{glyphs.warning} {dot.join(left)}"
        line = line if cell_len(line) <= room else truncate_at_word(names, room, glyphs.ellipsis)
        return Content.assemble(watched, "  ", (line, "$accent bold"))

    def _right(self, details: int) -> Content:
        if self.connection is None or self.now is None:
            return Content("")
        width = self.size.width
        state = connection_text(self.connection, self._glyphs.ellipsis, details=details)
        parts = [Content.styled(f"{self._sign()} {state}", _STYLES[self.connection.state])]
        age = self._age_text()
        if age and width >= _AGE_FROM_WIDTH and details > 0:
            parts.append(Content.styled(age, "$quiet"))
        requests = self.connection.requests_last_minute
        if requests is not None and width >= _REQUESTS_FROM_WIDTH:
            allowed = self.connection.requests_per_minute
            is_beyond = allowed is not None and requests > allowed  # only the first scan is not limited
            of_budget = "" if allowed is None or is_beyond else f"/{allowed:,}"
            scan = " (first scan)" if is_beyond else ""
            parts.append(Content.styled(f"{requests:,}{of_budget} requests/min{scan}", "$quiet"))
        if self.speed is not None and (self.speed != 1 or width >= _SPEED_FROM_WIDTH):
            zero = "stopped" if self.connection.playback is None else "paused"  # as Space does
            speed = zero if self.speed == 0 else f"{self.speed:g}{self._glyphs.times}"
            parts.insert(0, Content.styled(speed, "$accent"))
        return Content(f" {self._glyphs.dot} ").join(parts) + Content(" ")

    def _sign(self) -> str:
        glyphs = self._glyphs
        if self.connection is None or self.connection.state is ConnectionState.CONNECTING:
            return glyphs.waiting
        if self.connection.is_failing and self.connection.state is not ConnectionState.RETRYING:
            return glyphs.broken
        return glyphs.live if self.connection.is_live else glyphs.waiting

    def _age_text(self) -> str:
        """The age of the data; empty while there are none."""
        if self.connection is None or self.now is None or self.connection.read_on is None:
            return ""
        seconds = (self.now - self.connection.read_on).total_seconds()
        return f"updated {age_text(seconds)} ago" if seconds >= 1 else "updated just now"
