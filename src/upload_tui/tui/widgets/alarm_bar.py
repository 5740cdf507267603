"""The alarm line: everything that is wrong, the most serious first; hidden while all is well."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum

from msgspec import Struct
from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.timer import Timer

from upload_tui.lazy import lazy_pattern
from upload_tui.monitor import Connection, ConnectionState, Funnel, Trouble
from upload_tui.text import age_text, sanitize, short_cause
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import truncate_at_word, truncate_middle
from upload_tui.tui.notices import Alert
from upload_tui.tui.widgets.cached_lines import DiffedText
from upload_tui.tui.widgets.pending_list import least_age_text
from upload_tui.tui.widgets.status_bar import others_text, state_word

__all__ = ["AlarmBar"]

_ALERT_SECONDS = 20.0
_MAX_CAUSES = 3
_CAUSE_CELLS = 24
"""The cause of a failure is not shorter than this if there are several."""
_WHOLE_CELLS = 400
"""More cells than a line has."""
_MIN_CAUSE_CELLS = 12
"""A cause that would have fewer cells is left out."""
_NAME_CELLS = 24
_MIN_ALARM_CELLS = 10
"""An alarm that would have fewer cells is only counted."""
_NOTE_CELLS = 32
"""A note beside alarms is not shorter than this."""
_WORKER_NOTICE = "verification worker appears down"
_SILENCE_NOTICE = "none verified for"
_URL_PATH = lazy_pattern(r"(https?://[^\s/]+)/\S*")
"""The path of a URL. Without it, a long reason still fits into the line."""
_URL = lazy_pattern(r":? ?https?://\S+")
_IN_PARENTHESES = lazy_pattern(r" ?\([^)]*\)")
_OUTAGE_CELLS = 32
"""The cause of an outage is shortened to this before the others are shortened to their last texts."""
_ASIDE = lazy_pattern(r", by which [^;]*")
"""What a reason says besides; left out first."""


class _Level(IntEnum):
    """How serious an alarm is; the line has the colour of the most serious one. Values are in order of seriousness."""

    NOTE = 0
    """Not about uploads: a retry, or a notice."""
    WAITS = 1
    """Uploads are stuck, or no worker verifies them."""
    LOST = 2
    """The service cannot be reached, uploads failed, or chunks of verified ones do not match."""


class _Cut(Struct, frozen=True):
    """A text with a cause that can be cut anywhere: in `text(cells)` it has at most `cells`, which are at least `min_cells`."""

    text: Callable[[int], str]
    min_cells: int

    def longest(self, room: int) -> str:
        """The longest text in `room` cells; empty if there is none."""
        low, high = self.min_cells, max(self.min_cells, room)
        if cell_len(self.text(low)) > room:
            return ""
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if cell_len(self.text(middle)) <= room else (low, middle - 1)
        return self.text(low)


class _Alarm(Struct, frozen=True):
    """One thing that is wrong, in words: the same in several lengths, the longest first.

    Beyond the last `kept` texts it is shortened only if no other alarm can be. `cuts` are for the room that is free then.
    """

    level: _Level
    texts: tuple[str, ...]
    kept: int = 1
    cuts: tuple[_Cut, ...] = ()

    def longest(self, text: str, room: int) -> str:
        """The longest text in `room` cells, with a whole cause if there is one; at least `text`."""
        whole = next((one for one in self.texts if cell_len(one) <= room), text)
        if whole == self.texts[0]:
            return whole
        texts = (whole if cell_len(whole) > cell_len(text) else text, *(cut.longest(room) for cut in self.cuts))
        return next((one for one in texts[1:] if cell_len(one) > cell_len(texts[0])), texts[0])


class AlarmBar(DiffedText):
    """Cause and state of everything that is wrong, the most serious first; hidden while all is well.

    `connection` and `funnel` are those of the picture. An alert is shown for a moment, see `show_alert`.
    """

    connection: reactive[Connection | None] = reactive(None, repaint=False)
    funnel: reactive[Funnel] = reactive(Funnel, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    as_of: reactive[datetime | None] = reactive(None, repaint=False)
    """When `funnel` was last current; None for `now`."""
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)
    alert: reactive[Alert | None] = reactive(None, repaint=False)

    _alert_timer: Timer | None = None

    def show_alert(self, alert: Alert) -> None:
        """Show an alert until the next one, for at most 20 seconds."""
        self.alert = alert
        if self._alert_timer is not None:
            self._alert_timer.stop()
        self._alert_timer = self.set_timer(_ALERT_SECONDS, self._clear_alert)

    def _clear_alert(self) -> None:
        self.alert = None

    def refresh_changed(self) -> None:
        """Show or hide the line, with the colour of the most serious alarm."""
        alarms = self._alarms()
        level = alarms[0].level if alarms else None
        self.set_class(level is not None, "-open")
        for other in _Level:
            self.set_class(other is level, f"-{other.name.lower()}")
        super().refresh_changed()

    watch_connection = watch_funnel = watch_now = watch_as_of = watch_alert = DiffedText.watch_changed
    watch_display_options = DiffedText.watch_changed

    def text(self) -> Content:
        """The alarms in one line: notes are shortened first, then the longest; the most serious gets the cells that are free then."""
        glyphs, width = self.display_options.glyphs, self.size.width
        alarms, dot = self._alarms(), f" {glyphs.dot} "
        texts = _shortened(alarms, dot, width)
        if _cells(texts, dot) > width:  # what may be left out is not counted
            alarms = [alarm for alarm, text in zip(alarms, texts, strict=True) if text]
            texts = list(filter(None, texts))
        count, more = _whole_count(texts, dot, width)
        room = width - cell_len(more)
        texts = _lengthened(alarms, texts[:count], dot, room)
        *whole, last = [text for text in texts if text] or [""]
        head = "".join(f"{text}{dot}" for text in whole)
        return Content(head + truncate_at_word(last, room - cell_len(head), glyphs.ellipsis) + more)

    def _alarms(self) -> Sequence[_Alarm]:
        if self.now is None:
            return ()
        alarms = [*self._connection_alarms(self.now), *self._upload_alarms(self.now)]
        return sorted(alarms, key=lambda alarm: -alarm.level)

    def _connection_alarms(self, now: datetime) -> Iterator[_Alarm]:
        """`✗ OFFLINE 2m · connection refused · retry in 8s`; `✗ Prot: ACCESS DENIED 5s, 1 more fails · …` if others are not."""
        connection, glyphs = self.connection, self.display_options.glyphs
        if connection is None or connection.playback is not None:
            return
        reason = _URL_PATH.sub(r"\1", sanitize(connection.reason))
        word = state_word(connection.state).upper() if connection.is_failing else ""
        if connection.state is ConnectionState.RETRYING:
            word = ""
        age, others = age_text((now - connection.since).total_seconds()), others_text(connection, is_short=False)
        state = f"{word} {age}{others}" if word else ""
        if not (state or reason):
            return
        if name := truncate_middle(connection.name, _NAME_CELLS, glyphs.ellipsis):
            state, reason = (f"{name}: {state}", reason) if state else ("", f"{name}: {reason}{others}")
        retry = _retry_text(connection, now)
        sign = glyphs.broken if word else glyphs.waiting
        is_over = connection.state is ConnectionState.DELETED and connection.is_partly_live
        level = _Level.LOST if word and not is_over else _Level.NOTE
        if state:
            yield _outage(f"{sign} {state}", reason, retry, level, glyphs)
        else:
            parts = [(reason, retry), (reason,), (_URL.sub("", _ASIDE.sub("", reason)).strip(),)]
            yield _note([f"{sign} {f' {glyphs.dot} '.join(filter(None, some))}" for some in parts], glyphs)

    def _upload_alarms(self, now: datetime) -> Iterator[_Alarm]:
        """`▲ 1 verified but not whole`, `✗ 2 failed: 2 wrong size`, `▲ WORKER DOWN · none verified for 4m`, `▲ 1 stuck 1h`."""
        glyphs, funnel = self.display_options.glyphs, self.funnel
        if contradictory := funnel.troubles.get(Trouble.CONTRADICTORY):
            yield _Alarm(_Level.LOST, (f"{glyphs.warning} {contradictory:,} verified but not whole",))
        new = len(self.alert.failures) if self.alert is not None else 0
        if self.alert is not None and self.alert.is_failure:
            texts = dict.fromkeys([self.alert.text, self.alert.short_text])
            yield _Alarm(_Level.LOST, tuple(f"{glyphs.broken} {sanitize(text)}" for text in texts))
        failed = funnel.troubles.get(Trouble.FAILED, 0) - new  # the alert names the new ones
        if failed > 0:
            yield _failed(
                f"{glyphs.broken} {failed:,}", {} if new else funnel.failures, " more failed" if new else " failed"
            )
        for notice in filter(None, sanitize(funnel.notice).split("; ")):
            yield self._notice(notice)
        if self.alert is not None and not self.alert.is_failure:
            shown = f"{glyphs.warning} {sanitize(self.alert.text)}"
            yield _Alarm(_Level.WAITS, (shown, ""))  # may be left out: all are counted beside it
        if funnel.stuck:
            since = [
                (summary.oldest_since, summary.is_oldest_least)
                for summary in funnel.stages
                if summary.stuck and summary.oldest_since
            ]
            oldest, is_least = min(since, default=(now, False))
            age = f" {least_age_text(oldest, now, self.as_of or now, is_least=is_least)}" if since else ""
            stuck = f"{glyphs.warning} {funnel.stuck:,} stuck"
            yield _Alarm(_Level.WAITS, tuple(dict.fromkeys([f"{stuck}{age}", stuck])), kept=2)

    def _notice(self, notice: str) -> _Alarm:
        """A notice; that of the worker as `WORKER DOWN`, after the title of its session if there are several."""
        glyphs = self.display_options.glyphs
        title, is_worker, details = notice.partition(_WORKER_NOTICE)
        if not is_worker and _SILENCE_NOTICE in notice:
            return _note([notice], glyphs)  # a fact, which a working worker may show as well
        if not is_worker:
            return _note([f"{glyphs.waiting} {notice}"], glyphs)
        start, details = f"{glyphs.warning} {title}WORKER DOWN", details.removeprefix(": ")
        figure = details.rpartition(", ")[2].partition(" though ")[0]
        texts = (f"{start} {glyphs.dot} {details}", f"{start} {glyphs.dot} {figure}", start)
        return _Alarm(_Level.WAITS, tuple(dict.fromkeys(texts)))


def _retry_text(connection: Connection, now: datetime) -> str:
    if connection.next_try_on is None:
        return ""
    seconds = (connection.next_try_on - now).total_seconds()
    return f"retry in {age_text(seconds)}" if seconds >= 1 else "retry now"


def _cells(texts: Sequence[str], dot: str) -> int:
    return cell_len(dot.join(filter(None, texts)))


def _shortened(alarms: Sequence[_Alarm], dot: str, width: int) -> Sequence[str]:
    """The texts of the alarms, shortened until they fit or none can be shortened."""
    lefts = [list(alarm.texts) for alarm in alarms]
    while _cells(texts := [left[0] for left in lefts], dot) > width:
        shown = [index for index, left in enumerate(lefts) if len(left) > 1]
        shown = [index for index in shown if len(lefts[index]) > alarms[index].kept] or shown
        if not shown:
            break
        del lefts[max(shown, key=lambda index: (alarms[index].level is _Level.NOTE, len(lefts[index][0])))][0]
    return texts


def _whole_count(texts: Sequence[str], dot: str, width: int) -> tuple[int, str]:
    """How many texts fit, the last of them cut if enough of it is left, and a text for how many more there are."""
    for count in range(len(texts), 1, -1):
        more = f"{dot}+{len(texts) - count:,} more" if count < len(texts) else ""
        room = width - _cells((*texts[: count - 1], more and more[len(dot) :], "x"), dot) + 1
        if room >= min(cell_len(texts[count - 1]), _MIN_ALARM_CELLS):
            return count, more
    return 1, f"{dot}+{len(texts) - 1:,} more" if len(texts) > 1 else ""


def _lengthened(alarms: Sequence[_Alarm], texts: Sequence[str], dot: str, width: int) -> Sequence[str]:
    """The texts, lengthened as far as cells are free: first that of the most serious alarm."""
    longer = list(texts)
    for index, text in enumerate(texts):
        room = width - _cells((*longer[:index], *longer[index + 1 :], "x"), dot) + 1
        longer[index] = alarms[index].longest(text, room)
    return longer


def _outage(start: str, reason: str, retry: str, level: _Level, glyphs: Glyphs) -> _Alarm:
    """`✗ OFFLINE 2m · connection refused · retry in 8s` with a shorter cause, then without the retry, at last without cause."""
    short = _URL.sub("", reason).strip()
    shortest = _IN_PARENTHESES.sub("", short).strip()
    cause = short if cell_len(short) <= _OUTAGE_CELLS else truncate_at_word(shortest, _OUTAGE_CELLS, glyphs.ellipsis)

    def text(*parts: str) -> str:
        return f" {glyphs.dot} ".join(filter(None, (start, *parts)))

    def cut(*ends: str) -> Callable[[int], str]:
        return lambda cells: text(truncate_at_word(shortest, cells, glyphs.ellipsis), *ends)

    causes = dict.fromkeys([reason, short, shortest, cause])
    texts = dict.fromkeys([*(text(one, retry) for one in causes), text(cause), text()])
    cuts = (_Cut(cut(retry), _OUTAGE_CELLS), _Cut(cut(), _MIN_CAUSE_CELLS)) if cause else ()
    return _Alarm(level, tuple(texts), 2 if level is _Level.LOST and cause else 1, cuts)


def _note(texts: Sequence[str], glyphs: Glyphs) -> _Alarm:
    """A note, cut as far as alarms need its cells: they are more serious."""

    def cut(cells: int) -> str:
        return truncate_at_word(texts[-1], cells, glyphs.ellipsis)

    return _Alarm(_Level.NOTE, tuple(dict.fromkeys([*texts, cut(_NOTE_CELLS)])), cuts=(_Cut(cut, _NOTE_CELLS),))


def _failed(start: str, failures: Mapping[str, int], word: str) -> _Alarm:
    """`✗ 7 failed: 3 bad file hash, 3 wrong size, 1 bad chunk hash` with shorter, then fewer causes, at last without."""

    def cut(shown: int) -> Callable[[int], str]:
        return lambda cells: f"{start}{word}{_causes_text(failures, shown, cells)}"

    counts = range(min(_MAX_CAUSES, len(failures)), 0, -1)
    whole = [cut(shown)(_WHOLE_CELLS) for shown in counts[:1]]
    texts = dict.fromkeys([*whole, *(cut(shown)(_CAUSE_CELLS) for shown in counts), f"{start}{word}"])
    cuts = tuple(_Cut(cut(shown), _CAUSE_CELLS if shown > 1 else _MIN_CAUSE_CELLS) for shown in counts)
    return _Alarm(_Level.LOST, tuple(texts), cuts=cuts)


def _causes_text(failures: Mapping[str, int], shown: int, cause_cells: int) -> str:
    """`: 4 wrong size, 6 more`: the `shown` most frequent causes with their counts, each in at most `cause_cells`."""
    counts: Counter[str] = Counter()
    for cause, count in failures.items():
        counts[truncate_at_word(short_cause(cause) or sanitize(cause) or "no reason given", cause_cells)] += count
    causes = counts.most_common()
    others = sum(count for _, count in causes[shown:])
    texts = [f"{count:,} {cause}" for cause, count in causes[:shown]]
    return f": {', '.join([*texts, *([f'{others:,} more'] if others else [])])}"
