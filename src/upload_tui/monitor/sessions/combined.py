"""Several sessions as one: the projects of several services in one table.

Each session runs on its own schedule, so a slow service does not block the others.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from math import inf
from typing import Any

from msgspec.structs import replace

from upload_tui.monitor.analysis.statistics import LatencyHistogram, merge_histograms
from upload_tui.monitor.changes import Change, ConnectionChanged
from upload_tui.monitor.model import (
    Acknowledgement,
    CauseGroup,
    Connection,
    Detail,
    Funnel,
    ProjectRef,
    Row,
    StageSummary,
    Trouble,
    Window,
)
from upload_tui.monitor.picture import Picture
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.sessions.connection import worst_connection
from upload_tui.monitor.sessions.session import ChangeBroadcaster, Session
from upload_tui.status import Stage

__all__ = ["CombinedPicture", "CombinedSession"]

_NEVER = datetime.min.replace(tzinfo=UTC)


def _took_seconds(row: Row) -> float:
    if row.ended_on is None or row.completed_on is None:
        return -inf
    return (row.ended_on - row.completed_on).total_seconds()


def _progress(row: Row) -> float:
    """The sort value for progress, the same as in the store."""
    if row.stage is Stage.INITIATED:
        return min(1.0, float(row.chunk_bytes or 0) / row.size_bytes) if row.size_bytes else 0.0
    return {Stage.COMPLETED: 2.0, Stage.ERROR: 3.0, Stage.VERIFIED: 4.0}[row.stage]


_SORT_VALUES: dict[SortKey, Callable[[Row], Any]] = {
    SortKey.INITIATED: lambda row: row.initiated_on or _NEVER,
    SortKey.STAGE: lambda row: (row.stage.rank, row.initiated_on or _NEVER),
    SortKey.SINCE: lambda row: row.stage_since or _NEVER,
    SortKey.NAME: lambda row: row.name.encode("utf-8", "replace").lower(),
    SortKey.SIZE: lambda row: -1 if row.size_bytes is None else row.size_bytes,
    SortKey.TOOK: _took_seconds,
    SortKey.CHUNKS: lambda row: -1 if row.chunk_count is None else row.chunk_count,
    SortKey.PROGRESS: _progress,
    SortKey.ID: lambda row: row.id,
}
_SORTED_BY_SESSION = frozenset({SortKey.PROJECT, SortKey.SERVICE})
"""Sort keys that only order the rows within a session; the sessions are listed one after the other."""


class CombinedPicture:
    """The pictures of several sessions as one; implements `Picture`.

    Args:
        sessions: at least one, in the order in which their projects are shown.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = sessions

    @property
    def _pictures(self) -> Sequence[Picture]:
        return [session.picture for session in self._sessions]

    @property
    def revision(self) -> int:
        """Increases whenever the uploads of a session may have changed."""
        return sum(picture.revision for picture in self._pictures)

    def now(self) -> datetime:
        """The present."""
        return self._sessions[0].picture.now()

    def as_of(self, project_id: str = "") -> datetime:
        """When the picture, or one of its projects, was last current."""
        sessions = [one for one in self._sessions if project_id in {project.id for project in one.projects}]
        return max(session.picture.as_of(project_id) for session in sessions or self._sessions)

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """The rows of all sessions, merged in order."""
        patience = None if patience_seconds is None else patience_seconds / len(self._sessions)
        queries = self._queries(query)
        empty = [
            session.picture.window(own, offset + limit, 0, patience)
            for session, own in zip(self._sessions, queries, strict=True)
        ]
        totals = [window.total for window in empty]
        offset = max(0, min(offset, sum(totals)))
        starts = self._split(queries, totals, offset)
        windows = [
            session.picture.window(own, start, limit, 0.0)
            for session, own, start in zip(self._sessions, queries, starts, strict=True)
        ]
        ranked = [
            [(_rank(query, window, number, index), row) for number, row in enumerate(window.rows)]
            for index, window in enumerate(windows)
        ]
        rows = tuple(row for _, row in islice(merge(*ranked, key=lambda pair: pair[0]), max(0, limit)))
        return Window(
            rows,
            offset,
            sum(totals),
            sum(one.revision for one in windows),
            all(one.is_settled for one in empty),
            sum(one.in_trouble for one in empty),
            sum(one.total_in_trouble for one in empty),
        )

    def _queries(self, query: Query) -> Sequence[Query]:
        """The query of each session: the rows in trouble that come first are shared among the sessions by their weight."""
        most = query.max_in_trouble
        if query.sort is not SortKey.TROUBLE or most is None:
            return [query] * len(self._sessions)
        ranked = [
            (_rank(query, window, number, index), index)
            for index, session in enumerate(self._sessions)
            for window in (session.picture.window(query, 0, most, 0.0),)
            for number in range(min(window.in_trouble, len(window.rows)))
        ]
        shares = Counter(index for _, index in sorted(ranked, key=lambda pair: pair[0])[:most])
        return [replace(query, max_in_trouble=shares[index]) for index in range(len(self._sessions))]

    def _split(self, queries: Sequence[Query], totals: Sequence[int], offset: int) -> Sequence[int]:
        """How many rows of each session come before row `offset` of all; by bisection, to need few queries."""
        starts, left = [0] * len(totals), offset
        while left > 0:
            unfinished = [index for index, total in enumerate(totals) if starts[index] < total]
            if not unfinished:
                break
            share = max(1, left // len(unfinished))
            steps = {index: min(share, totals[index] - starts[index]) for index in unfinished}
            candidates = [
                (rank, index)
                for index in unfinished
                if (rank := self._rank_at(queries, index, starts[index] + steps[index] - 1))
            ]
            if not candidates:
                break  # rows were deleted meanwhile
            first = min(candidates)[1]
            starts[first] += steps[first]
            left -= steps[first]
        return starts

    def _rank_at(self, queries: Sequence[Query], index: int, offset: int) -> "_Rank | None":
        window = self._sessions[index].picture.window(queries[index], offset, 1, 0.0)
        return _rank(queries[index], window, 0, index) if window.rows else None

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row of an upload among the rows of all sessions; None if no session has it."""
        queries = self._queries(query)
        for index, session in enumerate(self._sessions):
            own = session.picture.position(queries[index], upload_id)
            rank = None if own is None else self._rank_at(queries, index, own)
            if own is not None and rank is not None:
                others = (other for other in range(len(self._sessions)) if other != index)
                return own + sum(self._count_before(queries, other, rank) for other in others)
        return None

    def _count_before(self, queries: Sequence[Query], index: int, rank: "_Rank") -> int:
        low, high = 0, self._sessions[index].picture.window(queries[index], 0, 0, 0.0).total
        while low < high:
            middle = (low + high) // 2
            there = self._rank_at(queries, index, middle)
            if there is not None and there < rank:
                low = middle + 1
            else:
                high = middle
        return low

    def funnel(self, project_ids: frozenset[str] = frozenset()) -> Funnel:
        """The stages and the uploads in trouble, summed over all sessions; each notice begins with its session's title."""
        funnels = [picture.funnel(project_ids) for picture in self._pictures]
        notices = [
            f"{session.title}: {funnel.notice}"
            for session, funnel in zip(self._sessions, funnels, strict=True)
            if funnel.notice
        ]
        troubles = sum((Counter(funnel.troubles) for funnel in funnels), Counter[Trouble]())
        return Funnel(
            tuple(_summed([funnel[stage] for funnel in funnels]) for stage in Stage),
            "; ".join(notices),
            troubles,
            sum(funnel.gone for funnel in funnels),
            dict(sum((Counter(funnel.failures) for funnel in funnels), Counter[str]()).most_common()),
        )

    def pending(self, limit: int, project_ids: frozenset[str] = frozenset()) -> Sequence[Row]:
        """The pending uploads of all sessions."""
        rows = [row for picture in self._pictures for row in picture.pending(limit, project_ids)]
        rows.sort(
            key=lambda row: (
                not row.lateness.is_stuck,
                not row.lateness.is_overdue,
                -row.stage.rank,
                row.stage_since or _NEVER,
            )
        )
        return rows[:limit]

    def acknowledge(self, upload_ids: Sequence[str], acknowledgement: Acknowledgement | None) -> None:
        """Acknowledge what is wrong with uploads, in the session that has them; None takes it back."""
        for picture in self._pictures:
            picture.acknowledge(upload_ids, acknowledgement)

    def row(self, upload_id: str) -> Row | None:
        """One upload as a row; None if no session has it."""
        return next((row for picture in self._pictures if (row := picture.row(upload_id)) is not None), None)

    def detail(self, upload_id: str) -> Detail | None:
        """One upload in full; None if no session has it."""
        return next((detail for picture in self._pictures if (detail := picture.detail(upload_id)) is not None), None)

    def causes(self, project_ids: frozenset[str] = frozenset()) -> Sequence[CauseGroup]:
        """The failed uploads of all sessions by cause."""
        groups: dict[tuple[str, str, str], CauseGroup] = {}
        for group in (group for picture in self._pictures for group in picture.causes(project_ids)):
            key = (group.cause, group.storage_provider, group.uploader)
            groups[key] = _added(groups[key], group) if key in groups else group
        return sorted(groups.values(), key=lambda group: -group.count)

    def latencies(self, project_ids: frozenset[str] = frozenset()) -> Sequence[LatencyHistogram]:
        """The latencies of all sessions, merged."""
        latencies = (picture.latencies(project_ids) for picture in self._pictures)
        return [merge_histograms(some) for some in zip(*latencies, strict=True)]


class _Rank:
    """A sort key that compares in the direction of the table."""

    __slots__ = ("is_descending", "parts")

    def __init__(self, parts: tuple[Any, int], is_descending: bool) -> None:
        self.parts = parts
        self.is_descending = is_descending

    def __lt__(self, other: "_Rank") -> bool:
        return other.parts < self.parts if self.is_descending else self.parts < other.parts


def _weight(row: Row) -> int:
    """The more serious the trouble, the less."""
    return len(Trouble) if row.trouble is None else [*Trouble].index(row.trouble)


def _rank(query: Query, window: Window, number: int, index: int) -> _Rank:
    """The sort key, among all sessions, of row `number` of a session's window; equal rows are in the order of their sessions."""
    row = window.rows[number]
    if query.sort in _SORTED_BY_SESSION:
        return _Rank((index, 0), query.descending)
    if query.sort is not SortKey.TROUBLE:
        return _Rank((_SORT_VALUES[query.sort](row), index), query.descending)
    if window.offset + number < window.in_trouble:
        since = (row.stage_since or _NEVER).timestamp()
        return _Rank(((0, _weight(row), -since if row.stage.is_final else since), index), is_descending=False)
    initiated = (row.initiated_on or _NEVER).timestamp()
    return _Rank(((1, 0, -initiated if query.descending else initiated), index), is_descending=False)


def _summed(summaries: Sequence[StageSummary]) -> StageSummary:
    minutes = max(len(summary.recent) for summary in summaries)
    padded = [(0,) * (minutes - len(summary.recent)) + summary.recent for summary in summaries]
    return StageSummary(
        summaries[0].stage,
        sum(summary.count for summary in summaries),
        min(_not_none(summary.oldest_since for summary in summaries), default=None),
        max(_not_none(summary.newest_since for summary in summaries), default=None),
        sum(summary.overdue for summary in summaries),
        sum(summary.stuck for summary in summaries),
        tuple(map(sum, zip(*padded, strict=True))),
    )


def _not_none(times: Iterable[datetime | None]) -> Sequence[datetime]:
    return [on for on in times if on is not None]


def _added(one: CauseGroup, other: CauseGroup) -> CauseGroup:
    latest = max((one, other), key=lambda group: group.last_on or _NEVER)
    return replace(
        latest,
        count=one.count + other.count,
        first_on=min(_not_none((one.first_on, other.first_on)), default=None),
    )


class CombinedSession:
    """Combines sessions; implements `Session`.

    Args:
        sessions: at least one, in the order in which their projects are shown.
        title: the title; empty joins the titles of the sessions.
    """

    def __init__(self, sessions: Sequence[Session], title: str = "") -> None:
        self._sessions = sessions
        self._title = title
        self.changes = ChangeBroadcaster()
        self.picture = CombinedPicture(sessions)

    @property
    def title(self) -> str:
        """The session's name."""
        return self._title or " + ".join(session.title for session in self._sessions)

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects of all sessions; names that several sessions have begin with the session's title."""
        projects = [(session.title, project) for session in self._sessions for project in session.projects]
        counts = Counter(name for name, _ in {(project.name, title) for title, project in projects})
        return [
            replace(project, name=f"{title}/{project.name}") if project.name and counts[project.name] > 1 else project
            for title, project in projects
        ]

    def connection(self) -> Connection:
        """The worst connection, with the title of its session if it is not that of all."""
        connections = [(session.title, session.connection()) for session in self._sessions]
        requests = [one.requests_last_minute for _, one in connections if one.requests_last_minute is not None]
        limits = [one.requests_per_minute for _, one in connections if one.requests_last_minute is not None]
        return replace(
            worst_connection(connections),
            requests_last_minute=sum(requests) if requests else None,
            requests_per_minute=None if None in limits or not limits else sum(limit or 0 for limit in limits),
        )

    async def run(self) -> None:
        """Run all sessions until cancelled."""
        async with AsyncExitStack() as stack:
            subscriptions = [stack.enter_context(session.changes.subscribe()) for session in self._sessions]
            group = await stack.enter_async_context(asyncio.TaskGroup())
            for session, changes in zip(self._sessions, subscriptions, strict=True):
                group.create_task(self._forward(changes))
                group.create_task(session.run())

    async def _forward(self, changes: AsyncIterator[Change]) -> None:
        async for change in changes:
            if isinstance(change, ConnectionChanged):
                self.changes.publish(replace(change, connection=self.connection()))
            else:
                self.changes.publish(change)

    def refresh(self) -> None:
        """Poll all services now."""
        for session in self._sessions:
            session.refresh()

    def pause(self) -> None:
        """Send no requests to any service."""
        for session in self._sessions:
            session.pause()

    def resume(self) -> None:
        """End the pause of all sessions."""
        for session in self._sessions:
            session.resume()

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched, for all sessions."""
        for session in self._sessions:
            session.set_watched(is_watched=is_watched)
