"""Write readings to the store: equal ones refresh the reading time, different ones are compared, stored and published."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.errors import InvalidResponseError
from upload_tui.monitor.changes import (
    AnomalyNoticed,
    OwnStateReached,
    StageReached,
    UploadChange,
    UploadPurged,
    UploadRef,
    UploadSeen,
)
from upload_tui.monitor.store.rows import StoredUpload, to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.sources import parse_raw
from upload_tui.status import (
    Ability,
    Anomaly,
    Certainty,
    Event,
    Stage,
    Timeline,
    Transition,
    UnknownState,
    transitions_between,
    was_superseded,
    was_taken_back,
)
from upload_tui.wire import Project, Upload, UploadReading

__all__ = [
    "CLOCKS_DIFFER",
    "Comparison",
    "IngestResult",
    "compare",
    "ingest",
    "parse_stored",
    "parse_stored_entry",
    "restore_known_event",
]

CLOCKS_DIFFER = timedelta(seconds=2)
"""How far the clocks of two processes may differ: each knows the service's clock from a header in whole seconds."""


class Comparison(Struct, frozen=True):
    """The result of a comparison.

    Attributes:
        upload: the upload to store.
        earliest: the earliest possible time of its last event; None if unknown.
        noticed: the anomalies that comparisons have found so far.
        changes: to publish, in order.
    """

    upload: Upload
    earliest: datetime | None
    noticed: tuple[Anomaly, ...]
    changes: tuple[UploadChange, ...]


def parse_stored(raw: str, stored: StoredUpload) -> Upload | None:
    """Parse stored raw JSON again, with the times that were known; None if it cannot be parsed."""
    try:
        return parse_stored_entry(json.loads(raw), stored)
    except ValueError:
        return None


def parse_stored_entry(entry: Any, stored: StoredUpload) -> Upload | None:
    """As `parse_stored`, of a decoded JSON value."""
    try:
        project = Project(stored.project_id, stored.project_name) if stored.project_id else None
        upload = parse_raw(entry, read_on=stored.read_on, project=project)
    except (ValueError, InvalidResponseError):
        return None
    upload = restore_known_event(upload, stored.earliest, stored.since, stored.certainty)
    return _bound_passed_events(upload, {Stage.INITIATED: stored.initiated_on, Stage.COMPLETED: stored.completed_on})


def restore_known_event(
    upload: Upload, earliest: datetime | None, since: datetime | None, certainty: Certainty
) -> Upload:
    """Give the last event the time that earlier readings found, if the service does not report it.

    The JSON alone may contain less: a purge or any later update hides when the upload was verified.
    """
    state = upload.timeline.own_state
    if state is not None:  # what is stored is the time of that state
        known = replace(state, on=since, certainty=certainty)
        return upload if since is None else _with_observed_state(upload, known)
    upload = _with_earliest(upload, earliest)
    current = upload.timeline.current
    if current is None or since is None or Certainty.REPORTED in (current.certainty, certainty):
        return upload
    if certainty is Certainty.ESTIMATED:
        return _replace_last_event(upload, replace(current, on=since, certainty=certainty))
    return _replace_last_event(upload, replace(current, on=None, certainty=certainty, latest=since))


def _with_observed_state(upload: Upload, known: UnknownState) -> Upload:
    """Give a state of its own the time at which it was first observed, if it has none that is reported."""
    state = upload.timeline.own_state
    if state is None or state.name != known.name or Certainty.REPORTED in (state.certainty, known.certainty):
        return upload
    return replace(upload, timeline=replace(upload.timeline, unknown_state=known))


def _with_earliest(upload: Upload, earliest: datetime | None) -> Upload:
    """Bound the last event by `earliest`, if the service does not report its time.

    An estimate before a reading without that stage was wrong: it is dropped, and only the bounds are kept.
    """
    current = upload.timeline.current
    if earliest is None or current is None or current.certainty is Certainty.REPORTED:
        return upload
    bound = max(earliest, current.earliest) if current.earliest else earliest
    latest = max(bound, current.latest) if current.latest else None
    bounded: Event = replace(current, earliest=bound, latest=latest)
    if current.on is not None and current.on < bound:
        bounded = replace(bounded, on=None, certainty=Certainty.OBSERVED)
    return _replace_last_event(upload, bounded)


