"""The alarm line: everything that is wrong, in the order of the table; hidden while all is well."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from functools import partial

from msgspec import Struct
from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive

from upload_tui.errors import Cause
from upload_tui.monitor import TROUBLE_WORDS, Connection, ConnectionState, Funnel, Notice, NoticeKind, Row, Trouble
from upload_tui.text import age_text, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import MAX_CAUSES, causes_text, first_that_fits, truncate_at_word, truncate_middle
from upload_tui.tui.widgets.cached_lines import DiffedText
from upload_tui.tui.widgets.pending_text import pending_age_text
from upload_tui.tui.widgets.status_bar import others_text, state_word

__all__ = ["AlarmBar"]

_CAUSE_CELLS = 32
"""No cause gets more cells before each alarm has shown its own."""
_EACH_CAUSE_CELLS = 24
"""Several causes are only shown if each is whole or gets this many cells."""
_MIN_CAUSE_CELLS = 12
"""A cause that would have fewer cells is left out."""
_MIN_NOTE_CELLS = 24
"""A note that would have fewer cells beside alarms is left out."""
_WHOLE_CELLS = 400
"""More cells than a line has."""
_NAME_CELLS = (24, 12)
"""Cells of the name of what fails, if there is room and if there is not."""
_MAX_NAMES = 4
"""Names of what fails, if there is no room for all."""


class _Level(IntEnum):
    """How serious an alarm is; the line has the colour of the most serious one."""

    NOTE = 0
    """A notice, or a project that is over."""
    RETRY = 1
    """The last request failed; the next may succeed."""
    WAITS = 2
    """Uploads are stuck or overdue, or no worker verifies them."""
    LOST = 3
    """The service cannot be reached, uploads failed, or chunks of verified ones do not match."""


class _Alarm(Struct, frozen=True):
    """One thing that is wrong.

    Attributes:
        level: how serious it is.
        states: sign, word and number, the longest first, with a name and an age; the last is always shown, and is empty for a note.
        details: the longest text about the cause in a number of cells, in which each cause has at most a number of cells.
        main_cause: the main words of the cause, which come before the ages and causes of all alarms; empty if they do not.
        yields_to_cause: whether it is hidden rather than the main words of the cause before it.
    """

    level: _Level
    states: tuple[str, ...]
    details: Callable[[int, int], str] = lambda _room, _cause_cells: ""
    main_cause: str = ""
    yields_to_cause: bool = False

    def longest(self, room: int, cause_cells: int) -> str:
        """The longest text in `room` cells, in which each cause has at most `cause_cells`."""
        left = room - cell_len(self.states[-1])
        main = self.main_cause if cell_len(self.main_cause) <= left else self.details(left, _CAUSE_CELLS)
        state = next((one for one in self.states if cell_len(one + main) <= room), self.states[-1])
        details = self.details(room - cell_len(state), cause_cells) if cause_cells else ""
        return state + (details if cell_len(details) > cell_len(main) + 1 else main)  # more than an ellipsis


class AlarmBar(DiffedText):
    """Cause and state of everything that is wrong; hidden while all is well.

    The connection comes first, then uploads in the order of the table, with a worker that appears down before stuck ones, then notes.

    `connection` and `funnel` are those of the picture, `longest_stuck` is the upload that has been stuck longest, None if none is.
    """

    connection: reactive[Connection | None] = reactive(None, repaint=False)
    funnel: reactive[Funnel] = reactive(Funnel, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    longest_stuck: reactive[Row | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)

    def refresh_changed(self) -> None:
        """Show or hide the line, with the colour of the most serious alarm."""
        alarms = self._alarms()
        level = max((alarm.level for alarm in alarms), default=None)
        self.set_class(level is not None, "-open")
        for other in _Level:
            self.set_class(other is level, f"-{other.name.lower()}")
        super().refresh_changed()

    watch_connection = watch_funnel = watch_now = watch_longest_stuck = watch_display_options = DiffedText.watch_changed

    def text(self) -> Content:
        """The alarms in one line: each with its number, then names and ages, causes, longer causes, and at last notes."""
        width, dot = self.size.width, f" {self.display_options.glyphs.dot} "
        alarms, more = _shown(self._alarms(), dot, width)
        texts = [alarm.states[-1] for alarm in alarms]
        for cause_cells in (0, _CAUSE_CELLS, _WHOLE_CELLS):
            for index, alarm in enumerate(alarms):
                room = width - _cells((*texts[:index], "x", *texts[index + 1 :], more), dot) + 1
                texts[index] = alarm.longest(room, cause_cells)
        if alarms and not any(texts):
            texts = [alarms[0].longest(_WHOLE_CELLS, _WHOLE_CELLS)]
        line = dot.join(filter(None, (*texts, more)))
        return Content(truncate_at_word(line, width, self.display_options.glyphs.ellipsis))

    def _alarms(self) -> Sequence[_Alarm]:
        if self.now is None:
            return ()
        alarms = [*self._connection_alarms(self.now), *self._upload_alarms(self.now)]
        return sorted(alarms, key=lambda alarm: alarm.level is _Level.NOTE)

    def _connection_alarms(self, now: datetime) -> Iterator[_Alarm]:
        """`✗ OFFLINE 2m · connection refused · retry in 8s`, `◌ retrying: server error (500) · retry in 1s`, or a note."""
        connection, glyphs = self.connection, self.display_options.glyphs
        if connection is None or connection.playback is not None:
            return
        if connection.is_failing or connection.is_partial:
            yield _outage(connection, now, glyphs)
        elif reason := _cause_texts(connection)[1]:
            named = f"{truncate_middle(connection.name, _NAME_CELLS[0], glyphs.ellipsis)}: {reason}"
            yield _note(glyphs.waiting, [named, reason] if connection.name else [reason], glyphs)

    def _upload_alarms(self, now: datetime) -> Iterator[_Alarm]:
        """`▲ 1 verified but not whole`, `▲ WORKER DOWN · none verified for 4m`, `▲ 1 stuck 1h`, `✗ 2 failed: wrong size`."""
        glyphs, troubles = self.display_options.glyphs, self.funnel.troubles
        if contradictory := troubles.get(Trouble.CONTRADICTORY):
            number = f"{glyphs.warning} {contradictory:,}"
            yield _Alarm(_Level.LOST, (f"{number} {TROUBLE_WORDS[Trouble.CONTRADICTORY]}", f"{number} not whole"))
        for notice in self.funnel.notices:
            yield _notice_alarm(notice, glyphs)
        if self.funnel.stuck:
            stuck, row = f"{glyphs.warning} {self.funnel.stuck:,} stuck", self.longest_stuck
            age = "" if row is None or row.stage_since is None else f" {pending_age_text(row, now)}"
            yield _Alarm(_Level.WAITS, (f"{stuck}{age}", stuck))
        if failed := troubles.get(Trouble.FAILED):
            causes = partial(_causes_text, self.funnel.failures)
            yield _Alarm(_Level.LOST, (f"{glyphs.broken} {failed:,} failed",), causes)
        if overdue := troubles.get(Trouble.OVERDUE):
            yield _Alarm(_Level.WAITS, (f"{glyphs.warning} {overdue:,} overdue",), yields_to_cause=True)


def _notice_alarm(notice: Notice, glyphs: Glyphs) -> _Alarm:
    """A notice; that of a worker that appears down as `WORKER DOWN`, and all after the title of their session if they have it."""
    title, (text, short) = sanitize(notice.title and f"{notice.title}: "), map(sanitize, (notice.text, notice.short))
    match notice.kind:
        case NoticeKind.WORKER_DOWN:
            facts = [f" {glyphs.dot} {fact}" for fact in (text, short)]
            states = f"{glyphs.warning} {title}WORKER DOWN", f"{glyphs.warning} WORKER DOWN"
            return _Alarm(_Level.WAITS, states, lambda room, _: first_that_fits(facts, room, ""))
        case NoticeKind.NOT_CACHED:
            return _named_note([f"{title}not cached", "not cached"], [f": {short}"], glyphs)
        case NoticeKind.SILENCE:
            return _note("", [f"{title}{text}"], glyphs)
        case _:
            return _note(glyphs.waiting, [f"{title}{text}"], glyphs)


def _cause_texts(connection: Connection) -> tuple[str, str]:
    """`Server error (500)` and `Server error (500): no room left`; without the words if the state has them already."""
    cause = connection.cause or Cause(connection.reason)
    words, status = sanitize(cause.words), str(cause.status or "")
    is_repeated = words.casefold() == state_word(connection.state)
    main = status if is_repeated else f"{words} ({status})" if status else words
    return main, ": ".join(filter(None, (main, sanitize(cause.details))))


def _retry_text(connection: Connection, now: datetime) -> str:
    if connection.next_try_on is None:
        return ""
    seconds = (connection.next_try_on - now).total_seconds()
    return f"retry in {age_text(seconds)}" if seconds >= 1 else "retry now"


def _cells(texts: Sequence[str], dot: str) -> int:
    return cell_len(dot.join(filter(None, texts)))


def _longest(text: Callable[[int], str], cells: range, room: int) -> str:
    """The longest text that fits into `room` cells; empty if none does. `text` takes the width of a cause, one of `cells`."""
    count = bisect_right(cells, room, key=lambda cause_cells: cell_len(text(cause_cells)))
    return text(cells[count - 1]) if count else ""


def _shown(alarms: Sequence[_Alarm], dot: str, width: int) -> tuple[Sequence[_Alarm], str]:
    """The alarms whose shortest texts fit, and how many more there are; what yields to a cause does so before all others."""
    yielding = [count for count, alarm in enumerate(alarms) if alarm.yields_to_cause]
    cause = min(cell_len(alarms[0].main_cause), len(dot) + _MIN_CAUSE_CELLS) if yielding else 0
    tries = [(count, cause) for count in (len(alarms), *yielding) if cause]
    for count, cause_cells in (*tries, *((count, 0) for count in range(len(alarms), 0, -1))):
        others = sum(bool(alarm.states[-1]) for alarm in alarms[count:])
        for more in (f"+{others:,} more", f"+{others:,}") if others else ("",):
            if cause_cells + _cells((*(alarm.states[-1] for alarm in alarms[:count]), more), dot) <= width:
                return alarms[:count], more
    return alarms[:1], ""


def _outage(connection: Connection, now: datetime, glyphs: Glyphs) -> _Alarm:
    """The state of a connection that fails, with its cause: `✗ Prot: OFFLINE 2m, 1 more fails · …`, `◌ retrying: …`."""
    retry, (main, cause) = _retry_text(connection, now), _cause_texts(connection)
    if connection.is_failing and connection.state is not ConnectionState.RETRYING:
        is_over = connection.state is ConnectionState.DELETED and connection.is_partly_live
        level, between = _Level.NOTE if is_over else _Level.LOST, f" {glyphs.dot} "
        age = f" {age_text((now - connection.since).total_seconds())}"
        states = _outage_states(connection, glyphs.broken, state_word(connection.state).upper(), age, glyphs)
    else:
        level, between = _Level.RETRY, f" {glyphs.dot} " if connection.names else ": "
        word = "partial" if connection.is_partial else state_word(connection.state)
        states = _outage_states(connection, glyphs.waiting, word, "", glyphs)
        main, cause = _uncapitalized(main), _uncapitalized(cause)
    if connection.names:  # each may have another cause
        between += f"{truncate_middle(connection.name, _NAME_CELLS[1], glyphs.ellipsis)}: "
    main = f"{between}{main}" if main else ""
    return _Alarm(level, tuple(states), partial(_outage_text, cause, retry, between, glyphs), main)


def _uncapitalized(text: str) -> str:
    """A text within a sentence: `connection refused`, but `DNS does not answer`."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _outage_states(connection: Connection, sign: str, word: str, age: str, glyphs: Glyphs) -> Iterator[str]:
    """`✗ Prot: OFFLINE 2m, 1 more fails`, then with the others as ` +1`, a shorter name, and without age, name and others."""
    if connection.names:
        yield from _common_outage_states(connection, f"{sign} {word}", age, glyphs)
        return
    names = [truncate_middle(connection.name, cells, glyphs.ellipsis) for cells in _NAME_CELLS]
    long, short = (f"{sign} {name}: {word}" if name else f"{sign} {word}" for name in names)
    others = others_text(connection)
    yield f"{long}{age}{others_text(connection, is_short=False)}"
    yield from (
        f"{long}{age}{others}",
        f"{long}{others}",
        f"{short}{age}{others}",
        f"{short}{others}",
        f"{sign} {word}",
    )


