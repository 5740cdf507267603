"""Random keys while changes arrive: dialogs open and close, the app ends at any moment, and nothing fails."""

import asyncio
from random import Random
from typing import Any

import pytest
from textual import events
from textual.app import App

from tests.tui.dashboards import FakeControls, mixed
from upload_tui.testing import InMemorySession, an_upload, dashboard, settled
from upload_tui.tui.bindings import ALL_KEYS
from upload_tui.tui.command_palette import bindings_by_owner
from upload_tui.tui.key_queue import KeyPassed, KeyQueueApp

pytestmark = pytest.mark.slow

_LEFT_OUT = {"ctrl+z"}
"""Suspends the process."""
_DIALOGS = ("c", "p", "e", "F", "l", "w", "question_mark", "x", "slash", "ctrl+p", "enter", "J", "v", "a")
KEYS = sorted(
    {key for binding in ALL_KEYS for key in binding.key.split(",")}
    | {key for _, binding in bindings_by_owner() for key in binding.key.split(",")}
)
SIZES = [(120, 40), (80, 24), (60, 20), (20, 8)]


def random_upload(random: Random) -> dict[str, Any]:
    """One of twenty uploads, in a random stage."""
    number, stage = random.randrange(20), random.choice(["initiated", "completed", "verified", "error"])
    times = {"initiated": 900 + number, "completed": 600, stage: 300 + number}
    return an_upload(f"scan-{number:02d}.tiff", message="no room left", **times)  # type: ignore[arg-type]


async def press(app: App[int], session: InMemorySession, random: Random, count: int) -> None:
    """Press keys faster than they are handled, and publish changes between them."""
    for _ in range(count):
        keys = _DIALOGS if random.random() < 0.3 else ("escape", "q", "Q") if random.random() < 0.15 else KEYS
        key = random.choice(keys)
        if not app.is_running or app.return_code is not None:
            return
        if key not in _LEFT_OUT and not (key in {"q", "Q"} and len(app.screen_stack) == 1):
            app.simulate_key(key)
        if random.random() < 0.4:
            session.publish(random_upload(random))
        if random.random() < 0.5:
            await asyncio.sleep(0)
        if random.random() < 0.1:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(10))
async def test_random_keys_and_changes_end_in_no_error(seed: int) -> None:
    random = Random(seed)
    session = InMemorySession(mixed())
    app = dashboard(session, controls=FakeControls())
    async with app.run_test(size=random.choice(SIZES)) as pilot:
        await settled(pilot)
        await press(app, session, random, 120)
        if seed % 3 == 0:
            app.exit(0)  # while keys and changes are waiting
    session.close()
    assert app.failure is None


async def test_keys_do_not_wait_for_a_key_without_effect_that_was_passed_when_all_were_to_be() -> None:
    pressed = list[str]()

    class QueueApp(KeyQueueApp):
        def on_key(self, event: events.Key) -> None:
            pressed.append(event.key)

        def on_key_passed(self, message: KeyPassed) -> None:
            message.prevent_default()  # lost, as where the widget was removed

    app = QueueApp()
    async with app.run_test() as pilot:
        for key in ("a", "b", "c"):
            app.simulate_key(key)
        await pilot.pause()
        app._check_keys(app._key_number, checks=1)
        await app._pass_key(app._waiting_keys.popleft())  # before all are passed
        await pilot.pause()
        assert (pressed, app._is_checking) == (["a", "b"], True)
        app._check_keys(app._key_number, checks=1)
        await pilot.pause()
        assert pressed == ["a", "b", "c"]