def _keep_known_event(before: Upload, after: Upload) -> Upload:
    """Keep the known time of the last event, unless the service reports it now or an estimate narrows what was only observed."""
    state = before.timeline.own_state
    if state is not None:
        after = _with_observed_state(after, state)
    if _has_left_state(before, after):
        return after
    known, current = before.timeline.current, after.timeline.current
    if known is None or current is None or known.stage is not current.stage or known.best_time is None:
        return after
    if Certainty.REPORTED in (known.certainty, current.certainty):
        return after
    is_narrower = (
        known.on is None and current.on is not None and known.latest is not None and current.on <= known.latest
    )
    return after if is_narrower else _replace_last_event(after, known)


def _has_left_state(before: Upload, after: Upload) -> bool:
    """Whether an upload was in a state of its own and now is in a stage, which may have begun after any earlier reading."""
    return before.timeline.own_state is not None and after.timeline.own_state is None


def _bound_passed_events(upload: Upload, known: Mapping[Stage, datetime | None]) -> Upload:
    """Bound observed events before the last by the times that were known of them, and by the event that follows.

    Without that, the time of each later reading would be their bound.
    """
    events, following = list[Event](), None
    for event in reversed(upload.timeline.events):
        if events and event.on is None and event.latest is not None:
            bounds = (event.latest, known.get(event.stage), following)
            latest = min(bound for bound in bounds if bound is not None)
            event = replace(event, latest=max(latest, event.earliest or latest))  # noqa: PLW2901
        events.append(event)
        following = event.on or event.latest
    return replace(upload, timeline=replace(upload.timeline, events=tuple(reversed(events))))


def _replace_last_event(upload: Upload, event: Event) -> Upload:
    return replace(upload, timeline=replace(upload.timeline, events=(*upload.timeline.events[:-1], event)))


def compare(
    before: Upload | None, earliest: datetime | None, noticed: Sequence[Anomaly], after: Upload, service: str
) -> Comparison:
    """Compare two readings of one upload.

    Args:
        before: the older one; None if the upload is new.
        earliest: the earliest possible time of the older one's last event; None if unknown.
        noticed: the anomalies that earlier comparisons found; they stay.
        after: the newer one.
        service: the URL of the service.
    """
    if before is not None and (after.stage is not before.stage or _has_left_state(before, after)):
        # If our clock was set back, the earlier reading is no bound.
        earliest = before.read_on if before.read_on <= after.read_on else None
    after = _with_earliest(after, earliest)
    if before is not None:
        known = {event.stage: event.best_time for event in before.timeline}
        after = _bound_passed_events(_keep_known_event(before, after), known)
    steps, contradictions = transitions_between(
        _without_older_answer(before, after.timeline, noticed),
        after.timeline,
        may_end_again=not after.origin.has(Ability.FINAL_ENDINGS),
    )
    new_anomalies = tuple(anomaly for anomaly in contradictions if anomaly not in noticed)
    ref = UploadRef(after.id, after.name, after.project_id, after.project_name, service)
    changes: list[UploadChange] = [] if before else [UploadSeen(at=after.read_on, upload=ref)]
    changes.extend(_stage_changes(steps, noticed, after.read_on, ref))
    changes.extend(_other_changes(before, after, new_anomalies, ref))
    return Comparison(after, earliest, (*noticed, *new_anomalies), tuple(changes))


def _stage_changes(
    steps: Iterable[Transition], noticed: Sequence[Anomaly], at: datetime, ref: UploadRef
) -> Iterator[StageReached]:
    """The changes of these transitions, without those that an older answer took back."""
    for step in steps:
        is_known = step.previous is step.event.stage and was_superseded(step.event, noticed)
        if not (is_known or was_taken_back(step.event, noticed)):
            yield StageReached.of(step.event, at=at, upload=ref, before=step.previous)


def _without_older_answer(upload: Upload | None, after: Timeline, noticed: Sequence[Anomaly]) -> Timeline | None:
    """The stages before a reading, without the last one if an older answer had it and it is reached at another time now."""
    before = None if upload is None else upload.timeline
    known, current = before.current if before else None, after.current
    if before is None or known is None or current is None or known.stage is not current.stage or known.on == current.on:
        return before
    is_older = was_taken_back(known, noticed) and not was_superseded(current, noticed)
    return replace(before, events=before.events[:-1]) if is_older else before