def _common_outage_states(connection: Connection, word: str, age: str, glyphs: Glyphs) -> Iterator[str]:
    """`✗ OFFLINE 2m, 2 of 3: ceph, oc`, then with fewer names, and without names, age and number."""
    names = [truncate_middle(name, _NAME_CELLS[0], glyphs.ellipsis) for name in connection.names]
    number = f"{len(names):,} of {connection.watched:,}"
    yield f"{word}{age}, {number}: {', '.join(names)}"
    for count in range(min(len(names) - 1, _MAX_NAMES), 0, -1):
        yield f"{word}{age}, {number}: {', '.join(names[:count])}, {glyphs.ellipsis}"
    yield from (f"{word}{age}, {number}", f"{word} {number}", word)


def _outage_text(cause: str, retry: str, between: str, glyphs: Glyphs, room: int, cause_cells: int) -> str:
    """` · connection refused · retry in 8s`: the whole cause and the retry, else the cause, at last cut."""

    def text(cause: str) -> str:
        return f"{between}{cause}" if cause else ""

    wholes = [text(cause)] if cell_len(cause) <= cause_cells else []
    if retry and cause_cells >= _WHOLE_CELLS:
        wholes.insert(0, f"{text(cause)} {glyphs.dot} {retry}")
    cells = range(_MIN_CAUSE_CELLS, cause_cells + 1)
    return first_that_fits(wholes, room, "") or _longest(
        lambda cells: text(truncate_at_word(cause, cells, glyphs.ellipsis)), cells, room
    )


