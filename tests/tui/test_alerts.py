"""Alerts about failed uploads, and the summary since the last visit."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import count, repeat
from typing import Any

import pytest
from msgspec.structs import replace
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.scrollbar import ScrollBar
from textual.widgets._toast import Toast, ToastHolder, ToastRack

from tests.tui.dashboards import mixed, opened, toasts, until
from upload_tui.monitor import InMemoryPicture, LastVisit, Query, SortKey, StageReached, Store, Trouble
from upload_tui.monitor.store.database import Limits
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload, dashboard, settled
from upload_tui.tui import AlertSettings, CommandResult, UploadApp
from upload_tui.tui.alerts import Alert, AlertNotifications, Alerts, alerts_text, desktop_notification
from upload_tui.tui.widgets.alarm_bar import AlarmBar
from upload_tui.tui.widgets.footer import KeyFooter
from upload_tui.wire import CHUNK_HASH_DIFFERS, SIZE_DIFFERS


def failed(*names: str, message: str = SIZE_DIFFERS) -> list[StageReached]:
    session = InMemorySession()
    session.publish(*(an_upload(name, completed=60, error=20, message=message) for name in names))
    reached = [change for change in session.changes.history(1000) if isinstance(change, StageReached)]
    session.close()
    return [change for change in reached if change.after is Stage.ERROR]


def test_a_cause_is_alerted_once_within_the_quiet_time() -> None:
    alerts = Alerts(AlertSettings(quiet_seconds=60))
    alerts.add(failed("one.bin"))
    assert [alert.text for alert in alerts.pop_due(NOW)] == ["one.bin failed: wrong size"]
    alerts.add(failed("two.bin", "three.bin"))
    alerts.add(failed("four.bin", message=CHUNK_HASH_DIFFERS))
    assert [alert.text for alert in alerts.pop_due(NOW + timedelta(seconds=59))] == ["four.bin failed: bad chunk hash"]
    assert [alert.text for alert in alerts.pop_due(NOW + timedelta(seconds=60))] == ["2 uploads failed: wrong size"]
    assert alerts.pop_due(NOW + timedelta(seconds=500)) == []


def test_an_upload_that_fails_again_is_counted_once_with_its_last_cause() -> None:
    one, two = failed("one.bin"), failed("two.bin")
    again = failed("one.bin", message=CHUNK_HASH_DIFFERS)
    assert Alert((*one, *two, *again)).text == "2 uploads failed: 1 bad chunk hash, 1 wrong size"
    assert Alert((*one, *again)).text == "one.bin failed: bad chunk hash"


def test_each_service_has_its_own_quiet_time_and_alerts() -> None:
    alerts = Alerts(
        AlertSettings(), {"a": AlertSettings(bell=True, quiet_seconds=60), "b": AlertSettings(desktop=True)}
    )
    both = [replace(one, upload=replace(one.upload, service=service)) for one in failed("one") for service in "ab"]
    alerts.add(both)
    due = alerts.pop_due(NOW)
    assert [[one.upload.service for one in alert.failures] for alert in due] == [["a"], ["b"]]
    sent = [alerts.settings_for(alert) for alert in due]
    assert [(one.bell, one.desktop) for one in sent] == [(True, False), (False, True)]


def test_every_failure_is_alerted_without_a_quiet_time() -> None:
    alerts = Alerts(AlertSettings(quiet_seconds=0))
    for name in ("one.bin", "two.bin"):
        alerts.add(failed(name))
        assert [alert.text for alert in alerts.pop_due(NOW)] == [f"{name} failed: wrong size"]


def test_a_notification_has_no_control_characters_of_a_name() -> None:
    (alert,) = _due(failed("\x1b]0;owned\x07.txt"))
    assert "\x1b" not in alert
    assert desktop_notification("x", in_tmux=False) == "\x1b]9;x\x07"
    assert desktop_notification("x", in_tmux=True) == "\x1bPtmux;\x1b\x1b]9;x\x07\x1b\\"


def _due(changes: Sequence[StageReached]) -> list[str]:
    alerts = Alerts(AlertSettings())
    alerts.add(changes)
    return [alert.text for alert in alerts.pop_due(NOW)]


async def test_failures_are_counted_notified_and_passed_to_the_hook() -> None:
    recorded: list[str] = []
    is_read = asyncio.Event()

    async def record(failures: Sequence[StageReached]) -> CommandResult:
        await is_read.wait()
        recorded.extend(failure.upload.name for failure in failures)
        return CommandResult("on_error: cat '>>' x: exit code 1.", is_ok=False)

    session = InMemorySession()
    app = UploadApp(session, on_failures=record)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        long = "permission denied by the storage of this project"
        session.publish(
            an_upload("one.bin", completed=60, error=20, message=SIZE_DIFFERS),
            an_upload("two.bin", completed=60, error=20, message=long),
        )
        both = "2 uploads failed: 1 wrong size, 1 permission denied by…"
        await until(pilot, lambda: toasts(pilot) == [both])
        is_read.set()
        bar = app.screen.query_one(AlarmBar)
        await until(pilot, lambda: recorded == ["one.bin", "two.bin"])
        assert "2 failed: 1 permission denied by" in bar.render().plain
        await until(pilot, lambda: toasts(pilot) == ["on_error: cat '>>' x: exit code 1."])
    session.close()


_SHOWN, _PAUSE, _RECENT = 8, 40, 10
_CAUSES = (CHUNK_HASH_DIFFERS, SIZE_DIFFERS, "permission denied by the storage")


@pytest.mark.parametrize("quiet_seconds", [0, 60])
def test_however_often_uploads_fail_notifications_cover_the_keys_for_a_fifth_of_the_time(quiet_seconds: float) -> None:
    alerts, notifications = Alerts(AlertSettings(quiet_seconds=quiet_seconds)), AlertNotifications(_PAUSE, _RECENT)
    covered, shown = set[int](), list[str]()
    seconds = 6 * _PAUSE
    failures = [
        iter(failed(*(f"{second}.bin" for second in range(number, seconds, 3)), message=cause))
        for number, cause in enumerate(_CAUSES)
    ]
    for second in range(seconds):
        alerts.add([next(failures[second % 3])])
        alerts.pop_due(NOW + timedelta(seconds=second))
        notifications.add(alerts.pop_found(), 1000.0 + second)
        if due := notifications.pop_due(1000.0 + second):
            shown.append(alerts_text(due))
            covered |= set(range(second, second + _SHOWN))
    assert len(covered) <= seconds * _SHOWN / _PAUSE
    assert len(shown) == seconds / _PAUSE
    assert shown[0] == "0.bin failed: bad chunk hash"
    assert shown[1] == "11 uploads failed: 4 bad chunk hash, 4 wrong size, 3 permission denied by…"


def test_a_notification_has_what_was_just_found_the_most_serious_first() -> None:
    session = InMemorySession([an_upload("half.bin", initiated=60, completed=50, verified=40, chunks=(1, 3))])
    stuck = [an_upload(f"{name}.bin", initiated=9000, completed=8000) for name in "abc"]
    session.picture.update(*stuck)
    half, *waiting = session.picture.window(Query(sort=SortKey.TROUBLE), 0, 4).rows
    notifications = AlertNotifications(_PAUSE, _RECENT)
    notifications.add([Alert(trouble=Trouble.STUCK, rows=(waiting[0],)), Alert(tuple(failed("one.bin")))], 0)
    assert alerts_text(notifications.pop_due(0)) == "one.bin failed: wrong size · a.bin stuck"
    notifications.add([Alert(tuple(failed("long ago.bin")))], _PAUSE - _RECENT - 1)
    recent = [Alert(trouble=Trouble.STUCK, rows=(waiting[1],), others=4), Alert(tuple(failed("two.bin")))]
    notifications.add(recent, _PAUSE - _RECENT)
    assert notifications.pop_due(_PAUSE - 1) == ()
    notifications.add([Alert(tuple(failed("three.bin", "four.bin", message=CHUNK_HASH_DIFFERS)))], _PAUSE - 1)
    kinds = [(Trouble.STUCK, waiting[2]), (Trouble.CONTRADICTORY, half)]
    notifications.add([Alert(trouble=trouble, rows=(row,)) for trouble, row in kinds], _PAUSE)
    assert alerts_text(notifications.pop_due(_PAUSE)) == (
        "half.bin verified but not whole · 3 uploads failed: 2 bad chunk hash, 1 wrong size · 6 uploads newly stuck"
    )
    assert notifications.pop_due(1000) == ()
    session.close()


def test_failures_within_seconds_are_not_shown_as_new_when_their_alert_is_due() -> None:
    alerts, notifications = Alerts(AlertSettings(quiet_seconds=60)), AlertNotifications(_PAUSE, _RECENT)
    shown, sent = list[str](), list[str]()
    for second in range(200):
        if second < 7:
            alerts.add(failed(f"{second}.bin"))
        sent += [f"{second} s: {alert.text}" for alert in alerts.pop_due(NOW + timedelta(seconds=second))]
        notifications.add(alerts.pop_found(), second)
        shown += [f"{second} s: {alerts_text(due)}"] if (due := notifications.pop_due(second)) else []
    assert shown == ["0 s: 0.bin failed: wrong size"]
    assert sent == ["0 s: 0.bin failed: wrong size", "60 s: 6 uploads failed: wrong size"]


async def test_a_failure_soon_after_another_does_not_cover_the_keys_again() -> None:
    async with opened([]) as (pilot, session, _):
        session.publish(an_upload("one.bin", completed=60, error=20, message=SIZE_DIFFERS))
        await until(pilot, lambda: toasts(pilot) == ["one.bin failed: wrong size"])
        pilot.app.clear_notifications()
        session.publish(an_upload("two.bin", completed=60, error=20, message=CHUNK_HASH_DIFFERS))
        await until(pilot, lambda: "2 failed" in pilot.app.screen.query_one(AlarmBar).render().plain)
        assert toasts(pilot) == []


def test_what_becomes_stuck_or_contradictory_is_alerted_and_what_was_is_not() -> None:
    session = InMemorySession(
        [an_upload("old.bin", initiated=9000, completed=8000), an_upload("new.bin", initiated=60)]
    )
    alerts = Alerts(AlertSettings())
    alerts.compare(session.picture)
    assert alerts.pop_due(NOW) == []
    session.picture.update(
        an_upload("new.bin", initiated=9000, completed=8000),
        an_upload("half.bin", initiated=60, completed=50, verified=40, chunks=(1, 3)),
    )
    for _ in range(2):
        alerts.compare(session.picture)
    due = alerts.pop_due(NOW)
    assert [(alert.text, alert.is_failure) for alert in due] == [
        ("half.bin verified but not whole", True),
        ("new.bin stuck", False),
    ]
    assert not any(alert.failures for alert in due)
    session.close()


def test_a_stale_upload_is_alerted_once_it_is_current_again() -> None:
    session = InMemorySession([an_upload("new.bin", initiated=60)])
    alerts = Alerts(AlertSettings())
    alerts.compare(session.picture)
    upload = an_upload("new.bin", initiated=9000, completed=8000)
    session.picture.update(upload)
    session.picture.mark(upload["id"], stale=True)
    alerts.compare(session.picture)
    assert alerts.pop_due(NOW) == []
    session.picture.mark(upload["id"], stale=False)
    alerts.compare(session.picture)
    assert [alert.text for alert in alerts.pop_due(NOW)] == ["new.bin stuck"]
    session.close()


class Wrong:
    """A picture of uploads that are stuck or contradictory, by their age in seconds, and its alerts, which know them."""

    def __init__(self, kind: str, ages: Iterable[int], seconds: Iterator[float] | None = None) -> None:
        self.kind = kind
        self.seconds = seconds or repeat(0.0)
        """What the store's stopwatch shows."""
        store = Store(monotonic=lambda: next(self.seconds), limits=Limits(long_list_rows=1))
        uploads = [self.upload(age) for age in ages]
        self.picture = InMemoryPicture(uploads, clock=FrozenClock(), service="https://example.org", store=store)
        self.alerts = Alerts(AlertSettings(quiet_seconds=0))
        assert self.alerted() == []

    def upload(self, age: int, *, is_wrong: bool = True) -> dict[str, Any]:
        if self.kind == "stuck":
            verified = None if is_wrong else age - 5
            return an_upload(f"{age}.bin", initiated=age + 20, completed=age, verified=verified)
        chunks = (1, 3) if is_wrong else (1, 2, 3, 4)
        return an_upload(f"{age}.bin", initiated=age + 20, completed=age + 10, verified=age, chunks=chunks)

    def update(self, *ages: int, is_wrong: bool = True) -> None:
        self.picture.update(*(self.upload(age, is_wrong=is_wrong) for age in ages))

    def alerted(self) -> list[str]:
        """The alerts of a comparison."""
        self.alerts.compare(self.picture)
        return [alert.text for alert in self.alerts.pop_due(self.picture.clock.now())]


