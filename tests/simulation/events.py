"""The events of a simulation: what happens to services, watchers and the disk, each drawn from a seed of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tests.simulation.checkers import check_command_recording
from tests.simulation.commands import CommandWorld, project_options, run_command
from tests.simulation.disk import Victim
from tests.simulation.faults import STATEMENT_FAILURES, Failure
from tests.simulation.options import Options
from tests.simulation.services import Host, SourceHost
from tests.simulation.watchers import Watcher
from tests.simulation.world import World
from tests.unit.cli.virtual_program import Capture, VirtualClock, run_virtually
from upload_tui.errors import EXIT_INTERNAL_ERROR, EXIT_INTERRUPTED, EXIT_OK
from upload_tui.wire import StatusShape

__all__ = ["ACTIONS", "Event", "Simulation", "draw_events", "draw_options"]


class Event(Struct, frozen=True):
    """An event: when it happens, in seconds, and the seed of its details."""

    number: int
    at: float
    name: str
    seed: str

    def __str__(self) -> str:
        return f"{self.number} {self.name} at {self.at:.1f}s"


class Simulation(Struct):
    """What an event acts on; `capture` is for commands."""

    world: World
    capture: Capture
    loop: asyncio.AbstractEventLoop


Action: TypeAlias = Callable[[Simulation, Random], None]


def _place(simulation: Simulation, rng: Random) -> Host | SourceHost:
    return rng.choice([*simulation.world.places()])


def _host(simulation: Simulation, rng: Random) -> Host:
    return rng.choice(simulation.world.hosts)


def _watcher(simulation: Simulation, rng: Random) -> Watcher:
    return rng.choice(simulation.world.watchers)


def _insert(simulation: Simulation, rng: Random) -> None:
    place = _place(simulation, rng)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        place.insert(rng)


def _advance(simulation: Simulation, rng: Random) -> None:
    place = _place(simulation, rng)
    for _ in range(rng.choice((1, 1, 3, 8))):
        place.advance(rng)


def _delete(simulation: Simulation, rng: Random) -> None:
    place = _place(simulation, rng)
    for _ in range(rng.choice((1, 1, 1, 4))):
        place.delete(rng)


def _purge(simulation: Simulation, rng: Random) -> None:
    _host(simulation, rng).purge(rng)


def _shift(simulation: Simulation, rng: Random) -> None:
    """Something happens before each of the next answers, so that pages shift while they are read."""
    _host(simulation, rng).restless = rng.randrange(1, 20)


def _fail(simulation: Simulation, rng: Random) -> None:
    """A service fails in one way for a while."""
    host = _host(simulation, rng)
    mode = rng.choice(("down", "500", "503", "429", "garbage", "frozen", "lost", "slow"))
    _during(simulation, host, mode, rng.choice((0.5, 3, 10, 40)))


def _during(simulation: Simulation, place: Host | SourceHost, mode: str, seconds: float) -> None:
    place.mode = mode
    if mode in {"slow", "lost", "frozen"}:
        place.slow_until = VirtualClock().monotonic() + seconds + 30

    def end() -> None:
        if place.mode == mode and not place.is_broken:
            place.mode = "ok"

    simulation.loop.call_later(seconds, end)


def _fail_source(simulation: Simulation, rng: Random) -> None:
    if simulation.world.source is not None:
        _during(simulation, simulation.world.source, rng.choice(("cut", "failed")), rng.choice((3, 10, 40)))


def _change_later(simulation: Simulation, seconds: float, change: Callable[[Random], None], rng: Random) -> None:
    """Change what is listed after a while, unless the run is over then."""
    simulation.loop.call_later(seconds, lambda: None if simulation.world.is_over else change(rng))


def _damage_source(simulation: Simulation, rng: Random) -> None:
    """One of its lines cannot be read, and may not name its upload either; or it prints a whole listing of nothing once.

    The upload of such a line may be deleted before another listing has it.
    """
    source = simulation.world.source
    if source is not None:
        seconds = rng.choice((3, 10, 40))
        _during(simulation, source, rng.choice(("damaged", "damaged", "empty")), seconds)
        if rng.random() < 0.5:
            _change_later(simulation, seconds, source.delete, rng)


def _unreadable(simulation: Simulation, rng: Random) -> None:
    """An upload cannot be rendered for a while: each page that lists it fails."""
    host = _host(simulation, rng)
    if host.uploads:
        upload_id = rng.choice(host.uploads).id
        host.unreadable.add(upload_id)
        host.was_unreadable.add(upload_id)
        simulation.loop.call_later(rng.choice((1, 20, 90)), host.unreadable.discard, upload_id)


def _skew(simulation: Simulation, rng: Random) -> None:
    """The clock of a service jumps."""
    _host(simulation, rng).skew_seconds += rng.choice((-90.0, -2.0, 2.0, 90.0))


def _end_tokens(simulation: Simulation, rng: Random) -> None:
    _host(simulation, rng).valid_token = ""


def _kill(simulation: Simulation, rng: Random) -> None:
    """A watcher is killed; it is started again later."""
    watcher = _watcher(simulation, rng)
    simulation.loop.run_until_complete(watcher.kill())
    simulation.loop.call_later(rng.choice((0.0, 1.0, 20.0)), watcher.start)


def _kill_service(simulation: Simulation, rng: Random) -> None:
    """The embedded service is killed; it is started again later."""
    embedded, loop = simulation.world.embedded, simulation.loop
    if embedded is not None:
        loop.run_until_complete(embedded.kill())
        loop.call_later(rng.choice((0.0, 3.0, 30.0)), lambda: loop.create_task(embedded.start()))


def _fail_disk(simulation: Simulation, rng: Random, longest: float = 5.0) -> None:
    disk = simulation.world.disk
    disk.failure, disk.only, disk.every = rng.choice(STATEMENT_FAILURES), "", 1
    disk.end_later(simulation.loop, rng.choice((0.0, 0.5, longest)))


_STATEMENTS = ("INSERT", "UPDATE", "DELETE", "COMMIT")
_SERVICE_STATEMENTS = (
    "INSERT INTO jobs",
    "UPDATE jobs",
    "UPDATE uploads SET verified",
    "UPDATE uploads SET completed",
    "COMMIT",
)


def _fail_some_statements(simulation: Simulation, rng: Random) -> None:
    """One kind of statement fails, or each second to hundredth: one of a transaction does and another does not."""
    _fail_disk(simulation, rng, longest=20.0)
    disk, embedded = simulation.world.disk, simulation.world.embedded
    disk.only = rng.choice(("", "", *_STATEMENTS, *_SERVICE_STATEMENTS))
    disk.every = rng.choice((1, 1, 2)) if disk.only else rng.choice((2, 3, 5, 9, 30, 100))
    if embedded is not None:
        for _ in range(rng.choice((0, 2, 5))):
            embedded.insert(rng)


_READING_CALLS = ("open", "read", "read", "stat")
_CHUNK_FAULTS = (
    (("",), ("ENOSPC", "EIO", "EACCES")),
    (("",), ("SHORT",)),
    (_READING_CALLS, ("EIO", "EACCES")),
    (_READING_CALLS, ("EIO", "EACCES")),
    (("open", "write", "fsync", "replace", "mkdir"), ("ENOSPC", "EIO", "EACCES")),
)
"""Which calls fail (all, those that transfer bytes, those that read, those that write), and how."""


def _fail_chunks(simulation: Simulation, rng: Random) -> None:
    """Calls for the files of chunks fail, or each second or fifth of them, while clients upload."""
    disk, embedded = simulation.world.chunk_disk, simulation.world.embedded
    if embedded is None:
        return
    for _ in range(rng.choice((0, 2, 5))):
        embedded.insert(rng)
    calls, names = rng.choice(_CHUNK_FAULTS)
    name = rng.choice(names)
    is_of_reading = calls == _READING_CALLS
    disk.failure, disk.only = Failure(name, name == "ENOSPC"), rng.choice(calls)
    disk.every = 1 if is_of_reading else rng.choice((1, 1, 2, 5))
    # A verification that fails is tried again after 1, 5, 25 and 125 seconds.
    seconds = (10.0, 60.0, 200.0) if is_of_reading else (0.5, 3.0, 10.0, 60.0)
    disk.end_later(simulation.loop, rng.choice(seconds))


def _die(simulation: Simulation, rng: Random) -> None:
    """A watcher or the embedded service is killed before one of its next statements that write, and started again later.

    Of some watchers, the store is damaged instead. Some begin without a store, so that it happens during a full scan.
    """
    world, loop, embedded = simulation.world, simulation.loop, simulation.world.embedded
    is_service, seconds = embedded is not None and rng.random() < 0.6, rng.choice((0.0, 1.0, 20.0))
    only = rng.choice(("", "", *(_SERVICE_STATEMENTS if is_service else _STATEMENTS)))
    statements = rng.choice((1, 1, 2, 4)) if only else int(10 ** rng.uniform(0, 2))
    if embedded is not None and is_service:
        for _ in range(rng.choice((1, 2, 5))):
            embedded.insert(rng)

        async def end() -> None:
            await embedded.kill()
            loop.call_later(seconds, lambda: loop.create_task(embedded.start()))

        world.disk.victim = Victim(embedded.connections, only, statements, end)
        return
    watcher = _watcher(simulation, rng)
    if rng.random() < 0.5:
        _delete_stores(simulation)

    async def end_watcher() -> None:
        await watcher.kill()
        loop.call_later(seconds, watcher.start)

    world.disk.victim = Victim(watcher.connections, only, statements, rng.choice((end_watcher, None)))


def _delete_stores(simulation: Simulation) -> None:
    """The user deletes the stores while nothing runs, and starts all watchers again."""
    world = simulation.world
    for watcher in world.watchers:
        simulation.loop.run_until_complete(watcher.kill())
    world.deletions += 1
    for name in [str(host.number) for host in world.hosts] + ["source"]:
        for file in world.folder.glob(f"{name}.db*"):
            file.unlink()
    for watcher in world.watchers:
        simulation.loop.call_soon(watcher.start)


def _start_fault(simulation: Simulation, rng: Random) -> None:
    """The embedded service has a fault, such as a dead worker or requests that arrive twice."""
    if simulation.world.embedded is not None:
        simulation.world.embedded.start_fault(rng)


def _list_again(simulation: Simulation, rng: Random) -> None:
    """Uploads are deleted, and as many that were deleted are listed again later."""
    place, seconds = _place(simulation, rng), rng.choice((1.0, 10.0, 20.0))
    for _ in range(rng.choice((1, 1, 3))):
        place.delete(rng)
        _change_later(simulation, seconds, place.list_again, rng)


def _scan_anew(simulation: Simulation, rng: Random) -> None:
    """The stores are deleted, and uploads arrive and disappear while all pages are read again."""
    _delete_stores(simulation)
    for host in simulation.world.hosts:
        host.restless = rng.randrange(1, 20)


def _exchange(simulation: Simulation, rng: Random) -> None:
    """As many uploads arrive as are deleted while pages are read, often all of them."""
    for _ in range(rng.choice((0, 10, 30))):
        _place(simulation, rng).insert(rng)
    if rng.random() < 0.7:
        _delete_stores(simulation)
    for host in simulation.world.hosts:
        host.restless, host.is_exchanging = rng.randrange(4, 40), True


def _lock(simulation: Simulation, rng: Random) -> None:
    """Other processes lock the stores, which are new ones or not: a transaction cannot begin, or not be committed."""
    if rng.random() < 0.5:
        _delete_stores(simulation)
    disk = simulation.world.disk
    disk.failure, disk.only, disk.every = (
        Failure("BUSY"),
        rng.choice(("BEGIN", "COMMIT", "COMMIT")),
        rng.choice((1, 2, 3)),
    )
    disk.end_later(simulation.loop, rng.choice((2.0, 5.0, 20.0)))


def _refresh_changed(simulation: Simulation, watcher: Watcher, rng: Random) -> None:
    """Uploads arrive and advance, and the watcher is the first to read it, from all projects at once."""
    for place in simulation.world.places():
        place.insert(rng)
        place.advance(rng)
    if watcher.runs:
        watcher.combined.refresh()


def _damage(simulation: Simulation, rng: Random) -> None:
    """A store is damaged while rounds of several projects run, which read changes."""
    watcher = _watcher(simulation, rng)
    _refresh_changed(simulation, watcher, rng)
    statements = rng.randrange(1, 100)
    simulation.world.disk.victim = Victim(watcher.connections, rng.choice(("", *_STATEMENTS)), statements, None)


def _die_after_commit(simulation: Simulation, rng: Random) -> None:
    """A watcher is killed as soon as a transaction is committed that writes an upload, before it writes anything else."""
    watcher, loop = _watcher(simulation, rng), simulation.loop

    async def end() -> None:
        await watcher.kill()
        loop.call_later(rng.choice((0.0, 20.0)), watcher.start)

    _refresh_changed(simulation, watcher, rng)
    statements = rng.choice((1, 1, 2, 4))
    simulation.world.disk.victim = Victim(watcher.connections, "INSERT INTO uploads", statements, end, is_after=True)


def _claim_jobs(simulation: Simulation, rng: Random) -> None:
    """Another worker claims jobs of the embedded service while they are verified, and dies."""
    embedded = simulation.world.embedded
    if embedded is not None:
        for _ in range(3):
            embedded.insert(rng)
        for seconds in (4, 8, 12, 16):
            simulation.loop.call_later(seconds, embedded.claim_job)


def _use(simulation: Simulation, rng: Random) -> None:
    """A user refreshes, pauses for a moment, or looks away."""
    watcher = _watcher(simulation, rng)
    if not watcher.runs:
        return
    session, seconds = watcher.combined, rng.choice((1.0, 20.0))
    match rng.choice(("refresh", "pause", "look away")):
        case "refresh":
            session.refresh()
        case "pause":
            session.set_paused(is_paused=True)
            simulation.loop.call_later(seconds, partial(session.set_paused, is_paused=False))
        case _:
            session.set_watched(is_watched=False)
            simulation.loop.call_later(seconds, lambda: session.set_watched(is_watched=True))


def _record(simulation: Simulation, rng: Random) -> None:
    watcher = _watcher(simulation, rng)
    if watcher.runs:
        watcher.tasks.append(simulation.loop.create_task(watcher.record()))


def _run_command(simulation: Simulation, rng: Random) -> None:
    """A command runs beside the watchers; its exit code follows from the truth."""
    host = _host(simulation, rng)
    arguments = rng.choice(
        (
            ("list",),
            ("list", "--fail-on-error"),
            ("report", "-o", "json"),
            ("wait", *project_options(host), "--timeout", "20s"),
        )
    )
    run_command(simulation.world, simulation.capture, host, arguments)


def _run_wait(simulation: Simulation, rng: Random) -> None:
    """The command that waits runs while uploads change, so that some of those that it waits for end."""
    host = _host(simulation, rng)
    host.restless = rng.randrange(10, 80)
    run_command(simulation.world, simulation.capture, host, ("wait", *project_options(host), "--timeout", "20s"))


def _run_record(simulation: Simulation, rng: Random) -> None:
    """The command that records runs while uploads change, until it is interrupted."""
    host, world = _host(simulation, rng), simulation.world
    file = world.folder / f"recorded-{VirtualClock().monotonic():.3f}.jsonl"
    host.restless = rng.choice((0, 10, 40))
    home = world.folder / f"home-{host.number}"
    result = run_virtually(simulation.capture, home, CommandWorld(host), "record", str(file), *project_options(host))
    world.trace.add(f"record: {result.code}")
    assert result.code in {EXIT_OK, EXIT_INTERRUPTED} or "\nupload-tui: " in f"\n{result.err}", result
    assert result.code != EXIT_INTERNAL_ERROR, result.err
    if file.exists():
        check_command_recording(file)


EVENTS: Mapping[str, tuple[Action, int]] = {
    "insert": (_insert, 8),
    "advance": (_advance, 10),
    "delete": (_delete, 3),
    "purge": (_purge, 1),
    "shift": (_shift, 4),
    "fail": (_fail, 5),
    "fail source": (_fail_source, 2),
    "unreadable": (_unreadable, 2),
    "skew": (_skew, 1),
    "end tokens": (_end_tokens, 1),
    "kill": (_kill, 2),
    "kill service": (_kill_service, 2),
    "fail disk": (_fail_disk, 1),
    "use": (_use, 2),
    "record": (_record, 1),
    "command": (_run_command, 2),
}
"""Each event, and how often it happens by default in relation to others."""

LATER_EVENTS: Sequence[tuple[Mapping[str, Action], Sequence[int]]] = (
    (
        {
            "fail chunks": _fail_chunks,
            "fail some statements": _fail_some_statements,
            "damage source": _damage_source,
            "start fault": _start_fault,
            "die": _die,
        },
        (0, 0, 1, 3, 8),
    ),
    (
        {
            "list again": _list_again,
            "scan anew": _scan_anew,
            "claim jobs": _claim_jobs,
            "record command": _run_record,
        },
        (0, 0, 0, 1, 2),
    ),
    ({"exchange": _exchange, "damage": _damage, "die after commit": _die_after_commit, "lock": _lock}, (0, 0, 1, 2)),
    ({"wait command": _run_wait}, (0, 1, 2)),
)
"""Events that were added later, by group, and how often each may happen. They are drawn after the others, so that an older seed keeps
its events and their numbers."""

ACTIONS: Mapping[str, Action] = {
    **{name: action for name, (action, _) in EVENTS.items()},
    **{name: action for group, _ in LATER_EVENTS for name, action in group.items()},
}
"""What happens at each event."""


_SMALLEST_PAGE = 3


def draw_options(seed: int) -> Options:
    """Draw the options of a run, and the weights of its events; some events are off."""
    rng = Random(f"{seed} options")
    options = _draw_options(rng)
    # Pages of three rows do not show, without a total, that nothing is between two of them.
    is_too_small = options.hides_total and options.largest_page == _SMALLEST_PAGE
    return replace(options, largest_page=7) if is_too_small else options


def _draw_options(rng: Random) -> Options:
    shapes = tuple(rng.choice([*StatusShape]) for _ in range(rng.choice((1, 1, 2, 3))))
    return Options(
        shapes=shapes,
        has_source=rng.random() < 0.4,
        has_embedded=rng.random() < 0.4,
        largest_page=rng.choice((_SMALLEST_PAGE, 7, 20, 1000)),
        uploads=rng.choice((0, 3, 12, 25)),
        watchers=rng.choice((1, 1, 2)),
        minutes=rng.choice((1, 1, 2)),
        broken=rng.randrange(len(shapes)) if rng.random() < 0.15 else None,
        hides_total=rng.random() < 0.2,
        has_bulk=rng.random() < 0.4,
        event_count=rng.choice((5, 20, 60)),
        weights={
            name: 0 if rng.random() < 0.3 else weight * rng.choice((1, 1, 3)) for name, (_, weight) in EVENTS.items()
        },
    )


def draw_events(seed: int, options: Options) -> list[Event]:
    """Draw the events of a run, by time."""
    rng = Random(f"{seed} events")
    weights = dict(options.weights) if any(options.weights.values()) else {"advance": 1}
    times = sorted(rng.uniform(0, options.minutes * 60) for _ in range(options.event_count))
    names: Any = rng.choices([*weights], [*weights.values()], k=options.event_count)
    embedded, source = options.has_embedded, options.has_source
    places = {"fail chunks": embedded, "start fault": embedded, "damage source": source, "claim jobs": embedded}
    for group, counts in LATER_EVENTS:
        drawn = [name for name in group if places.get(name, True) for _ in range(rng.choice(counts))]
        times.extend(rng.uniform(0, options.minutes * 60) for _ in drawn)
        names.extend(drawn)
    events = [
        Event(number, at, name, f"{seed}/{number}") for number, (at, name) in enumerate(zip(times, names, strict=True))
    ]
    return sorted(events, key=lambda event: event.at)
