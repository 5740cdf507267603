"""The rounds of a wait."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from msgspec import Struct
from tests.unit.cli.virtual_program import VirtualClock, restart_time, virtual_time

from upload_tui.cli.access.waits import rounds
from upload_tui.errors import ServiceError, UnreachableError
from upload_tui.monitor import Change, Outcome, PictureChanged, Schedule
from upload_tui.testing import NOW


class Round(Struct):
    """A round in which these uploads end; it may fail, or find a change."""

    ended: Sequence[str] = ()
    error: ServiceError | None = None
    has_change: bool = False


class ScriptedWaiter:
    """Waits for two uploads, in rounds that are given."""

    problem = ""
    notices = ()

    def __init__(self, script: Sequence[Round]) -> None:
        self._script = iter(script)
        self.outcomes = dict.fromkeys(("a", "b"), Outcome.PENDING)
        self.last_error: ServiceError | None = None
        self.changes: list[Change] = []
        self.polled_at: list[float] = []

    @property
    def pending(self) -> Sequence[str]:
        return [one for one, outcome in self.outcomes.items() if outcome is Outcome.PENDING]

    def known_id(self, upload_id: str) -> str:
        return upload_id

    def unknown_state(self, upload_id: str) -> str:
        return ""

    def reason(self, upload_id: str) -> str:
        return ""

    async def poll(self) -> Sequence[str]:
        self.polled_at.append(VirtualClock().monotonic())
        now = next(self._script)
        self.last_error = now.error
        self.changes += [PictureChanged(at=NOW)] * now.has_change
        self.outcomes.update(dict.fromkeys(now.ended, Outcome.REACHED))
        return now.ended


def run(*script: Round) -> tuple[list[Sequence[str]], Sequence[float]]:
    """Run all rounds; return what ended in each, and the seconds between two."""
    waiter, found = ScriptedWaiter(script), list[Sequence[str]]()

    async def wait() -> None:
        async for ended in rounds(waiter, Schedule(jitter=lambda: 0.5), waiter.changes):
            found.append(ended)
            waiter.changes.clear()

    restart_time()
    with virtual_time():
        asyncio.run(wait())
    return found, [round(end - start, 3) for start, end in pairwise(waiter.polled_at)]


def test_rounds_end_with_the_last_upload_and_are_close_together_after_a_change() -> None:
    found, seconds = run(Round(), Round(), Round(["a"]), Round(), Round(has_change=True), Round(), Round(["b"]))
    assert found == [(), (), ["a"], (), (), (), ["b"]]
    assert seconds == [1.5, 2.25, 1, 1.5, 1, 1.5]


def test_a_failure_is_reported_once_and_so_is_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    error = UnreachableError("connection refused", "Wait.")
    run(Round(error=error), Round(error=error), Round(), Round(["a", "b"]))
    assert capsys.readouterr().err.splitlines() == [
        "upload-tui: retrying: connection refused. Wait.",
        "upload-tui: live again.",
    ]
