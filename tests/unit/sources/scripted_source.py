"""A source that prints what a test decides."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from upload_tui.clock import Clock
from upload_tui.monitor import Change, Query, Store, StorePicture
from upload_tui.monitor.store.schema import compress_page, decompress_page
from upload_tui.monitor.sync.source_recorder import WatchedSource
from upload_tui.monitor.sync.source_synchroniser import SourceSynchroniser
from upload_tui.sources import LineBatch, LineReceiver, Listing, ListingVerdict
from upload_tui.sources.records import CONTRACT_VERSION
from upload_tui.testing import FrozenClock

__all__ = ["SERVICE", "ScriptedSource", "SourceHarness", "lines_of"]

SERVICE = "source:scripted"


def lines_of(uploads: Mapping[str, Mapping[str, Any]]) -> list[bytes]:
    """A line for each upload."""
    return [json.dumps({"id": one, "name": f"{one}.tiff", **fields}).encode() for one, fields in uploads.items()]


class ScriptedSource:
    """Prints the next of some outputs in batches; the last one again and again. Calls `on_batch` after each batch."""

    name = "scripted"

    def __init__(self) -> None:
        self.batch_lines = 3
        self.on_batch: Callable[[], None] = lambda: None
        self.outputs: list[tuple[Sequence[bytes | None], Listing]] = []
        self.runs = 0

    def print_next(self, lines: Sequence[bytes | None], listing: Listing | None = None) -> None:
        """Print this in the next run that has no output yet."""
        self.outputs.append((lines, listing or Listing()))

    async def read(self, receive: LineReceiver, is_whole: ListingVerdict) -> Listing:
        """Print one output."""
        self.runs += 1
        lines, listing = self.outputs.pop(0) if len(self.outputs) > 1 else self.outputs[0]
        for start in range(0, len(lines), self.batch_lines):
            await receive(LineBatch(start + 1, lines[start : start + self.batch_lines]))
            self.on_batch()
        return listing


class SourceHarness:
    """A synchroniser over a scripted source, with its store in memory unless one is given."""

    def __init__(
        self, *, projects: frozenset[str] = frozenset(), store: Store | None = None, clock: Clock | None = None
    ) -> None:
        self.source = ScriptedSource()
        self.store = store or Store()
        self.clock = clock or FrozenClock()
        self.changes: list[Change] = []
        self.synchroniser = self.new_session(projects)
        self.picture = StorePicture(self.store, self.clock, SERVICE)

    def new_session(self, projects: frozenset[str] = frozenset()) -> SourceSynchroniser:
        """Start a synchroniser as a new session does, over the same store."""
        watched = WatchedSource(self.source, SERVICE, "scripted", projects)
        self.synchroniser = SourceSynchroniser(watched, self.store, self.clock, self.changes.append, lambda *_: None)
        return self.synchroniser

    async def print(
        self, uploads: Mapping[str, Mapping[str, Any]], *more: bytes | None, listing: Listing | None = None
    ) -> None:
        """Run a round in which the source prints these uploads and lines."""
        self.source.outputs.clear()
        self.source.print_next([*lines_of(uploads), *more], listing)
        await self.synchroniser.sync()

    def use_older_contract(self) -> None:
        """Rewrite the store as an earlier version, which read lines by another contract, has left it."""
        older = CONTRACT_VERSION - 1
        with self.store.transaction():
            for number, raw in self.store.db.execute("SELECT number, raw FROM raw_json"):
                raw = raw.replace(f'"source": {CONTRACT_VERSION}', f'"source": {older}')  # noqa: PLW2901
                self.store.db.execute("UPDATE raw_json SET raw = ? WHERE number = ?", (raw, number))
            for page, body in self.store.db.execute("SELECT page, body FROM pages"):
                lines = decompress_page(body).replace(b'"source":%d' % CONTRACT_VERSION, b'"source":%d' % older)
                self.store.db.execute("UPDATE pages SET body = ? WHERE page = ?", (compress_page(lines), page))

    def shown(self) -> dict[str, bool]:
        """The uploads of the picture, and whether each is gone."""
        return {row.id: row.is_gone for row in self.picture.window(Query(), 0, 1000).rows}

    @property
    def present(self) -> set[str]:
        """The uploads of the picture that are not gone."""
        return {upload_id for upload_id, is_gone in self.shown().items() if not is_gone}

    def take_changes(self) -> list[str]:
        """The kinds and ids of the changes since the last call."""
        found = [f"{type(change).__name__} {change.upload.id}" for change in self.changes]  # type: ignore[attr-defined]
        self.changes.clear()
        return found
