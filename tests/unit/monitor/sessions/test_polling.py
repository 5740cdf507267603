"""The interval between rounds."""

import pytest

from upload_tui.monitor import Schedule, source_schedule


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


@pytest.mark.parametrize("schedule", [Schedule(30), source_schedule(30), source_schedule(0.1)])
@pytest.mark.parametrize("has_pending", [True, False])
def test_the_interval_is_never_shorter_than_the_shortest(schedule: Schedule, *, has_pending: bool) -> None:
    assert schedule.next_seconds(0.01, has_changed=False, has_pending=has_pending) >= schedule.shortest_seconds
