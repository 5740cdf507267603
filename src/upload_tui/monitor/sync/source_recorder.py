"""Write the uploads of a source's listings to the store, and publish what changed once each round has ended."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from upload_tui.clock import Clock
from upload_tui.errors import NotFoundError, did_you_mean
from upload_tui.monitor.changes import Change, UploadChange, UploadGone, UploadRef
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.ingest import ingest, parse_stored
from upload_tui.monitor.sync.round_changes import RoundChanges
from upload_tui.monitor.sync.state import SyncState
from upload_tui.sources import (
    SummarizedLine,
    UploadLine,
    UploadSource,
    can_store_as_printed,
    has_ended,
    is_same_line,
    parse_line,
    parse_line_summaries,
    parse_project,
    printed_lines,
    source_reading,
    stored_page,
)
from upload_tui.text import sanitize_line
from upload_tui.wire import UploadReading

__all__ = ["Scope", "SourceRecorder", "WatchedSource"]

_MAX_NAMED = 5
_MAX_OTHERS = 1000
"""At most this many names of projects that are not watched are kept, for hints."""
_BATCH_IDS = 500
_YIELD_SECONDS = 0.001
"""Between two batches, so that key presses are handled."""


class WatchedSource(Struct, frozen=True):
    """A source and what is watched of it.

    Attributes:
        source: lists uploads.
        service: its identity, where a service has its URL; begins with `status.SOURCE_PREFIX`.
        title: the project of uploads that name none.
        projects: ids or names of the projects to watch; empty for all.
        timeout_seconds: how long a listing may take; None if that is not known.
    """

    source: UploadSource
    service: str
    title: str
    projects: frozenset[str] = frozenset()
    timeout_seconds: float | None = None

    @property
    def facts_name(self) -> str:
        """A name of the source with the projects that are watched, under which the store keeps what was read of them."""
        return " ".join([self.service, *map(json.dumps, sorted(self.projects))])

    def has_project(self, project_id: str, name: str) -> bool:
        """Whether a project is watched."""
        return not self.projects or not self.projects.isdisjoint((project_id, name))

    def missing_projects(self, known: Iterable[ProjectRef], others: Collection[str]) -> Mapping[str, NotFoundError]:
        """An error for each project to watch that is not known, by its id or name; `others` are listed and not watched."""
        names = {name for project in known for name in (project.id, project.name)}
        shown = ", ".join(sorted(others)[:_MAX_NAMED])
        hint = f"Projects in the listing: {shown}." if shown else "The listing has no other project."
        return {
            one: NotFoundError(
                f"No project with the id or name {one} is in the listing of {self.source.name}",
                did_you_mean(one, others, otherwise=hint),
            )
            for one in sorted(self.projects - names)
        }


class Scope(Struct, frozen=True):
    """The watched projects of which a store has uploads; it may have others, which were watched before."""

    watched: WatchedSource
    store: Store

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects, by name."""
        return [one for one in self.store.projects() if self.watched.has_project(one.id, one.name)]

    @property
    def present_projects(self) -> Sequence[ProjectRef]:
        """Those of which not all uploads are gone."""
        return [one for one in self.projects if self.store.listed_ids(0, 1, frozenset({one.id}))]

    @property
    def ids(self) -> frozenset[str]:
        """Their ids; empty if all are watched, and an id that no project has if there are none."""
        ids = frozenset(project.id for project in self.projects)
        return ids or frozenset({""}) if self.watched.projects else frozenset()