@pytest.mark.parametrize(("kind", "word"), [("stuck", "stuck"), ("contradictory", "verified but not whole")])
def test_of_more_wrong_uploads_than_are_compared_each_is_alerted_once(kind: str, word: str) -> None:
    wrong = Wrong(kind, range(10_000, 10_330))
    wrong.update(9000)
    assert wrong.alerted() == [f"9000.bin {word}"]
    assert wrong.alerted() == []
    wrong.update(*range(10_000, 10_100), is_wrong=False)  # older ones take their place among those that are compared
    assert wrong.alerted() == []
    wrong.update(*range(10_000, 10_100))
    assert wrong.alerted() == [f"100 uploads newly {word}"]
    wrong.update(20_000, 20_001)  # beyond those that are compared
    assert wrong.alerted() == [f"2 uploads newly {word}"]
    wrong.update(8000, 20_002)
    assert wrong.alerted() == [f"2 uploads newly {word}"]
    assert wrong.alerted() == []
    wrong.picture.close()


def test_an_order_that_is_older_than_the_numbers_is_not_compared() -> None:
    slow_machine = count(1.0)  # so that the order is not made again for a while
    wrong = Wrong("stuck", range(10_000, 10_003), slow_machine)
    wrong.update(9000)
    assert wrong.alerted() == []
    wrong.seconds = repeat(1000.0)
    assert wrong.alerted() == ["9000.bin stuck"]
    assert wrong.alerted() == []
    wrong.picture.close()


