"""Two processes over one store publish the same changes, each once, whichever statement of one of them fails."""

import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from msgspec import Struct

from tests.simulation.faults import Failure, Injector, failing_statements
from tests.simulation.operations import IN_MEMORY
from tests.unit.monitor.shifting_service import ShiftingService
from tests.unit.sources.scripted_source import SERVICE, ScriptedSource, lines_of
from upload_tui.errors import StorageError
from upload_tui.monitor import Change, ProjectRef, Store, UploadChange
from upload_tui.monitor.store.store import Limits
from upload_tui.monitor.sync.source_recorder import WatchedSource
from upload_tui.monitor.sync.source_synchroniser import SourceSynchroniser
from upload_tui.monitor.sync.synchroniser import Synchroniser
from upload_tui.testing import FrozenClock
from upload_tui.wire import StatusShape


class _Process(Struct):
    """One process: a round of its synchroniser, and what it has published."""

    store: Store
    sync: Callable[[], Awaitable[bool]]
    published: list[Change]

    @property
    def changes(self) -> Counter[tuple[str, str, object]]:
        changes = [change for change in self.published if isinstance(change, UploadChange)]
        return Counter((type(one).__name__, one.upload.id, getattr(one, "after", None)) for one in changes)


class _Service:
    """A service whose pending uploads advance, and a synchroniser for each process."""

    def __init__(self) -> None:
        self._service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=0)
        for _ in range(3):
            self._service.start_upload()

    def process(self, store: Store) -> _Process:
        client, published = self._service.client(), list[Change]()
        synchroniser = Synchroniser(client, store, ProjectRef("p-1", "Genome"), published.append, lambda *_: None)
        return _Process(store, synchroniser.sync, published)

    def advance(self, number: int) -> None:
        self._service.clock.seconds += 10
        self._service.advance(self._service.uploads[number])
        if number:
            self._service.uploads.pop()
        self._service.start_upload()


class _Source:
    """The same of a source."""

    def __init__(self) -> None:
        self._source, self._clock = ScriptedSource(), FrozenClock()
        self._uploads: dict[str, Mapping[str, Any]] = {f"u-{number}": {"stage": "initiated"} for number in range(3)}
        self._print()

    def _print(self) -> None:
        self._source.outputs.clear()
        self._source.print_next(lines_of(self._uploads))

    def process(self, store: Store) -> _Process:
        watched, published = WatchedSource(self._source, SERVICE, "scripted", frozenset()), list[Change]()
        synchroniser = SourceSynchroniser(watched, store, self._clock, published.append, lambda *_: None)
        return _Process(store, synchroniser.sync, published)

    def advance(self, number: int) -> None:
        self._clock.advance(10)
        self._uploads[f"u-{number}"] = {"stage": "completed"}
        if number:
            del self._uploads["u-2"]
        self._uploads[f"new-{number}"] = {"stage": "initiated"}
        self._print()


class _Statements(Injector):
    """Remembers what could have failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure, 0)
        self.tried: list[str] = []

    def fails(self, what: str, inode: int = 0) -> bool:
        self.tried.append(what)
        return super().fails(what, inode)


async def _run(place: _Service | _Source, injector: _Statements, file: Path, number: int) -> Sequence[str]:
    """Let statement `number` of the round of the second process fail, 0 for none; return the statements of that round."""
    limits = Limits(busy_seconds=0.0)
    first, second = (place.process(Store(file, limits=limits)) for _ in range(2))
    for process in (first, second):
        await process.sync()
    place.advance(0)
    await first.sync()
    place.advance(1)
    injector.count, injector.number, injector.tried = 0, number, (tried := list[str]())
    with suppress(StorageError):
        await second.sync()
    injector.number, injector.tried = 0, []
    for _ in range(2):
        for process in (second, first):
            await process.sync()
    assert second.changes == first.changes, injector.failed_on
    assert set(first.changes.values()) == {1}, first.changes
    for process in (first, second):
        process.store.close()
    assert injector.has_fired == (number > 0)
    return tried


@pytest.mark.slow
@pytest.mark.parametrize("place", [_Service, _Source])
@pytest.mark.parametrize(
    "failure", [Failure("BUSY"), Failure("FULL", writes_only=True), Failure("IOERR", rolls_back=True)], ids=str
)
async def test_no_change_of_another_process_is_lost_or_repeated_whatever_fails(
    place: type[_Service | _Source], failure: Failure
) -> None:
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        Store(empty := Path(folder, "empty.db")).close()  # once: its migrations take longer than a run

        async def run(number: int) -> Sequence[str]:
            file = Path(folder, f"{number}.db")
            shutil.copy(empty, file)
            with failing_statements(injector := _Statements(failure)):
                return await _run(place(), injector, file, number)

        statements = await run(0)
        # Each statement after each other one: those of further uploads repeat them.
        places = {pair: number for number, pair in enumerate(pairwise(["", *statements]), 1)}
        assert len(places) > 5
        for number in places.values():
            await run(number)