class SourceRecorder:
    """Writes the uploads of one source to the store, and publishes what changed once each round has ended."""

    def __init__(self, watched: WatchedSource, store: Store, clock: Clock, publish: Callable[[Change], None]) -> None:
        self._watched = watched
        self._scope = Scope(watched, store)
        self._store = store
        self._clock = clock
        self.changes = RoundChanges(store, watched.service, self._project_ids, publish)
        self._is_first_round = True
        self._ended: dict[str, None] = {}
        self._other_projects: set[str] = set()
        self.has_changed = False

    def _project_ids(self) -> Iterable[str]:
        return [project.id for project in self._scope.projects]

    def begin_round(self) -> bool:
        """Start a round, as `RoundChanges` does; True also for the first one."""
        self.has_changed = False
        is_first, self._is_first_round = self._is_first_round, False
        return self.changes.begin_round() or is_first

    def is_watched(self, line: UploadLine) -> bool:
        """Whether the upload is of a watched project."""
        title = self._watched.title
        project_id, name = parse_project(line.fields.get("project"), title) or (title, title)
        is_watched = self._watched.has_project(project_id, name)
        if not is_watched and len(self._other_projects) < _MAX_OTHERS:
            self._other_projects.add(sanitize_line(name or project_id))
        return is_watched

    def missing_projects(self) -> Mapping[str, NotFoundError]:
        """As `WatchedSource.missing_projects`; one whose uploads are all gone is missing."""
        return self._watched.missing_projects(self._scope.present_projects, self._other_projects)

    def changed_lines(self, lines: Iterable[UploadLine]) -> Sequence[UploadLine]:
        """The last line of each upload, without those that the store has: a process that has just started knows no line."""
        found = {line.id: line for line in lines}
        for batch in _batches([*found]):
            for upload_id, entry in self._store.raw_json.current_entries(batch):
                if is_same_line(found[upload_id], entry, self._watched.title):
                    del found[upload_id]  # the round touches it
        return [*found.values()]

    def delete(self, upload_ids: Collection[str]) -> None:
        """Delete uploads that were recorded before a line of the same listing contradicted them."""
        if not upload_ids:
            return
        with self.changes.transaction():
            self._store.partitions.delete(upload_ids)
        self.changes.copies.drop(upload_ids)

    def record(self, lines: Sequence[UploadLine], *, is_silent: bool) -> None:
        """Record uploads in one transaction.

        With `is_silent` nothing is published: what exists when a source is read for the first time is no change.
        """
        readings = [self._reading(line) for line in self.changed_lines(lines)]
        with self.changes.transaction():
            self._collect_changes_of_others()
            result = ingest(
                self._store, readings, self._watched.service, is_logged=not is_silent, now=self._clock.now()
            )
            self.changes.copies.note(result.changes)
        self.has_changed |= result.changed_count > 0
        if not is_silent:
            # One that has left the watched projects is no longer theirs.
            refs = ((change, change.upload) for change in result.changes)
            watched = self._watched.has_project
            self.changes.found.extend(change for change, ref in refs if watched(ref.project_id, ref.project_name))

    def summarize(self, lines: Sequence[bytes | None], read_on: datetime) -> Sequence[SummarizedLine | None]:
        """Read lines fast; None for each one that needs a full parse, or is of a project that is not watched."""
        if not self._store.bulk.can_insert_summaries:
            return [None] * len(lines)
        found = parse_line_summaries([line or b"" for line in lines], read_on, self._watched.title)
        if self._watched.projects:
            found = [one if one and one.summary.project_id in self._watched.projects else None for one in found]
        if can_store_as_printed([one for one in found if one]):
            return found
        return [one if one and can_store_as_printed([one]) else None for one in found]

    def printed_lines(self, rows: Iterable[tuple[int, str, int | None, int | None]]) -> Mapping[int, str]:
        """The uploads, of rows of `Store.listed_ids`, whose lines are stored as they were printed, by the hash of the line."""
        found: dict[int, str] = {}
        last_page: int | None = None
        lines: Sequence[tuple[str, bytes]] = ()
        for _, upload_id, page, place in rows:
            if page is None or place is None:
                continue
            if page != last_page:
                last_page, lines = page, printed_lines(self._store.raw_json.page_body(page), self._watched.title)
            if place < len(lines) and lines[place][0] == upload_id:
                found[hash(lines[place][1])] = upload_id
        return found

    def insert(self, found: Mapping[str, SummarizedLine], read_on: datetime) -> Sequence[UploadLine]:
        """Insert uploads, by id, that are read for the first time; return the lines of those that are known already."""
        if not found:
            return []
        with self.changes.transaction():
            known = self._store.known([*found])
            new = [one for upload_id, one in found.items() if upload_id not in known]
            if new:
                body = stored_page([one.line for one in new], self._watched.title)
                self._store.bulk.insert_summaries([one.summary for one in new], read_on, body)
                self.has_changed = True
        parsed = [parse_line(one.line) for upload_id, one in found.items() if upload_id in known]
        return [line for line in parsed if isinstance(line, UploadLine)]  # all are

    def _reading(self, line: UploadLine) -> UploadReading:
        stored = self._store.get(line.id)
        before = None if stored is None else parse_stored(self._store.raw_json.raw(line.id), stored)
        return source_reading(line, before, read_on=self._clock.now(), default_project=self._watched.title)

    def _collect_changes_of_others(self) -> None:
        """Collect new changes of other processes, also if the present transaction is rolled back."""
        self.has_changed |= self.changes.collect_others()

    async def ended_among(self, upload_ids: Collection[str]) -> set[str]:
        """Those of the uploads that their source has reported as ended."""
        found: set[str] = set()
        for batch in _batches(sorted(upload_ids)):
            # A line with `ended` is never part of a page: see `summarize`.
            own = self._store.raw_json.ids_outside_pages(batch)
            found.update(one for one in own if has_ended(_decoded(self._store.raw_json.raw(one))))
            await asyncio.sleep(_YIELD_SECONDS)
        return found

    def surplus_ended(self, upload_ids: Collection[str]) -> Sequence[str]:
        """Count these as ended and no longer listed; return the oldest ones above `Limits.ended_uploads_kept`."""
        self._ended.update(dict.fromkeys(sorted(upload_ids)))
        surplus = [*self._ended][: max(0, len(self._ended) - self._store.limits.ended_uploads_kept)]
        for upload_id in surplus:
            del self._ended[upload_id]
        return surplus

    async def mark_gone(self, upload_ids: Collection[str]) -> None:
        """Mark uploads that are no longer listed, and publish that."""
        for batch in _batches(sorted(upload_ids)):
            changes = self._mark_gone(batch)
            self.changes.found.extend(changes)
            self.has_changed |= bool(changes)
            await asyncio.sleep(_YIELD_SECONDS)

    def _mark_gone(self, upload_ids: Sequence[str]) -> Sequence[UploadChange]:
        """Mark uploads as gone; return what changed."""
        found: list[UploadGone] = []
        with self.changes.transaction():
            self._collect_changes_of_others()
            for stored in map(self._store.get, upload_ids):
                if stored is not None and not stored.is_gone:
                    ref = UploadRef(
                        stored.id, stored.name, stored.project_id, stored.project_name, self._watched.service
                    )
                    found.append(UploadGone(at=self._clock.now(), upload=ref))
            self._store.mark([gone.upload.id for gone in found], gone=True)
            self._store.change_log.append(found)
            self.changes.copies.note(found)
            for project_id in {gone.upload.project_id for gone in found}:
                self._store.partitions.delete_oldest_gone(project_id)
        return found

    async def mark_unreadable(self, upload_ids: Collection[str]) -> None:
        """Mark known uploads whose lines cannot be read: what is stored may be old."""
        for batch in _batches(sorted(upload_ids)):
            self._store.mark(batch, stale=True)
            await asyncio.sleep(_YIELD_SECONDS)

    async def touch(self, upload_ids: Collection[str], *, is_whole: bool, with_final: bool = False) -> None:
        """Record that uploads were read: all that are known if the listing is whole, else only these.

        Final uploads do not change: they are only touched `with_final`.
        """
        if not is_whole:
            for batch in _batches(sorted(upload_ids)):
                self._store.touch(batch, self._clock.now())
                await asyncio.sleep(_YIELD_SECONDS)
            return
        self._store.touch_listed(self._clock.now(), self._scope.ids, with_final=with_final)

    def finish_round(self, state: SyncState, *, is_whole: bool, is_scanned: bool) -> None:
        """Store that a listing has been read, and when, if it was whole; `is_scanned` if no line has an upload that is unknown."""
        self._collect_changes_of_others()
        if not is_scanned:
            return
        now_ms = to_ms(self._clock.now())
        with self.changes.transaction():
            if not state.is_scanned:
                state.is_scanned = True
                self.has_changed = True
            if is_whole:
                state.synced_ms = now_ms
                for project in self._scope.projects:
                    SyncState(self._store, project.id).synced_ms = now_ms


def _decoded(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), _BATCH_IDS):
        yield items[start : start + _BATCH_IDS]