async def test_the_summary_since_the_last_visit_is_shown_once_the_session_is_live() -> None:
    uploads = [
        an_upload("before.bin", initiated=9000, completed=8900, verified=8800),
        an_upload("failed.bin", initiated=900, completed=800, error=700),
        an_upload("verified.bin", initiated=8000, completed=7900, verified=60),
        an_upload("stuck-before.bin", initiated=9000, completed=8000),
        an_upload("stuck-now.bin", initiated=7100, completed=3000),
    ]
    stuck_before = str(uploads[3]["id"])
    last_visit = LastVisit(NOW - timedelta(hours=2), frozenset({stuck_before}))
    async with opened(uploads, last_visit=last_visit) as (pilot, session, _):
        session.publish()
        await until(pilot, lambda: bool(toasts(pilot)))
        summary = "Since your last visit 2h 00m ago: 1 failed, 1 newly stuck, 2 new, 1 verified"
        assert toasts(pilot) == [summary]
        for command in pilot.app.get_system_commands(pilot.app.screen):
            if command.title == "Since your last visit":
                command.callback()
        await until(pilot, lambda: toasts(pilot) == [summary])


_LONG = "Exported to /srv/imaging/2026/exports/" + "plate-" * 40


def read_regions(screen: Screen[Any]) -> Iterator[Region]:
    """Where text is that must stay readable: dialogs, or else everything inside of borders but the footer and the notifications."""
    for widget, place in screen._compositor.full_map.items():
        region, clip = place.region, place.clip
        if isinstance(widget, (KeyFooter, ToastRack, Toast, ToastHolder)) or region.intersection(clip).area == 0:
            continue
        if isinstance(screen, ModalScreen):
            if widget.parent is screen:
                yield region.intersection(clip)
        elif not widget.children and not (widget.has_class("-aside") or isinstance(widget, ScrollBar)):
            yield widget.content_region.intersection(clip)


