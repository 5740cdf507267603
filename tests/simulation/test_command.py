"""The arguments of the command, and how it makes a failing run smaller."""

from collections.abc import Collection

import pytest

from tests.simulation import __main__ as command
from tests.simulation import run
from tests.simulation.__main__ import main
from tests.simulation.events import Event, draw_events, draw_options
from tests.simulation.run import Outcome, shrink


@pytest.mark.parametrize(
    "arguments",
    [
        "--statements --only nosuch",
        "--statements --step 0",
        "--statements --step x",
        "--statements --seed 5",
        "--step 2",
        "--only list",
        "--seed 5 --events 999",
        "--seed 5 --events 3-x",
        "--seed 5 --events 5-3",
        "--seed 5 --events ,",
        "--seed x",
        "--events 3",
        "--minutes nan",
        "--minutes 0",
        "--minutes 1 --trace",
    ],
)
def test_a_wrong_argument_is_refused_with_a_sentence(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments.split())
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


class _Runs:
    """Runs of a seed that fail in one way if two of the events happen, in another way if only one of them does."""

    def __init__(self, seed: int, needed: Collection[int]) -> None:
        self._options = draw_options(seed)
        self._seed = seed
        self._needed = {*needed}
        self.events = draw_events(seed, self._options)
        self.tried: list[set[int]] = []

    def run(self, _: object, __: int, kept: frozenset[int]) -> Outcome:
        self.tried.append({*kept})
        return self.outcome([event for event in self.events if event.number in kept])

    def outcome(self, events: list[Event]) -> Outcome:
        found = self._needed & {event.number for event in events}
        seconds = max(event.at for event in self.events if event.number in self._needed) + 0.01
        kind = (AssertionError, "checkers.py", len(found))
        return Outcome(
            self._seed, self._options, events, failure="it" * bool(found), failure_kind=kind, seconds=seconds
        )


def test_a_failing_run_is_made_smaller_while_it_fails_in_the_same_way(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = _Runs(7, [event.number for event in draw_events(7, draw_options(7))][1:7:5])
    monkeypatch.setattr(run, "run_seed", runs.run)
    failed = runs.outcome(runs.events)
    small = shrink(capfd, failed)
    assert {event.number for event in small.events} == {event.number for event in (runs.events[1], runs.events[6])}
    assert runs.tried[0] == {event.number for event in runs.events[:7]}
    runs.tried.clear()
    assert shrink(capfd, failed, max_events=0).failure_kind == failed.failure_kind
    assert len(runs.tried) == 1


def test_a_failure_counts_though_its_shrinking_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> Outcome:
        raise KeyboardInterrupt

    runs = _Runs(7, [0])
    monkeypatch.setattr(command, "run_seed", lambda *_: runs.outcome(runs.events))
    monkeypatch.setattr(command, "shrink", interrupt)
    assert main(["--minutes", "1"]) == 1
