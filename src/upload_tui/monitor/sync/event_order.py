"""The order in which one round's changes are told: by when things happened, whichever page or request told of them first. Pure."""

from collections.abc import Sequence
from datetime import datetime

from upload_tui.monitor.changes import StageReached, UploadChange, UploadSeen

__all__ = ["sort_by_event_time"]


def sort_by_event_time(changes: Sequence[UploadChange]) -> Sequence[UploadChange]:
    """The same changes, the earliest event first; those of one upload stay in the order in which they are given."""
    times: list[datetime] = []
    latest: dict[str, datetime] = {}
    for change, on in zip(changes, _event_times(changes), strict=True):
        known = latest.get(change.upload.id)
        latest[change.upload.id] = on if known is None else max(on, known)
        times.append(latest[change.upload.id])
    return [changes[place] for place in sorted(range(len(changes)), key=times.__getitem__)]


def _event_times(changes: Sequence[UploadChange]) -> Sequence[datetime]:
    """When each happened, as far as is known; that an upload is seen belongs to what is told of it next."""
    times: list[datetime] = []
    following: dict[str, datetime] = {}
    for change in reversed(changes):
        on = change.at
        if isinstance(change, StageReached):
            on = change.on or change.latest or change.at
        elif isinstance(change, UploadSeen):
            on = following.get(change.upload.id, on)
        following[change.upload.id] = on
        times.append(on)
    return times[::-1]
