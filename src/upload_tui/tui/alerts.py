"""What the user is alerted to: failed, stuck and contradictory uploads."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

from upload_tui.monitor import TROUBLE_WORDS, Change, Picture, Query, Row, SortKey, StageReached, Trouble, UploadKey
from upload_tui.status import Stage
from upload_tui.text import name_or_id, plural, short_cause
from upload_tui.tui.fitting import MAX_CAUSES, cause_text, causes_text, truncate_middle

__all__ = [
    "Alert",
    "AlertNotifications",
    "AlertSettings",
    "Alerts",
    "alerts_text",
    "desktop_notification",
]

_NAME_CELLS = 32
_CAUSE_CELLS = 24
"""Causes whose texts in this width are the same are alerted as one; each of several is cut to it."""
_MAX_CAUSE_CELLS = 120
"""The cause of an alert is cut to this."""


class AlertSettings(Struct, frozen=True):
    """How to alert, besides a notification on the screen.

    Attributes:
        bell: ring the terminal's bell.
        desktop: ask the terminal for a desktop notification (OSC 9).
        quiet_seconds: the shortest time between two alerts of one cause; failures in between are alerted together.
    """

    bell: bool = False
    desktop: bool = False
    quiet_seconds: float = 60.0


_ALERTED_TROUBLES = (Trouble.CONTRADICTORY, Trouble.STUCK)
_IN_TROUBLE = Query(trouble_only=True, sort=SortKey.TROUBLE)
_MAX_COMPARED = 200
"""Stuck and contradictory uploads, the newest of each, that are compared with those before; of more, the numbers are."""
_NEVER = datetime.min.replace(tzinfo=UTC)


class Alert(Struct, frozen=True):
    """Failures, the oldest first, or uploads that became stuck or contradictory.

    Attributes:
        failures: empty if it is about stuck or contradictory uploads.
        trouble: stuck or contradictory; None if it is about failures.
        rows: some of the stuck or contradictory uploads.
        others: how many more of them there are.
    """

    failures: tuple[StageReached, ...] = ()
    trouble: Trouble | None = None
    rows: tuple[Row, ...] = ()
    others: int = 0

    @property
    def services(self) -> frozenset[str]:
        """The services of the uploads; failures are of one."""
        return frozenset([*(one.upload.service for one in self.failures), *(row.service for row in self.rows)])

    @property
    def is_failure(self) -> bool:
        """True if data are lost or false; False if uploads only wait."""
        return self.trouble is not Trouble.STUCK

    @property
    def text(self) -> str:
        """One line without control characters, with the cause of failures."""
        if self.trouble is not None:
            names, what, cause = (
                [name_or_id(row.name, row.id) for row in self.rows],
                TROUBLE_WORDS[self.trouble],
                "",
            )
        else:
            names, what = [name_or_id(one.upload.name, one.upload.id) for one in self._last_failures], "failed"
            cause = f": {self._causes()}"
        count = len(names) + self.others
        if count == len(names) == 1:
            return f"{truncate_middle(names[0], _NAME_CELLS)} {what}{cause}"
        return f"{plural(count, 'upload')} {'newly ' if self.trouble else ''}{what}{cause}"

    @property
    def _last_failures(self) -> Collection[StageReached]:
        """The last failure of each upload: one that is sent again may fail again."""
        return {failure.upload.key: failure for failure in self.failures}.values()

    def _causes(self) -> str:
        """The cause of all failures, or the most frequent ones with their counts."""
        messages = Counter(failure.error_message or "" for failure in self._last_failures)
        texts = {short_cause(message) or cause_text(message, _MAX_CAUSE_CELLS, "…") for message in messages}
        return texts.pop() if len(texts) == 1 else causes_text(messages, MAX_CAUSES, _CAUSE_CELLS)


class _Compared(Struct, frozen=True):
    """What the last comparison found of the uploads with one kind of trouble.

    Attributes:
        ids: the keys of those that were compared, now or before.
        total: the number of all of them.
        since: when the stage of the oldest compared upload began; None if all uploads were compared.
    """

    ids: frozenset[UploadKey]
    total: int
    since: datetime | None


class Alerts(Struct):
    """Collects what goes wrong until its alert is due.

    Attributes:
        settings: how to alert.
        of_services: the same of each service, if there are several.
    """

    settings: AlertSettings
    of_services: Mapping[str, AlertSettings] = field(default_factory=dict)
    _found: list[Alert] = field(default_factory=list)
    """Since the last call of `found`."""
    _waiting: dict[tuple[str, str], list[StageReached]] = field(default_factory=dict)
    """By service and cause."""
    _waiting_rows: dict[Trouble, Alert] = field(default_factory=dict)
    _alerted_on: dict[Trouble | tuple[str, str], datetime] = field(default_factory=dict)
    _compared: dict[Trouble, _Compared] = field(default_factory=dict)
    """What the last comparison found; empty before the first."""

    def add(self, changes: Iterable[Change]) -> None:
        """Add the failures among these changes."""
        for change in changes:
            if isinstance(change, StageReached) and change.after is Stage.ERROR:
                cause = cause_text(change.error_message or "", _CAUSE_CELLS, "…")
                self._waiting.setdefault((change.upload.service, cause), []).append(change)
                self._found.append(Alert((change,)))

    def settings_for(self, alert: Alert) -> AlertSettings:
        """How to send an alert: as one of its services says."""
        settings = [self.of_services.get(service, self.settings) for service in alert.services] or [self.settings]
        return AlertSettings(any(one.bell for one in settings), any(one.desktop for one in settings))

    def compare(self, picture: Picture) -> None:
        """Add the uploads that became stuck or contradictory since the last call; the first call adds none.

        A stale upload is added only when it is current again: its project cannot be read, so it may already be verified.
        """
        troubles = picture.funnel().troubles
        contradictory, stuck = (troubles.get(trouble, 0) for trouble in _ALERTED_TROUBLES)
        # In this order the newest contradictory upload is the first of its kind, and the newest stuck one the last.
        end = contradictory + stuck
        for trouble, total, start, group_end in (
            (Trouble.CONTRADICTORY, contradictory, 0, contradictory),
            (Trouble.STUCK, stuck, max(contradictory, end - _MAX_COMPARED), end),
        ):
            if total == 0 or _ends_with(picture, trouble, group_end):
                rows = picture.window(_IN_TROUBLE, start, min(total, _MAX_COMPARED)).rows if total else ()
                self._compare(trouble, rows, total)

    def _compare(self, trouble: Trouble, rows: Sequence[Row], total: int) -> None:
        before, is_cut = self._compared.get(trouble), total > len(rows)
        known = frozenset[UploadKey]() if before is None else before.ids
        unknown = [row for row in rows if row.key not in known]
        if before is not None:
            current = [row for row in unknown if not row.is_stale]
            # An older one may have been there before, beyond those that were compared; only the number shows that it is new.
            new = [row for row in current if before.since is None or (row.stage_since or _NEVER) >= before.since]
            others = max(0, total - before.total - len(new) - len(unknown) + len(current)) if is_cut else 0
            if new or others:
                self._found.append(Alert(trouble=trouble, rows=tuple(new), others=others))
                waiting = self._waiting_rows.get(trouble, Alert(trouble=trouble))
                self._waiting_rows[trouble] = Alert(
                    trouble=trouble, rows=(*waiting.rows, *new), others=waiting.others + others
                )
            stale = {row.key for row in unknown if row.is_stale}
        else:
            stale = set()
        ids = frozenset(row.key for row in rows) - stale
        oldest = min((row.stage_since or _NEVER for row in rows), default=None)
        self._compared[trouble] = _Compared(ids | known if is_cut else ids, total, oldest if is_cut else None)

    def pop_found(self) -> Sequence[Alert]:
        """Remove what was found since the last call, whether its alert is due or not, and return it."""
        found, self._found = self._found, []
        return found

    def pop_due(self, now: datetime) -> list[Alert]:
        """Remove the alerts that are due, and return them."""
        self._alerted_on = {cause: on for cause, on in self._alerted_on.items() if now - on < self._quiet_time(cause)}
        waiting: list[Trouble | tuple[str, str]] = [*self._waiting_rows, *self._waiting]
        due = [cause for cause in waiting if cause not in self._alerted_on]
        self._alerted_on.update(dict.fromkeys(due, now))
        return [
            self._waiting_rows.pop(cause) if isinstance(cause, Trouble) else Alert(tuple(self._waiting.pop(cause)))
            for cause in due
        ]

    def _quiet_time(self, cause: Trouble | tuple[str, str]) -> timedelta:
        if isinstance(cause, Trouble):
            all_settings = self.of_services.values() or [self.settings]
        else:
            all_settings = [self.of_services.get(cause[0], self.settings)]
        return timedelta(seconds=min(one.quiet_seconds for one in all_settings))


class AlertNotifications(Struct):
    """Makes one notification of what has just been found; in between, the keys below it can be read.

    What was found longer ago would look as if it were new: the alarm line has its number.

    Attributes:
        pause_seconds: the shortest time from one notification to the next.
        recent_seconds: how long ago something may have been found.
    """

    pause_seconds: float
    recent_seconds: float
    _found: list[tuple[float, Alert]] = field(default_factory=list)
    _shown_at: float | None = None

    def add(self, found: Iterable[Alert], at: float) -> None:
        """Add what was found at a monotonic time."""
        self._found.extend((at, alert) for alert in found)

    def pop_due(self, at: float) -> Sequence[Alert]:
        """Remove the alerts of the notification that is due, and return them; empty if none is. `at` is a monotonic time."""
        self._found = [(found_at, alert) for found_at, alert in self._found if at - found_at <= self.recent_seconds]
        if not self._found or (self._shown_at is not None and at - self._shown_at < self.pause_seconds):
            return ()
        self._shown_at, found, self._found = at, self._found, []
        return [alert for _, alert in found]


def alerts_text(alerts: Iterable[Alert]) -> str:
    """Alerts in one line, the most serious first: `4 uploads failed: 3 bad chunk hash, 1 wrong size · 1 upload newly stuck`."""
    merged: dict[Trouble | None, Alert] = {}
    for alert in alerts:
        before = merged.get(alert.trouble, Alert(trouble=alert.trouble))
        merged[alert.trouble] = Alert(
            failures=before.failures + alert.failures,
            trouble=alert.trouble,
            rows=before.rows + alert.rows,
            others=before.others + alert.others,
        )
    kinds = (Trouble.CONTRADICTORY, None, Trouble.STUCK)
    return " · ".join(merged[kind].text for kind in kinds if kind in merged)


def _ends_with(picture: Picture, trouble: Trouble, end: int) -> bool:
    """Whether the uploads with a trouble end there in the order; if not, the order, which may be long, is older than the numbers."""
    rows = picture.window(_IN_TROUBLE, end - 1, 2).rows
    return [row.trouble is trouble for row in rows] in ([True], [True, False])


def desktop_notification(text: str, *, in_tmux: bool) -> str:
    """The escape sequence (OSC 9) for a desktop notification; tmux needs it wrapped.

    `text` must have no control characters: they would end the sequence.
    """
    sequence = f"\x1b]9;{text}\x07"
    return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\" if in_tmux else sequence
