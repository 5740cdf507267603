"""When the deployed service's worker probably tries again."""

from datetime import timedelta

import pytest
from upload_tui.monitor.analysis.retries import MAX_RETRIES, estimate_retries

from upload_tui.testing import NOW


@pytest.mark.parametrize(
    ("age_seconds", "passed", "next_in_seconds"),
    [(0, 0, 1), (1, 1, 5), (5, 1, 1), (6, 2, 25), (31, 3, 125), (780, 4, 1), (3905, 5, 1), (3906, MAX_RETRIES, None)],
)
def test_the_next_try_is_as_far_as_the_intervals_say(
    age_seconds: float, passed: int, next_in_seconds: float | None
) -> None:
    attempts = estimate_retries(NOW - timedelta(seconds=age_seconds), NOW)
    assert attempts.past_retries == passed
    assert attempts.next_on == (None if next_in_seconds is None else NOW + timedelta(seconds=next_in_seconds))
