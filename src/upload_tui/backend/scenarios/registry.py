"""The scenarios, ready to be told."""

from collections.abc import Callable, Coroutine, Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from upload_tui.backend.scenarios import stories
from upload_tui.backend.scenarios.catalogue import DEFAULT_HISTORY_UPLOADS
from upload_tui.backend.scenarios.past import finished_uploads as past_uploads_of
from upload_tui.backend.scenarios.teller import ScenarioRunner
from upload_tui.backend.service import EmbeddedService
from upload_tui.clock import PacedClock

__all__ = ["SCENARIOS", "Scenario"]

Script = Callable[[ScenarioRunner], Coroutine[Any, Any, None]]


class Scenario(Struct, frozen=True):
    """A story in two parts.

    Attributes:
        present: goes on at the clock's pace until it is cancelled.
        past: told at once, in time that is stepped through.
        past_seconds: how long before the present the past begins.
    """

    live_script: Script
    history_script: Script = stories.run_nothing
    history_seconds: float = 0.0

    def create_runner(
        self, service: EmbeddedService, clock: PacedClock, seed: int, history_uploads: int = DEFAULT_HISTORY_UPLOADS
    ) -> ScenarioRunner:
        """Somebody to tell it; the clock must have been started `past_seconds` before the present."""
        history = past_uploads_of(seed, history_uploads, service.project.id, clock.now())
        return ScenarioRunner(service, clock, Random(seed), history)  # noqa: S311  # a story, not a secret


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "tour": Scenario(stories.run_tour, stories.run_recent_uploads, stories.RECENT_SECONDS),
        "quiet": Scenario(stories.run_quiet),
        "steady": Scenario(stories.run_steady),
        "rush": Scenario(stories.run_rush),
        "stuck": Scenario(stories.run_stuck, stories.run_recent_uploads, stories.RECENT_SECONDS),
        "corrupt": Scenario(stories.run_corrupt),
        "outage": Scenario(stories.run_outage),
        "history": Scenario(stories.run_quiet, stories.run_history),
        "flaky": Scenario(stories.run_flaky),
    }
)
"""By the names of the catalogue."""
