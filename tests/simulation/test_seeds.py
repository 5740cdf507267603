"""Some seeds of the simulation, among them those that found a fault. `python -m tests.simulation` runs fresh ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.events import draw_events, draw_options
from tests.simulation.run import run_seed

pytestmark = pytest.mark.slow

FOUND = {
    # The store of a source was locked after a listing had failed.
    708: [56],
    # A process whose clock was half a second behind took back what another one had read.
    5019: [1, 2, *range(4, 7), 8, 9, *range(11, 17), 18, *range(20, 24), *range(25, 29), *range(32, 39)],
    # A listing failed as its session was cancelled.
    30332: [8, 27, 29, 33, *range(45, 49), 53, 54],
    # The store was locked when a session began.
    90034: [16, 18, 25, 34, 36, 44, 45],
    # A row that could not be read was counted as missing after its upload had been deleted.
    30005: [0, 6],
    # An unreadable row moved while its page was read in pieces, and was not counted any more.
    2001: [*range(5), *range(7, 18), 61, 62],
    # As many new uploads arrived as a page has, and those below were taken for known ones.
    8000022: [*range(3, 23), *range(36, 45), 61, 62, 65, 66],
    # An upload was verified while its store was lost.
    9113: [0, 1, 4, 6, 7, 13, 14, 15, 60, 67, 72, 73, 74],
    # Uploads arrived after the last page had been empty for a deletion, and the rows that closed the gap were taken for the end.
    11000649: [*range(10), 22, 23, 25],
    # An unreadable row came between two pages of a service without totals, and neither had it.
    31000187: [0, 2, 5, 7, 62, 63, 64],
    # An upload was overdue in the table and not in the filter, for the threshold was between two milliseconds.
    23001007: [*range(29)],
    # Uploads were missed between two pieces of a page of a service without totals, and not counted.
    23016064: [*range(48)],
    23017019: [*range(37)],
}
"""Seeds that found a fault, with the events that were enough."""


_PRINT_DIGEST = """
import sys
from _pytest.capture import FDCapture, MultiCapture
from tests.simulation.run import run_seed
capture = MultiCapture(in_=None, out=FDCapture(1), err=FDCapture(2))
capture.start_capturing()
digest = run_seed(capture, int(sys.argv[1])).digest
capture.stop_capturing()
print(digest)
"""


def test_a_run_holds_and_its_seed_decides_the_same_on_another_machine(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One with another time zone, language, home and folder for temporary files, and another order of sets."""
    other = {"TZ": "Asia/Kolkata", "LC_ALL": "C", "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONHASHSEED": "5"}
    env = {**os.environ, **other, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _PRINT_DIGEST, "7"]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    outcome = run_seed(capfd, 7)
    assert not outcome.failure, f"{outcome.detail}\n{outcome.replay}"
    assert printed.strip() == outcome.digest


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_found_a_fault_finds_none_any_more(capfd: pytest.CaptureFixture[str], seed: int) -> None:
    outcome = run_seed(capfd, seed, frozenset(FOUND[seed]))
    assert not outcome.failure, f"{outcome.detail}\n{outcome.replay}"


def test_a_seed_draws_the_same_events_again_each_with_a_seed_of_its_own() -> None:
    events = draw_events(7, draw_options(7))
    assert [*map(str, events)] == [*map(str, draw_events(7, draw_options(7)))]
    assert len({event.seed for event in events}) == len(events)