@pytest.mark.parametrize("key", ["", "enter", "slash", "question_mark", "p", "c", "w", "ctrl+p"])
async def test_notifications_cover_only_a_border_and_the_footer(key: str) -> None:
    async with opened(mixed(), has_notifications=True) as (pilot, _, _table):
        await pilot.press(*filter(None, [key]))
        screen = pilot.app.screen
        for size in ((200, 60), (20, 6), (20, 8), (80, 11), (48, 12), (60, 20), (80, 24)):
            await pilot.resize_terminal(*size)  # the notification of the size before is fitted to this one
            has_one_line = key == "slash" or (size[1] < 12 and not isinstance(screen, ModalScreen))
            height = 1 if has_one_line else 2
            if size == (200, 60):
                pilot.app.notify("Copied 3 ids")
                pilot.app.notify(_LONG, timeout=1000)
            await until(pilot, partial(is_fitted, pilot, height))
            place, is_low = screen._compositor.full_map[screen.query_one(Toast)], "-flat" in screen.classes
            shown = place.region.intersection(place.clip)
            assert shown.height == height
            assert screen.region.contains_region(shown)
            covered = [one for one in read_regions(screen) if one.overlaps(shown)]
            assert not covered or (is_low and not isinstance(screen, ModalScreen)), (size, shown, covered)


