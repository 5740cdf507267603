"""Marks on branches that are rarely taken: a run that never meets one does not test it. Nothing of them is in the product."""

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import pytest

from upload_tui.backend import context, storage, worker
from upload_tui.backend.endpoints import transfers
from upload_tui.backend.store import queue
from upload_tui.client import credentials, requester
from upload_tui.monitor import ConnectionState
from upload_tui.monitor.sessions import connection, live
from upload_tui.monitor.store import bulk, database, recovery
from upload_tui.monitor.sync import (
    fetcher,
    full_scan,
    pending_uploads,
    reconciler,
    recorder,
    round_changes,
    source_synchroniser,
    state,
)

__all__ = ["MARKS", "Marks"]

Condition: TypeAlias = Callable[[Sequence[Any], Any], bool]
"""Of the arguments and the result of a call."""


def _always(_: Sequence[Any], __: Any) -> bool:
    return True


def _has_result(_: Sequence[Any], result: Any) -> bool:
    return bool(result)


def _no_result(_: Sequence[Any], result: Any) -> bool:
    return not result


def _enters(state: ConnectionState) -> Condition:
    return lambda arguments, _: arguments[0].current.state is state


MARKS: Mapping[str, tuple[Any, str, Condition]] = {
    "pass of a full scan repeated": (full_scan.FullScan, "_run_pass", _no_result),
    "gap between two pages closed": (full_scan._PageSequence, "_close_gap", _always),
    "rows read past the end": (full_scan.FullScan, "_read_past_end", _always),
    "page read in pieces": (fetcher.PageFetcher, "fetch_in_pieces", _always),
    "asked whether the service is up": (fetcher.PageFetcher, "_is_service_up", _always),
    "unreadable rows tried again": (state.UnreadableRows, "next_to_retry", lambda _, rows: rows is not None),
    "upload found gone": (recorder.ChangeRecorder, "_mark_gone", _has_result),
    "upload marked stale": (recorder.ChangeRecorder, "_mark_stale", _has_result),
    "changes of another process": (round_changes.RoundChanges, "collect_others", _has_result),
    "pending uploads planned by page": (pending_uploads, "plan_pages", _always),
    "difference of totals accepted": (reconciler.Reconciler, "accept_difference", _always),
    "offline": (connection.ConnectionTracker, "failed", _enters(ConnectionState.OFFLINE)),
    "no answer during a round": (
        connection.ConnectionTracker, "note_stall", lambda arguments, _: arguments[0].current.reason.startswith("No answer"),
    ),
    "other projects retried": (live.LiveSession, "_retry_others", _always),
    "throttled": (requester.RequestGate, "back_off", _always),
    "token renewed": (credentials.TokenAuth, "_store_token", _always),
    "bulk load": (bulk.BulkLoad, "begin", _always),
    "bulk load of a dead process ended": (recovery, "end_bulk", _always),
    "store replaced": (database, "replacement_for", _always),
    "store copied to memory": (recovery, "_copy_to_memory", _always),
    "damaged store renamed": (recovery, "_rename_damaged", _has_result),
    "suspicious listing repeated": (source_synchroniser.SourceSynchroniser, "_is_suspicious", _has_result),
    "present uploads kept after a cut listing": (source_synchroniser.SourceSynchroniser, "_keep", _always),
    "chunk refused, the storage is unavailable": (transfers, "storage_unavailable", _always),
    "chunk of a closed upload refused": (context.ServiceContext, "closed_upload", _always),
    "chunk looked for below the mark of the storage": (storage, "_open_folder", _always),
    "verification postponed": (worker.VerificationWorker, "_postpone", _always),
    "verification postponed for the third time": (
        worker.VerificationWorker, "_postpone", lambda arguments, _: arguments[1].attempts >= 2,
    ),
    "no job can be claimed": (worker.VerificationWorker, "_report_postponed", _always),
    "outcome of a job of another claim": (queue.Queue, "finish", _no_result),
    "interrupted job claimed again": (queue.Queue, "claim", lambda _, job: job is not None and job.claim > job.attempts + 1),
}  # fmt: skip


class Marks:
    """Counts the marks met inside the context."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        for name, (owner, attribute, condition) in MARKS.items():
            self._patch.setattr(owner, attribute, self._observed(name, getattr(owner, attribute), condition))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patch.undo()

    def _observed(self, name: str, function: Callable[..., Any], condition: Condition) -> Callable[..., Any]:
        def count(arguments: Sequence[Any], result: Any) -> Any:
            if condition(arguments, result):
                self.met[name] += 1
            return result

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*arguments: Any, **options: Any) -> Any:
                return count(arguments, await function(*arguments, **options))

            return call_async

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            return count(arguments, function(*arguments, **options))

        return call
