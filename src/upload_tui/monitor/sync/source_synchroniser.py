"""Keep the store equal to a source, which lists everything that is there now.

A round is one listing.

- In the first round, new uploads are recorded as their lines arrive. Everything else is recorded once the listing has ended, as a
  later line may contradict it. A line that is the same as in the last round costs one look-up.
- An upload is *gone* if a whole listing lacks it, in all projects. A listing is not whole if it failed, was cut, has a line of an
  unknown upload or an id twice, or has no `end` line although an earlier one had it or it is empty.
- A listing that has such a line and lacks known uploads fails: the line may be of any of them.
- If a listing lacks most uploads, the source is listed a second time before that is believed.
- An upload that is gone keeps its last stage: absence never means success. One that its source reported as `ended` stays as it ended.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import cast

from msgspec import Struct, field

from upload_tui.clock import Clock
from upload_tui.errors import NotFoundError
from upload_tui.monitor.changes import Change
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.rows import from_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.source_recorder import Scope, SourceRecorder, WatchedSource
from upload_tui.monitor.sync.state import SyncState
from upload_tui.sources import (
    EndLine,
    ErrorLine,
    LineBatch,
    Listing,
    ListingTally,
    SummarizedLine,
    UnreadableLine,
    UploadLine,
    guess_id,
    parse_line,
)

__all__ = ["SourceSynchroniser"]

_BATCH_LINES = 100
"""Changed lines recorded in one transaction, which takes some milliseconds."""
_PAGE_LINES = 1000
"""New lines of the first listing stored as one page, which takes some milliseconds."""
_FEW_LINES = 25
"""After a batch of fewer lines, those that have arrived are recorded: the source is slow, or has ended."""
_MAX_PAGE_SECONDS = 0.2
"""After a batch that arrives this long after the last recording, too: a slow source may print many lines at once."""
_BATCH_ROWS = 5000
_YIELD_SECONDS = 0.001
"""Between two batches, so that key presses are handled."""
_OTHER_PROJECT = ""
"""In place of an id: the line's upload is of a project that is not watched."""


class _Found(Struct):
    """Lines to record together, one of each upload."""

    read_on: datetime
    summarized: dict[str, SummarizedLine] = field(default_factory=dict)
    parsed: dict[str, UploadLine] = field(default_factory=dict)

    def drop(self, upload_id: str) -> None:
        self.summarized.pop(upload_id, None)
        self.parsed.pop(upload_id, None)


class _Round(ListingTally, kw_only=True):
    """The state of one round: the lines of its listing so far, and which of them are not recorded yet."""

    found: _Found
    """What is not recorded yet."""
    present: AbstractSet[str] = frozenset()
    """The known uploads of the watched projects that are not gone."""
    recorded_at: float
    """When lines were last recorded, or the round began; monotonic, in seconds."""
    ids: dict[int, str] = field(default_factory=dict)
    """The upload of each line, by its hash."""
    changed: dict[str, UploadLine] = field(default_factory=dict)
    """To record when the listing has ended."""
    elsewhere: dict[str, UploadLine] = field(default_factory=dict)
    """The lines of known uploads that are in a project that is not watched."""

    def add_all(self, keys: Sequence[int], upload_ids: Sequence[str | None]) -> bool:
        """Note the lines of different uploads of watched projects, at once; False, with none noted, if they need `add` one by one."""
        found = {*upload_ids}
        if not {None, _OTHER_PROJECT}.isdisjoint(found) or len(found) < len(upload_ids):
            return False
        if not (self.keys.keys().isdisjoint(found) and self.unreadable_ids.isdisjoint(found)):
            return False
        ids = cast("Sequence[str]", upload_ids)
        self.upload_count += len(ids)
        self.keys.update(zip(ids, keys, strict=True))
        self.ids.update(zip(keys, ids, strict=True))
        return True

    def add_summaries(self, keys: Sequence[int], summaries: Sequence[SummarizedLine | None]) -> bool:
        """As `add_all`, for lines that are to be recorded; False also if one was not summarized."""
        if not self.add_all(keys, [None if one is None else one.summary.id for one in summaries]):
            return False
        self.found.summarized.update((one.summary.id, one) for one in summaries if one)
        return True

    def add(self, key: int, upload_id: str) -> bool:
        """Note a line of an upload; False if it is not to be recorded: another line of this upload differs, or cannot be read."""
        if upload_id == _OTHER_PROJECT:
            self.add_of_other_project(is_repeated=key in self.ids)
        elif not self.add_upload(key, upload_id):
            return False
        self.ids[key] = upload_id
        return True

    @property
    def moved(self) -> Mapping[str, UploadLine]:
        """The lines of known uploads that have left the watched projects, by id."""
        listed = self.keys.keys() | self.unreadable_ids
        return {upload_id: line for upload_id, line in self.elsewhere.items() if upload_id not in listed}

    def drop(self, upload_id: str) -> None:
        """Record no line of an upload, as far as none is recorded yet."""
        self.found.drop(upload_id)
        self.changed.pop(upload_id, None)
        self.ids.pop(self.keys.pop(upload_id, 0), None)


