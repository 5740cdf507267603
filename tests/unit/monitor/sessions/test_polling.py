"""The interval between rounds."""

import pytest

from upload_tui.monitor.sessions.schedule import Schedule


def test_the_interval_is_short_after_a_change_and_grows_when_nothing_happens() -> None:
    schedule = Schedule(jitter=lambda: 0.5)
    assert schedule.next_seconds(9, has_changed=True, has_pending=True) == 1
    waits = [1.0]
    for _ in range(10):
        waits.append(schedule.next_seconds(waits[-1], has_changed=False, has_pending=False))
    assert waits == sorted(waits)
    assert waits[-1] == schedule.longest_idle_seconds
    assert schedule.next_seconds(15, has_changed=False, has_pending=True) == schedule.longest_pending_seconds
    assert schedule.with_jitter(10) == pytest.approx(10)
