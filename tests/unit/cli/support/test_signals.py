"""What signals call, whenever they arrive."""

import asyncio
import signal
from contextlib import suppress

import pytest

from upload_tui.cli.support.error_reporting import TerminationSignals, run_async, termination_signals


def test_a_signal_is_deferred_while_something_is_half_made() -> None:
    signals, made = TerminationSignals(), list[str]()

    def make() -> None:
        with signals.deferring():
            signals.handle(signal.SIGTERM, None)
            made.append("whole")

    with pytest.raises(KeyboardInterrupt):
        make()
    assert made == ["whole"]
    with pytest.raises(KeyboardInterrupt):
        signals.handle(signal.SIGINT, None)
    assert signals.exit_code(0) == 128 + signal.SIGTERM


@pytest.mark.parametrize("moment", ["before the event loop", "outside", "inside"])
async def test_a_signal_is_responded_to_by_what_begins_later_too(moment: str) -> None:
    """Its exception may have been swallowed by a destructor, its cancellation by Textual."""
    signals, calls = TerminationSignals(), list[str]()

    def arrive() -> None:
        with suppress(KeyboardInterrupt):
            signals.handle(signal.SIGTERM, None)

    if moment == "before the event loop":
        arrive()
    with signals.responding(lambda: calls.append("outer")):
        if moment == "outside":
            arrive()
        with signals.responding(lambda: calls.append("inner")):
            if moment == "inside":
                arrive()
            await asyncio.sleep(0)
    assert "inner" in calls
    assert signals.exit_code(0) == 128 + signal.SIGTERM


def test_a_signal_does_not_interrupt_the_making_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    signals, whole, make = TerminationSignals(), list[asyncio.AbstractEventLoop](), asyncio.events.new_event_loop

    def make_at_a_signal() -> asyncio.AbstractEventLoop:
        signal.raise_signal(signal.SIGTERM)
        whole.append(make())
        return whole[-1]

    async def never_begun() -> None:
        raise AssertionError

    monkeypatch.setattr(asyncio.events, "new_event_loop", make_at_a_signal)
    with termination_signals(signals), pytest.raises(KeyboardInterrupt):
        run_async(never_begun())
    assert signals.received == signal.SIGTERM
    assert [loop.is_closed() for loop in whole] == [True]
