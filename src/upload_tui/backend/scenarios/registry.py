"""The scenarios, ready to be told."""

from collections.abc import Callable, Coroutine, Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from upload_tui.backend.scenarios import stories
from upload_tui.backend.scenarios.catalogue import DEFAULT_PAST_UPLOADS
from upload_tui.backend.scenarios.past import past_uploads as past_uploads_of
from upload_tui.backend.scenarios.teller import Teller
from upload_tui.backend.service import EmbeddedService
from upload_tui.clock import PacedClock

__all__ = ["SCENARIOS", "Scenario"]

Story = Callable[[Teller], Coroutine[Any, Any, None]]


class Scenario(Struct, frozen=True):
    """A story in two parts.

    Attributes:
        present: goes on at the clock's pace until it is cancelled.
        past: told at once, in time that is stepped through.
        past_seconds: how long before the present the past begins.
    """

    present: Story
    past: Story = stories.tell_nothing
    past_seconds: float = 0.0

    def teller(
        self, service: EmbeddedService, clock: PacedClock, seed: int, past_uploads: int = DEFAULT_PAST_UPLOADS
    ) -> Teller:
        """Somebody to tell it; the clock must have been started `past_seconds` before the present."""
        history = past_uploads_of(seed, past_uploads, service.project.id, clock.now())
        return Teller(service, clock, Random(seed), history)  # noqa: S311  # a story, not a secret


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "tour": Scenario(stories.tell_tour, stories.tell_morning, stories.MORNING_SECONDS),
        "quiet": Scenario(stories.tell_quiet),
        "steady": Scenario(stories.tell_steady),
        "rush": Scenario(stories.tell_rush),
        "stuck": Scenario(stories.tell_stuck, stories.tell_morning, stories.MORNING_SECONDS),
        "corrupt": Scenario(stories.tell_corrupt),
        "outage": Scenario(stories.tell_outage),
        "history": Scenario(stories.tell_quiet, stories.tell_history),
        "flaky": Scenario(stories.tell_flaky),
    }
)
"""By the names of the catalogue."""
