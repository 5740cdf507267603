"""The scenarios by name, ready to run."""

from collections.abc import Callable, Coroutine, Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from upload_tui.backend.scenarios import scripts
from upload_tui.backend.scenarios.catalogue import DEFAULT_HISTORY_UPLOADS
from upload_tui.backend.scenarios.history import finished_uploads
from upload_tui.backend.scenarios.runner import ScenarioRunner
from upload_tui.backend.service import EmbeddedService
from upload_tui.clock import PacedClock

__all__ = ["SCENARIOS", "Scenario"]

Script = Callable[[ScenarioRunner], Coroutine[Any, Any, None]]


class Scenario(Struct, frozen=True):
    """A scenario in two parts.

    Attributes:
        live_script: runs at the clock's pace until it is cancelled.
        history_script: runs first, at once, by stepping the clock.
        history_seconds: how long before the present the history begins.
    """

    live_script: Script
    history_script: Script = scripts.run_nothing
    history_seconds: float = 0.0

    def create_runner(
        self,
        service: EmbeddedService,
        clock: PacedClock,
        seed: int,
        history_uploads: int = DEFAULT_HISTORY_UPLOADS,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> ScenarioRunner:
        """Create a runner. The clock must start `history_seconds` before the present.

        `on_progress` is called with the number of uploads imported so far.
        """
        history = finished_uploads(seed, history_uploads, service.project.id, clock.now())
        return ScenarioRunner(service, clock, Random(seed), history, on_progress)  # noqa: S311  # reproducible, not secret


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "tour": Scenario(scripts.run_tour, scripts.run_recent_uploads, scripts.RECENT_SECONDS),
        "quiet": Scenario(scripts.run_quiet),
        "steady": Scenario(scripts.run_steady),
        "rush": Scenario(scripts.run_rush),
        "stuck": Scenario(scripts.run_stuck, scripts.run_recent_uploads, scripts.RECENT_SECONDS),
        "corrupt": Scenario(scripts.run_corrupt),
        "outage": Scenario(scripts.run_outage),
        "history": Scenario(scripts.run_quiet, scripts.run_history),
        "flaky": Scenario(scripts.run_flaky),
    }
)
"""By the names of the catalogue."""
