"""Some seeds of the simulation, among them those that found a fault. `python -m tests.simulation` runs fresh ones."""

import pytest

from tests.simulation.events import draw_events, draw_options
from tests.simulation.run import run_seed


@pytest.mark.parametrize("seed", [4])
def test_all_holds_in_a_simulated_world(capfd: pytest.CaptureFixture[str], seed: int) -> None:
    outcome = run_seed(capfd, seed)
    assert not outcome.failure, f"{outcome.detail}\n{outcome.replay}"
    assert run_seed(capfd, seed).trace == outcome.trace  # a seed decides everything


def test_a_seed_draws_the_same_world_whatever_events_are_removed() -> None:
    events = draw_events(7, draw_options(7))
    assert [*map(str, events)] == [*map(str, draw_events(7, draw_options(7)))]
    assert len({event.seed for event in events}) == len(events)