@pytest.mark.parametrize(
    ("lines", "width", "text"),
    [
        (1, 80, "line 1"),
        (2, 80, "line 1\nline 2"),
        (4, 80, "line 1\nline 2 line 3 line 4"),
        (4, 20, "line 1\nline 2 line 3…"),
    ],
)
async def test_no_line_of_a_notification_is_lost_without_a_sign(lines: int, width: int, text: str) -> None:
    async with dashboard([]).run_test(size=(width, 24), notifications=True) as pilot:
        pilot.app.notify("\n".join(f"line {number}" for number in range(1, lines + 1)))
        await until(pilot, lambda: toasts(pilot) == [text])


def is_fitted(pilot: Pilot[int], height: int) -> bool:
    """Whether the long notification is shown in this number of lines, none of which is wider than the screen, with an ellipsis."""
    regions = [toast.region.height for toast in pilot.app.screen.query(Toast)]
    lines = [line for text in toasts(pilot) for line in text.split("\n")]
    widest = max(map(len, lines), default=0)
    return (
        regions == [height] and len(lines) == height and lines[-1].endswith("…") and widest <= pilot.app.size.width - 3
    )


async def test_a_notification_of_an_app_that_ends_is_dropped() -> None:
    async with opened(mixed()) as (pilot, _, _):
        app = pilot.app
        assert isinstance(app, UploadApp)
    app.notify("Late")
    app._show_notification()  # as the event loop does while the app closes its screens
    assert not toasts(pilot)