def _other_changes(
    before: Upload | None, after: Upload, new_anomalies: Sequence[Anomaly], ref: UploadRef
) -> Iterator[UploadChange]:
    known = {(one.name, one.subject) for one in before.anomalies} if before else set()
    new = (one for one in after.anomalies if (one.name, one.subject) not in known)
    for anomaly in (*new, *new_anomalies):
        yield AnomalyNoticed(at=after.read_on, upload=ref, anomaly=anomaly)
    previous = before.timeline if before else Timeline()
    state, previous_state = after.timeline.unknown_state, previous.unknown_state
    is_new_state = state is not None and (previous_state is None or state.name != previous_state.name)
    if state is not None and is_new_state and after.origin.has(Ability.OWN_STATES):
        certainty = state.certainty if state.on else Certainty.OBSERVED
        yield OwnStateReached(at=after.read_on, upload=ref, state=state.name, on=state.on, certainty=certainty)
    if after.timeline.is_purged and not previous.is_purged:
        yield UploadPurged(at=after.read_on, upload=ref, on=after.timeline.purged_on)


class IngestResult(Struct, frozen=True):
    """The result of `ingest`.

    Attributes:
        changed_count: how many readings differ from what the store had.
        changes: the changes to publish, in order.
        possibly_outdated: ids that were skipped: another process read them after these readings were requested.
    """

    changed_count: int
    changes: tuple[UploadChange, ...]
    possibly_outdated: tuple[str, ...] = ()


def ingest(
    store: Store,
    readings: Sequence[UploadReading],
    service: str,
    *,
    is_logged: bool = True,
    now: datetime | None = None,
    earlier_ms: Container[int | None] = (),
) -> IngestResult:
    """Write readings to a store in one transaction, so that several processes can share the store.

    Args:
        store: where to write.
        readings: what the service returned, in the order in which changes are to be published.
        service: the service's URL.
        is_logged: whether the changes go to the change log; False in a full scan, where what exists is no change.
        now: the present by the clock of the readings. A stored reading with a later time was made before the clock was set back and
            does not count as newer. None trusts the clock.
        earlier_ms: times of stored readings, in milliseconds, that were made before these were requested, whatever the clocks say.
    """
    with store.transaction():
        result = _ingest(store, readings, service, now, earlier_ms)
        if is_logged:
            store.change_log.append(result.changes)
    return result


def _ingest(
    store: Store,
    readings: Sequence[UploadReading],
    service: str,
    now: datetime | None,
    earlier_ms: Container[int | None],
) -> IngestResult:
    unchanged: list[str] = []
    entries = []
    changes: list[UploadChange] = []
    possibly_outdated: list[str] = []
    by_id = {reading.upload.id: reading for reading in readings}
    for reading in by_id.values():
        stored = store.get(reading.upload.id)
        raw = "" if stored is None else store.raw_json.raw(stored.id)
        is_unchanged = stored is not None and raw == reading.raw
        is_earlier = stored is not None and to_ms(stored.read_on) in earlier_ms
        if stored is not None and not (is_unchanged or is_earlier) and _may_be_newer(stored, reading, now):
            possibly_outdated.append(stored.id)
            continue
        if stored is not None and stored.is_gone:  # the service lists it again
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, service)
            changes.append(UploadSeen(at=reading.upload.read_on, upload=ref))
        if stored is not None and is_unchanged:
            unchanged.append(stored.id)
            continue
        before = None if stored is None else parse_stored(raw, stored)
        noticed = stored.noticed if stored else ()
        result = compare(before, stored.earliest if stored else None, noticed, reading.upload, service)
        entries.append((result.upload, reading.raw, result.noticed, result.earliest))
        changes.extend(result.changes)
    if unchanged:
        store.touch(unchanged, readings[0].upload.read_on)
    if entries:
        store.put(entries)
    _end_acknowledgements(store, changes)
    return IngestResult(len(entries), tuple(changes), tuple(possibly_outdated))


def _end_acknowledgements(store: Store, changes: Iterable[UploadChange]) -> None:
    """End those of uploads that have reached the stage again for which they were given."""
    reached = {
        change.upload.id for change in changes if isinstance(change, StageReached) and change.before is change.after
    }
    ended = [one for one in reached if (stored := store.get(one)) is not None and stored.acknowledgement is not None]
    if ended:
        store.acknowledgements.set(ended, None)


def _may_be_newer(stored: StoredUpload, reading: UploadReading, now: datetime | None) -> bool:
    """Whether what is stored was read after the reading was requested; another process may be ahead of this one's clock."""
    if reading.requested_on is None or (now is not None and stored.read_on > now + CLOCKS_DIFFER):
        return False
    goes_backwards = reading.upload.stage.rank < stored.stage.rank
    return stored.read_on > reading.requested_on - (CLOCKS_DIFFER if goes_backwards else timedelta())
