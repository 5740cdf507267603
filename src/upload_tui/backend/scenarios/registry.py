"""The scenarios by name."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any

from upload_tui.backend.scenarios import stories
from upload_tui.backend.scenarios.teller import Teller
from upload_tui.backend.service import EmbeddedService
from upload_tui.clock import PacedClock

__all__ = ["SCENARIOS", "Scenario", "find_scenario"]

Story = Callable[[Teller], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story: what it shows in a few words, how long before the present it begins, and the two parts of it.

    `past` is told at once, in time that is stepped through; `present` goes on at the clock's pace until it is cancelled.
    """

    name: str
    description: str
    past: Story
    present: Story
    past_seconds: float = 0.0

    def teller(self, service: EmbeddedService, clock: PacedClock, seed: int) -> Teller:
        """Somebody to tell it; the clock must have been started `past_seconds` before the present."""
        return Teller(service, clock, Random(seed))  # noqa: S311  # a story, not a secret


def find_scenario(name: str) -> Scenario | None:
    """The scenario of that name."""
    return SCENARIOS.get(name)


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            Scenario(
                "tour",
                "every stage, an error of each kind and a slow verification within half a minute",
                stories.tell_morning,
                stories.tell_tour,
                stories.MORNING_SECONDS,
            ),
            Scenario("quiet", "one upload now and then, all is well", stories.tell_nothing, stories.tell_quiet),
            Scenario(
                "steady", "an upload every few seconds, one in ten fails", stories.tell_nothing, stories.tell_steady
            ),
            Scenario("rush", "hundreds of uploads at once", stories.tell_nothing, stories.tell_rush),
            Scenario(
                "stuck",
                "the verification worker stops",
                stories.tell_morning,
                stories.tell_stuck,
                stories.MORNING_SECONDS,
            ),
            Scenario("corrupt", "one of every integrity failure", stories.tell_nothing, stories.tell_corrupt),
            Scenario(
                "outage", "the service is down for a while, then recovers", stories.tell_nothing, stories.tell_outage
            ),
            Scenario("flaky", "faults of network and storage come and go", stories.tell_nothing, stories.tell_flaky),
        )
    }
)
