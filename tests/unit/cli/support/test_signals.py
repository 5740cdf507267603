"""What signals call, whenever they arrive."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from upload_tui.cli.support.signals import TerminationSignals, run_async, termination_signals
from upload_tui.files import read_text
from upload_tui.monitor import read_recording


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


@contextmanager
def _signal_in_another_thread() -> Iterator[Callable[[], None]]:
    """A function after whose call another thread gets a signal, without an end to what the main thread waits for.

    For the main thread this is what happens to a signal that arrives just before it begins to wait.
    """
    begun = threading.Event()

    def arrive() -> None:
        begun.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    thread = threading.Thread(target=arrive)
    thread.start()
    try:
        yield begun.set
    finally:
        begun.set()
        thread.join()


def test_a_signal_in_another_thread_wakes_the_event_loop() -> None:
    async def wait_for_ever(begin: Callable[[], None]) -> None:
        begin()
        await asyncio.Event().wait()

    signals = TerminationSignals()
    with termination_signals(signals), _signal_in_another_thread() as begin, pytest.raises(KeyboardInterrupt):
        run_async(wait_for_ever(begin))
    assert signals.received == signal.SIGTERM


@pytest.mark.parametrize("has_writer", [True, False], ids=["silent-writer", "no-writer"])
@pytest.mark.parametrize("read", [read_text, read_recording])
def test_a_signal_in_another_thread_ends_the_reading_of_a_pipe(
    read: Callable[[Path], object], has_writer: bool, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR) if has_writer else -1
    signals = TerminationSignals()

    def read_after(begin: Callable[[], None]) -> None:
        begin()
        read(pipe)

    try:
        with termination_signals(signals), _signal_in_another_thread() as begin, pytest.raises(KeyboardInterrupt):
            read_after(begin)
    finally:
        os.close(writer if has_writer else os.open(pipe, os.O_RDWR))  # ends the thread that reads
    assert signals.received == signal.SIGTERM