class SourceSynchroniser:
    """Synchronises the store with one source.

    Args:
        watched: the source.
        store: where readings are written; it holds nothing else than uploads of this source.
        clock: for the times of readings.
        publish: called with each change of an upload at the end of the round that found it, in the order of events.
        on_progress: called in the first round with the number of uploads read, and None for the total.
    """

    def __init__(
        self,
        watched: WatchedSource,
        store: Store,
        clock: Clock,
        publish: Callable[[Change], None],
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        self._source = watched.source
        self.scope = Scope(watched, store)
        self._recorder = SourceRecorder(watched, store, clock, publish)
        self._store = store
        self._clock = clock
        self._on_progress = on_progress
        self._state, self._source_state = SyncState(store, watched.facts_name), SyncState(store, watched.service)
        self._ids: dict[int, str] = {}
        self._present: set[str] | None = None
        self._known = set[str]()
        self._last = _Round(found=_Found(clock.now()), recorded_at=clock.monotonic())
        self.project = ProjectRef(watched.service, watched.title)
        self.answer_count = 0
        """Batches of lines in this round, or the last one."""
        self.last_listing = Listing()
        """How the last listing ended."""

    @property
    def partial_problem(self) -> str:
        """Why the last listing may not have everything; see `ListingTally.unlisted_problem`."""
        return self._last.unlisted_problem

    @property
    def unreadable_ids(self) -> Collection[str]:
        """Uploads whose lines in the last listing cannot be read, or contradict each other; what is stored may be old."""
        return self._last.unreadable_ids

    @property
    def unreadable_notice(self) -> str:
        """A note on uploads that the source lists but that cannot be read now; empty if there are none."""
        return self._last.notice or ("" if self._state.is_scanned else "not all uploads have been read yet")

    def missing_projects(self) -> Mapping[str, NotFoundError]:
        """An error for each project to watch that the last listing lacks; empty if not all of it could be read."""
        return {} if self.unreadable_notice else self._recorder.missing_projects()

    @property
    def previous_read_on(self) -> datetime | None:
        """When a whole listing was last read, in this session or an earlier one; None if none ever was."""
        return from_ms(self._state.synced_ms)

    async def sync(self) -> bool:
        """Run one round; True if anything changed.

        Raises:
            ServiceError: the listing failed or is incomplete; what was read before that is recorded.
            BusyStorageError: another process is writing to the store, or the store was replaced.
        """
        self.answer_count = 0
        await self._store.bulk.wait_until_idle()
        if self._recorder.begin_round():  # a store that was replaced holds nothing that was read before
            self._ids, self._present = {}, None
        is_first = not self._state.is_scanned
        if is_first:
            self._store.bulk.begin()
        try:
            await self._sync()
        finally:
            if is_first:
                await self._store.bulk.finish()
                self._recorder.delete(self._last.unreadable_ids - self._known)
            self._recorder.changes.publish()
        return self._recorder.has_changed

    async def _sync(self) -> None:
        is_first = self._present is None
        present = await self._read_stored() if self._present is None else self._present
        self._known = set[str]() if self._state.is_scanned else self._store.ids()
        listed = await self._list(present)
        missing = {*listed.unlisted(present)}
        ended = await self._recorder.ended_among(missing)
        missing -= ended
        if not listed.unlisted_problem and self._is_suspicious(listed, len(present - ended), missing):
            listed = await self._list(present)
            missing &= listed.unlisted(present)
        if error := listed.error(self.last_listing, had_end=self._source_state.has_end, known=present - ended):
            await self._keep_partial(listed, present)
            raise error
        is_whole = not listed.unlisted_problem
        if not is_whole:  # any of the missing may be in that line
            self._keep(listed, present | listed.keys.keys())
        else:
            await self._recorder.mark_gone([*missing, *self._recorder.surplus_ended(ended)])
            self._keep(listed, listed.keys.keys() | (listed.unreadable_ids & present))
        if present:  # otherwise all were recorded in this round
            await self._recorder.touch(listed.keys.keys(), is_whole=is_whole, with_final=is_first)
        self._recorder.finish_round(self._state, is_whole=is_whole, is_scanned=not listed.unidentified_problem)
        if is_first:
            await self._recorder.changes.copies.copy_stored(self.scope.ids)

    def _is_suspicious(self, listed: _Round, expected_count: int, missing: Collection[str]) -> bool:
        """Whether a listing may be an accident: it lacks most uploads that were expected, or the end line of earlier ones."""
        if self._source_state.has_end and listed.end_line is None:
            return True
        return len(missing) >= max(1, min(expected_count - 1, expected_count // 2 + 1))  # of two, one is most

    async def _read_stored(self) -> set[str]:
        """The stored uploads of watched projects that are not gone; remember their lines, so that equal ones are not parsed again."""
        number, present, project_ids = 0, set[str](), self.scope.ids
        while batch := self._store.listed_ids(number, _BATCH_ROWS, project_ids):
            number = batch[-1][0]
            present.update(row[1] for row in batch)
            self._ids.update(self._recorder.printed_lines(batch))
            await asyncio.sleep(_YIELD_SECONDS)
        return present

    async def _list(self, present: set[str]) -> _Round:
        """Read a whole listing; of one that is not whole, what was read is kept, and its error raised.

        Uploads that have left the watched projects are recorded once more, and are not `present` any longer.
        """
        found, now = _Found(self._clock.now()), self._clock.monotonic()
        round_ = self._last = _Round(found=found, present=present, recorded_at=now)
        self.last_listing = await self._source.read(
            lambda batch: self._receive(batch, round_),
            lambda listing: round_.is_whole(listing, had_end=self._source_state.has_end),
        )
        await self._record(round_)
        moved = round_.moved
        await self._record_lines([*round_.changed.values(), *moved.values()])
        present.difference_update(moved)
        error = round_.failure(self.last_listing)
        await self._recorder.mark_unreadable(round_.unreadable_ids)
        if error is None:
            if round_.end_line is not None and not self._source_state.has_end:
                self._source_state.has_end = True
            return round_
        await self._keep_partial(round_, present)
        raise error

    async def _keep_partial(self, round_: _Round, present: set[str]) -> None:
        self._keep(round_, present | round_.keys.keys())
        await self._recorder.touch(round_.keys.keys(), is_whole=False)

    def _keep(self, round_: _Round, present: set[str]) -> None:
        """Remember the lines of a round, and of earlier ones those of uploads that it does not list."""
        listed = round_.keys.keys() | round_.unreadable_ids
        if len(present) > len(round_.keys):
            others = {key: one for key, one in self._ids.items() if one in present and one not in listed}
            round_.ids.update(others)
        self._ids, self._present = round_.ids, present

    async def _receive(self, batch: LineBatch, round_: _Round) -> None:
        self.answer_count += 1
        for start in range(0, len(batch.lines), _PAGE_LINES):
            await self._receive_some(batch.first_number + start, batch.lines[start : start + _PAGE_LINES], round_)
        is_due = self._clock.monotonic() - round_.recorded_at >= _MAX_PAGE_SECONDS
        if round_.found.parsed or is_due or len(batch.lines) < _FEW_LINES:
            await self._record(round_)

    async def _receive_some(self, first_number: int, lines: Sequence[bytes | None], round_: _Round) -> None:
        keys = [*map(hash, lines)]
        known_ids = [*map(self._ids.get, keys)]
        if round_.add_all(keys, known_ids):  # nearly always: nothing has changed
            return
        if len(round_.found.summarized) + len(lines) > _PAGE_LINES:
            await self._record(round_)
        if not (round_.found.summarized or round_.found.parsed):
            round_.found.read_on = self._clock.now()
        is_first = not self._state.is_scanned
        summaries = self._recorder.summarize(lines, round_.found.read_on) if is_first else [None] * len(lines)
        if not any(known_ids) and round_.add_summaries(keys, summaries):
            return
        for number, (line, key, summarized) in enumerate(zip(lines, keys, summaries, strict=True), first_number):
            upload_id = self._ids.get(key)
            if upload_id is not None and round_.keys.get(upload_id, key) == key:
                round_.add(key, upload_id)
            elif not (summarized and round_.add_summaries([key], [summarized])):
                self._read(line, number, key, round_)
            if len(round_.found.parsed) >= _BATCH_LINES:
                await self._record(round_)

    def _read(self, line: bytes | None, number: int, key: int, round_: _Round) -> None:
        """Parse a new line; an upload is to be recorded."""
        match found := parse_line(line):
            case UploadLine():
                is_watched = self._recorder.is_watched(found)
                is_added = round_.add(key, found.id if is_watched else _OTHER_PROJECT)
                if not is_watched and found.id in round_.present:
                    round_.elsewhere[found.id] = found
                if is_watched and is_added:
                    round_.found.parsed[found.id] = found
            case UnreadableLine():
                guessed = found.id or (guess_id(line) if line else "")
                round_.add_unreadable(number, found.reason, guessed, is_known=bool(found.id))
            case EndLine():
                round_.add_end(found)
            case ErrorLine():
                round_.error_line = round_.error_line or found

    async def _record(self, round_: _Round) -> None:
        """Record what was found, and give way to key presses."""
        found, round_.found, round_.recorded_at = round_.found, _Found(self._clock.now()), self._clock.monotonic()
        lines = [*found.parsed.values(), *self._recorder.insert(found.summarized, found.read_on)]
        # A line is recorded early only where it can be deleted again: a recording cannot.
        is_shown_early = not self._state.is_scanned and self._store.bulk.can_insert_summaries
        early = {line.id for line in lines} - self._known if is_shown_early else set[str]()
        await self._record_lines([line for line in lines if line.id in early])
        for line in self._recorder.changed_lines([line for line in lines if line.id not in early]):
            round_.changed[line.id] = line
        if (found.summarized or found.parsed) and not self._state.is_scanned:
            self._on_progress(len(round_.keys), None)
        await asyncio.sleep(_YIELD_SECONDS)

    async def _record_lines(self, lines: Sequence[UploadLine]) -> None:
        """Record lines; what was not known before a source is read for the first time is no change."""
        for start in range(0, len(lines), _BATCH_LINES):
            batch = lines[start : start + _BATCH_LINES]
            new = set[str]() if self._state.is_scanned else {line.id for line in batch} - self._known
            for is_silent in (True, False):
                if part := [line for line in batch if (line.id in new) is is_silent]:
                    self._recorder.record(part, is_silent=is_silent)
            await asyncio.sleep(_YIELD_SECONDS)