def _note(sign: str, texts: Sequence[str], glyphs: Glyphs) -> _Alarm:
    """A note, the longest text first: it gets the cells that alarms and their causes leave."""
    wholes = [f"{sign} {text}" if sign else text for text in texts]

    def details(room: int, cause_cells: int) -> str:
        if cause_cells < _WHOLE_CELLS:
            return ""
        is_short = room < _MIN_NOTE_CELLS
        return first_that_fits(wholes, room, "") or (
            "" if is_short else truncate_at_word(wholes[-1], room, glyphs.ellipsis)
        )

    return _Alarm(_Level.NOTE, ("",), details)


def _named_note(words: Sequence[str], causes: Sequence[str], glyphs: Glyphs) -> _Alarm:
    """`◌ partial: exit code 1`: a note whose words are always shown, and its cause, the longest text first, if there is room."""

    def details(room: int, cause_cells: int) -> str:
        if cause_cells < _WHOLE_CELLS:
            return ""
        cut = truncate_at_word(causes[-1], room, glyphs.ellipsis) if room >= _MIN_CAUSE_CELLS else ""
        return first_that_fits(causes, room, "") or cut

    return _Alarm(_Level.NOTE, tuple(f"{glyphs.waiting} {word}" for word in words), details)


def _causes_text(failures: Mapping[str, int], room: int, cause_cells: int) -> str:
    """`: 4 wrong size, 6 more`: as many causes as fit, with their counts, each in at most `cause_cells`."""
    for shown in range(min(MAX_CAUSES, len(failures)), 0, -1):
        least = _EACH_CAUSE_CELLS if shown > 1 else _MIN_CAUSE_CELLS
        if text := _longest(partial(causes_text, failures, shown), range(least, cause_cells + 1), room - 2):
            return f": {text}"
    return ""
