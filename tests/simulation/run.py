"""Run the simulation of a seed, and find the fewest events with which a failing run still fails."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from traceback import extract_tb, format_exception
from typing import Any

import pytest
from msgspec import Struct, field

from tests.simulation.checkers import Checker, all_checkers, check_recovery, check_whole, is_whole
from tests.simulation.embedded import CHUNK_FOLDER
from tests.simulation.events import ACTIONS, Event, Simulation, draw_events, draw_options
from tests.simulation.faults import failing_files, failing_statements, is_killed
from tests.simulation.marks import Marks
from tests.simulation.operations import IN_MEMORY
from tests.simulation.options import Options
from tests.simulation.world import World
from tests.unit.cli.virtual_program import Capture, VirtualClock, restart_time, virtual_time
from upload_tui import monitor
from upload_tui.monitor.store.store import Store
from upload_tui.testing import NOW

__all__ = ["MAX_SHRINK_EVENTS", "Outcome", "run_seed", "shrink"]

_STEP_SECONDS = 10.0
_ROUND_SECONDS = 10.0
_MAX_WAIT_SECONDS = 4000.0
"""A verification that has failed a few times is tried again after ten minutes."""
_MAX_PASSES = 4
"""So often are all pages compared after the faults: twice would do, but few requests a minute spread them over more rounds."""
_QUICK_ROUND_SECONDS = 2.5
"""Enough for a round of services that answer."""
_CLOCK = VirtualClock()
MAX_SHRINK_EVENTS = 2000
"""How many events are run, in all runs together, to make a failing run smaller."""


class Outcome(Struct):
    """How a run ended; `failure` is empty if all held.

    Attributes:
        events: those that were to happen.
        failure_kind: the type of the failure and where it was raised, such as the line of a checker.
        seconds: the virtual time at which it ended.
        event_counts: how often each event has happened, by name.
        failed_calls: statements and calls for files that have failed.
    """

    seed: int
    options: Options
    events: Sequence[Event]
    digest: str = ""
    failure: str = ""
    detail: str = ""
    failure_kind: tuple[object, ...] = ()
    seconds: float = 0.0
    event_counts: Counter[str] = field(default_factory=Counter)
    failed_calls: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    trace: Sequence[str] = ()

    @property
    def replay(self) -> str:
        """The command that runs it again."""
        return f"python -m tests.simulation --seed {self.seed} --events {_ranges([one.number for one in self.events])}"


def run_seed(capture: Capture, seed: int, kept: frozenset[int] | None = None) -> Outcome:
    """Run the simulation of a seed, with all events or with those of these numbers."""
    options = draw_options(seed)
    events = [event for event in draw_events(seed, options) if kept is None or event.number in kept]
    outcome = Outcome(seed, options, events)
    with _deterministic(seed, options) as folder, Marks() as marks:
        world = World(options, seed, folder)
        with failing_statements(world.disk), failing_files(world.chunk_disk, folder / CHUNK_FOLDER):
            try:
                _play(capture, world, events, outcome)
            except Exception as error:  # noqa: BLE001  # whatever it is, this seed has found it
                cause = error
                while isinstance(cause, ExceptionGroup):
                    cause = cause.exceptions[0]
                outcome.failure = f"{type(cause).__name__}: {cause}"[:1000]
                outcome.detail = "".join(format_exception(error))
                frame = extract_tb(cause.__traceback__)[-1]
                outcome.failure_kind = type(cause), frame.filename, frame.lineno
        for what, disk in (("statement", world.disk), ("chunk file", world.chunk_disk)):
            outcome.failed_calls.update({f"{what} {call}": count for call, count in disk.failed.items()})
        outcome.digest, outcome.trace, outcome.marks = world.trace.digest, world.trace.lines, marks.met
    return outcome


@contextmanager
def _deterministic(seed: int, options: Options) -> Iterator[Path]:
    """Let time and chance be those of the seed; yield an empty folder."""
    random.seed(seed)
    restart_time()
    with (
        TemporaryDirectory(dir=IN_MEMORY) as folder,
        virtual_time(),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("HOME", folder)
        patch.setattr(time, "time", lambda: NOW.timestamp() + _CLOCK.monotonic())
        patch.setattr(monitor, "Store", partial(Store, limits=options.limits), raising=False)  # of commands
        # What a shell starts in the background ignores the signal that ends some commands, which would never end.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield Path(folder)
        finally:
            signal.signal(signal.SIGINT, handler)


def _play(capture: Capture, world: World, events: Sequence[Event], outcome: Outcome) -> None:
    loop = asyncio.events.new_event_loop()  # the patched one
    simulation, checkers = Simulation(world, capture, loop), all_checkers(world)
    world.on_change.extend(checker.handle_change for checker in checkers)
    errors = _collected_errors(loop, lambda: any(watcher.was_killed for watcher in world.watchers))
    try:
        asyncio.set_event_loop(loop)
        if world.embedded is not None:
            loop.run_until_complete(world.embedded.start())
            rng = Random(outcome.seed)
            for _ in range(world.options.uploads // 3):
                world.embedded.insert(rng)
        for watcher in world.watchers:
            loop.call_soon(watcher.start)
        for event in events:
            _advance(world, loop, event.at, checkers, errors)
            world.trace.add(f"event {event.name}")
            outcome.event_counts[event.name] += 1
            ACTIONS[event.name](simulation, Random(event.seed))
            asyncio.set_event_loop(loop)  # a command has removed it
        _advance(world, loop, world.options.minutes * 60, checkers, errors)
        _recover(world, loop, checkers, errors)
    finally:
        asyncio.set_event_loop(loop)
        outcome.seconds = _CLOCK.monotonic()
        for watcher in world.watchers:
            loop.run_until_complete(watcher.kill())
        if world.embedded is not None:
            loop.run_until_complete(world.embedded.stop())
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


def _collected_errors(loop: asyncio.AbstractEventLoop, has_killed: Callable[[], bool]) -> list[BaseException]:
    """What is raised in callbacks and lost tasks, which must fail the run and not be logged only.

    Once a watcher was killed (`has_killed`), a task of it may still get an answer and find the store closed.
    """
    errors: list[BaseException] = []

    def collect(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(str(context))
        has_lost_store = has_killed() and all("closed database" in str(one) for one in _leaves(error))
        if not (is_killed(error) or has_lost_store):
            errors.append(error)

    loop.set_exception_handler(collect)
    return errors


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What a group was made from; an error that is no group itself."""
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _leaves(one)
    if not isinstance(error, BaseExceptionGroup):
        yield error


