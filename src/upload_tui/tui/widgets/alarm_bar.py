"""The alarm line: everything that is wrong, the most serious first; hidden while all is well."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from itertools import islice

from msgspec import Struct
from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.timer import Timer

from upload_tui.lazy import lazy_pattern
from upload_tui.monitor import Connection, ConnectionState, Funnel, Trouble
from upload_tui.text import age_text, sanitize, short_cause
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import truncate_at_word, truncate_middle
from upload_tui.tui.notices import Alert
from upload_tui.tui.widgets.cached_lines import DiffedText
from upload_tui.tui.widgets.pending_list import least_age_text
from upload_tui.tui.widgets.status_bar import others_text, state_word

__all__ = ["AlarmBar"]

_ALERT_SECONDS = 20.0
_MAX_CAUSES = 3
_CAUSE_CELLS, _LONG_CAUSE_CELLS = 24, 60
_NAME_CELLS = 24
_MIN_ALARM_CELLS = 10
"""An alarm that would have fewer cells is only counted."""
_WORKER_NOTICE = "verification worker appears down"
_SILENCE_NOTICE = "none verified for"
_URL_PATH = lazy_pattern(r"(https?://[^\s/]+)/\S*")
"""The path of a URL. Without it, a long reason still fits into the line."""
_URL = lazy_pattern(r":? ?https?://\S+")
_IN_PARENTHESES = lazy_pattern(r" ?\([^)]*\)")
_OUTAGE_CELLS = 32
"""The cause of an outage is not longer than this if there are other alarms."""
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


class _Alarm(Struct, frozen=True):
    """One thing that is wrong, in words: the same in several lengths, the longest first.

    Beyond the last `kept` texts it is shortened only if no other alarm can be.
    """

    level: _Level
    texts: tuple[str, ...]
    kept: int = 1


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
        """The alarms in one line: notes are shortened first, then the longest, before any is cut off."""
        glyphs, width = self.display_options.glyphs, self.size.width - 2
        alarms = list(self._alarms())
        dot = f" {glyphs.dot} "
        while cell_len(dot.join(texts := [alarm.texts[0] for alarm in alarms if alarm.texts[0]])) > width:
            shown = [alarm for alarm in alarms if len(alarm.texts) > 1]
            shown = [alarm for alarm in shown if len(alarm.texts) > alarm.kept] or shown
            longest = max(shown, key=lambda alarm: (alarm.level is _Level.NOTE, len(alarm.texts[0])), default=None)
            if longest is None:
                break
            alarms[alarms.index(longest)] = _Alarm(longest.level, longest.texts[1:], longest.kept)
        return Content(self._line(texts, dot, width))

    def _line(self, texts: Sequence[str], dot: str, width: int) -> str:
        """As many texts as fit, the last of them cut if enough of it is left, and how many more there are."""
        for count in range(len(texts), 0, -1):
            *whole, last = texts[:count]
            head = "".join(f"{text}{dot}" for text in whole)
            more = f"{dot}+{len(texts) - count:,} more" if count < len(texts) else ""
            room = width - cell_len(head + more)
            if not whole or room >= min(cell_len(last), _MIN_ALARM_CELLS):
                return head + truncate_at_word(last, room, self.display_options.glyphs.ellipsis) + more
        return ""

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
        causes = (_URL.sub("", reason).strip(), _IN_PARENTHESES.sub("", _URL.sub("", reason)).strip())
        cause = next((cause for cause in causes if cell_len(cause) <= _OUTAGE_CELLS), causes[-1])
        cause = truncate_at_word(cause, _OUTAGE_CELLS, glyphs.ellipsis)
        parts = [(state, reason, retry), (state, cause, retry), (state, cause), (state,)]
        if not state:
            parts = [(reason, retry), (reason,), (_URL.sub("", _ASIDE.sub("", reason)).strip(),)]
        texts = dict.fromkeys(f"{sign} {f' {glyphs.dot} '.join(filter(None, some))}" for some in parts)
        is_over = connection.state is ConnectionState.DELETED and connection.is_partly_live
        level = _Level.LOST if word and not is_over else _Level.NOTE
        yield _Alarm(level, tuple(texts), kept=2 if level is _Level.LOST and cause else 1)

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
            endings = [" more failed"] if new else [f" failed{text}" for text in _causes_texts(funnel.failures)]
            yield _Alarm(_Level.LOST, tuple(f"{glyphs.broken} {failed:,}{text}" for text in endings))
        for notice in filter(None, sanitize(funnel.notice).split("; ")):
            yield self._notice(notice)
        if self.alert is not None and not self.alert.is_failure:
            shown = f"{glyphs.warning} {sanitize(self.alert.text)}"
            yield _Alarm(_Level.WAITS, (shown, ""))  # may be left out: all are counted beside it
        if funnel.stuck:
            since = [summary.oldest_since for summary in funnel.stages if summary.stuck and summary.oldest_since]
            age = f" {least_age_text(min(since), now, self.as_of or now)}" if since else ""
            stuck = f"{glyphs.warning} {funnel.stuck:,} stuck"
            yield _Alarm(_Level.WAITS, tuple(dict.fromkeys([f"{stuck}{age}", stuck])), kept=2)

    def _notice(self, notice: str) -> _Alarm:
        """A notice; that of the worker as `WORKER DOWN`, after the title of its session if there are several."""
        glyphs = self.display_options.glyphs
        title, is_worker, details = notice.partition(_WORKER_NOTICE)
        if not is_worker and _SILENCE_NOTICE in notice:
            return _Alarm(_Level.NOTE, (notice,))  # a fact, which a working worker may show as well
        if not is_worker:
            return _Alarm(_Level.NOTE, (f"{glyphs.waiting} {notice}",))
        start, details = f"{glyphs.warning} {title}WORKER DOWN", details.removeprefix(": ")
        figure = details.rpartition(", ")[2].partition(" though ")[0]
        texts = (f"{start} {glyphs.dot} {details}", f"{start} {glyphs.dot} {figure}", start)
        return _Alarm(_Level.WAITS, tuple(dict.fromkeys(texts)))


def _retry_text(connection: Connection, now: datetime) -> str:
    if connection.next_try_on is None:
        return ""
    seconds = (connection.next_try_on - now).total_seconds()
    return f"retry in {age_text(seconds)}" if seconds >= 1 else "retry now"


def _causes_texts(failures: Mapping[str, int]) -> Iterator[str]:
    """Yield `: 3 bad file hash, 3 wrong size, 1 bad chunk hash` with shorter, then fewer causes, at last an empty text."""
    yield from islice(_counts_texts(failures, _LONG_CAUSE_CELLS), 1)
    yield from _counts_texts(failures, _CAUSE_CELLS)
    yield ""


def _counts_texts(failures: Mapping[str, int], cause_cells: int) -> Iterator[str]:
    """Yield the causes with their counts, then fewer and fewer."""
    counts: Counter[str] = Counter()
    for cause, count in failures.items():
        counts[truncate_at_word(short_cause(cause) or sanitize(cause) or "no reason given", cause_cells)] += count
    causes = counts.most_common()
    for shown in range(min(_MAX_CAUSES, len(causes)), 0, -1):
        others = sum(count for _, count in causes[shown:])
        texts = [f"{count:,} {cause}" for cause, count in causes[:shown]]
        yield f": {', '.join([*texts, *([f'{others:,} more'] if others else [])])}"