def _advance(
    world: World,
    loop: asyncio.AbstractEventLoop,
    until: float,
    checkers: Sequence[Checker],
    errors: list[BaseException],
) -> None:
    """Let time pass in steps, and check after each."""
    while (left := until - _CLOCK.monotonic()) > 0:
        loop.run_until_complete(asyncio.sleep(min(left, _STEP_SECONDS)))
        if world.disk.victim is not None:
            loop.run_until_complete(world.disk.victim.wait_until_killed())
        for error in errors:
            raise error
        for watcher in world.watchers:
            watcher.check_runs()
        if not world.disk.is_failing:
            for checker in checkers:
                checker.check(world)


def _recover(
    world: World, loop: asyncio.AbstractEventLoop, checkers: Sequence[Checker], errors: list[BaseException]
) -> None:
    """End the faults, but for the service that is broken for good; three rounds later all others are live and whole."""
    _end_faults(world, loop)
    _rounds(world, loop, 3, _ROUND_SECONDS, checkers, errors)
    for watcher in world.watchers:
        check_recovery(world, watcher)
    ends = _CLOCK.monotonic() + _MAX_WAIT_SECONDS
    while _CLOCK.monotonic() < ends and not all(host.is_quiet for host in world.hosts):
        _advance(world, loop, _CLOCK.monotonic() + _STEP_SECONDS, checkers, errors)
        if world.embedded is not None:
            world.embedded.check_claims()
    if world.embedded is not None:  # also if none of its answers arrives
        world.embedded.check_acknowledged(is_over=True)
    longest = max((len(uploads) for host in world.hosts for uploads in host.projects.values()), default=0)
    pages = -(-longest // min(20, world.options.largest_page))
    for _ in range(3 + pages + -(-_MAX_PASSES * pages // 2)):  # the requests of small pages are spread over more time
        _rounds(world, loop, 2, _QUICK_ROUND_SECONDS, checkers, errors)
        if all(is_whole(world, watcher) for watcher in world.watchers):
            _rounds(world, loop, 2, _QUICK_ROUND_SECONDS, checkers, errors)  # and it stays so
            break
    for watcher in world.watchers:
        check_whole(world, watcher)


def _end_faults(world: World, loop: asyncio.AbstractEventLoop) -> None:
    world.is_over = True
    world.disk.is_failing = False  # that of the chunks ends by itself, perhaps when no client is there any more
    world.disk.victim = None
    for place in world.places():
        place.mode = "ok"
    for host in world.hosts:
        host.unreadable.clear()
        host.restless, host.is_exchanging = 0, False
        host.is_broken = host.number == world.options.broken
        host.mode = "down" if host.is_broken else "ok"
    if world.embedded is not None:
        loop.run_until_complete(world.embedded.start())
        world.embedded.end_faults()
    for watcher in world.watchers:
        watcher.start()
        watcher.combined.set_paused(is_paused=False)


def _rounds(
    world: World,
    loop: asyncio.AbstractEventLoop,
    count: int,
    seconds: float,
    checkers: Sequence[Checker],
    errors: list[BaseException],
) -> None:
    for _ in range(count):
        for watcher in world.watchers:
            watcher.combined.refresh()
        _advance(world, loop, _CLOCK.monotonic() + seconds, checkers, errors)


def shrink(capture: Capture, failed: Outcome, max_events: int = MAX_SHRINK_EVENTS) -> Outcome:
    """Remove events while the run fails in the same way: first those after the failure, then ever smaller groups.

    Args:
        max_events: how many events to run at most, in all runs together.
    """
    best = failed

    def fails_without(start: int, end: int) -> bool:
        nonlocal best, max_events
        left = [*best.events[:start], *best.events[end:]]
        max_events -= max(1, len(left))
        outcome = run_seed(capture, best.seed, frozenset(event.number for event in left))
        is_same = bool(outcome.failure) and outcome.failure_kind == failed.failure_kind
        best = outcome if is_same else best
        return is_same

    happened = sum(event.at <= failed.seconds for event in failed.events)
    if happened < len(failed.events):
        fails_without(happened, len(failed.events))
    size = max(1, len(best.events) // 2)
    while max_events > 0:
        start, has_shrunk = 0, False
        while start < len(best.events) and max_events > 0:
            if fails_without(start, start + size):
                has_shrunk = True
            else:
                start += size
        if size == 1 and not has_shrunk:
            break
        size = max(1, size // 2)
    return best


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers as `0-3,7`; `none` if there are none."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts) or "none"
