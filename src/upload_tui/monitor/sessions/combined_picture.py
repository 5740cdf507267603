"""The pictures of several sessions as one: their rows merged in order, their figures summed.

Two services may have uploads and projects with the same ids; each answer says which service it is of.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from heapq import merge
from itertools import islice
from math import inf
from typing import Any

from msgspec.structs import replace

from upload_tui.clock import Clock
from upload_tui.monitor.ages import oldest_age, oldest_of, with_oldest
from upload_tui.monitor.analysis.statistics import LatencyHistogram, merge_histograms
from upload_tui.monitor.analysis.trouble import NEVER, waiting_order
from upload_tui.monitor.model import (
    Acknowledgement,
    CauseGroup,
    Detail,
    Funnel,
    Row,
    StageSummary,
    Trouble,
    Window,
    project_key,
)
from upload_tui.monitor.picture import Picture
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.sessions.session import Session
from upload_tui.status import Stage

__all__ = ["CombinedPicture", "own_ids"]


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
    SortKey.INITIATED: lambda row: row.first_event_on or NEVER,
    SortKey.STAGE: lambda row: (row.stage.rank, row.first_event_on or NEVER),
    SortKey.SINCE: lambda row: row.stage_since or NEVER,
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

    def _pictures_of(self, service: str) -> Sequence[Picture]:
        return [picture for picture in self._pictures if service in {"", picture.service}]

    @property
    def service(self) -> str:
        """The service if it is the same for all sessions."""
        services = {picture.service for picture in self._pictures}
        return services.pop() if len(services) == 1 else ""

    @property
    def revision(self) -> int:
        """Increases whenever the uploads of a session may have changed."""
        return sum(picture.revision for picture in self._pictures)

    @property
    def clock(self) -> Clock:
        """The clock of the first session."""
        return self._sessions[0].picture.clock

    def as_of(self, project_id: str = "") -> datetime:
        """When the picture, or one of its projects, was last current."""
        if not project_id:
            return max(picture.as_of() for picture in self._pictures)
        times = [
            session.picture.as_of(own_id)
            for session in self._sessions
            for own_id in own_ids(session, frozenset({project_id}))
            if own_id
        ]
        return min(times, default=self.as_of())

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
        queries = [_own_query(session, query) for session in self._sessions]
        if query.sort is not SortKey.TROUBLE or most is None:
            return queries
        ranked = [
            (_rank(query, window, number, index), index)
            for index, session in enumerate(self._sessions)
            for window in (session.picture.window(queries[index], 0, most, 0.0),)
            for number in range(min(window.in_trouble, len(window.rows)))
        ]
        shares = Counter(index for _, index in sorted(ranked, key=lambda pair: pair[0])[:most])
        return [replace(own, max_in_trouble=shares[index]) for index, own in enumerate(queries)]

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

    def position(self, query: Query, upload_id: str, service: str = "") -> int | None:
        """The row of an upload among the rows of all sessions; None if no session has it."""
        queries = self._queries(query)
        for index, session in enumerate(self._sessions):
            if service not in {"", session.picture.service}:
                continue
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
        """The stages and the uploads in trouble, summed over all sessions; each notice has its session's title."""
        funnels = [session.picture.funnel(own_ids(session, project_ids)) for session in self._sessions]
        notices = [
            replace(notice, title=session.title)
            for session, funnel in zip(self._sessions, funnels, strict=True)
            for notice in funnel.notices
        ]
        troubles = sum((Counter(funnel.troubles) for funnel in funnels), Counter[Trouble]())
        return Funnel(
            tuple(_summed([funnel[stage] for funnel in funnels], self.clock.now()) for stage in Stage),
            tuple(notices),
            troubles,
            sum(funnel.gone for funnel in funnels),
            dict(sum((Counter(funnel.failures) for funnel in funnels), Counter[str]()).most_common()),
            sum(funnel.others for funnel in funnels),
        )

    def pending(self, limit: int, project_ids: frozenset[str] = frozenset()) -> Sequence[Row]:
        """The pending uploads of all sessions."""
        rows = [
            row for session in self._sessions for row in session.picture.pending(limit, own_ids(session, project_ids))
        ]
        return sorted(rows, key=partial(waiting_order, self.clock.now()))[:limit]

    def acknowledge(self, ids: Sequence[str], acknowledgement: Acknowledgement | None, service: str = "") -> None:
        """Acknowledge what is wrong with uploads, in the sessions that have them; None takes it back."""
        for picture in self._pictures_of(service):
            picture.acknowledge(ids, acknowledgement)

    def row(self, upload_id: str, service: str = "") -> Row | None:
        """One upload as a row; None if no session has it."""
        rows = (picture.row(upload_id) for picture in self._pictures_of(service))
        return next((row for row in rows if row is not None), None)

    def detail(self, upload_id: str, service: str = "") -> Detail | None:
        """One upload in full; None if no session has it."""
        details = (picture.detail(upload_id) for picture in self._pictures_of(service))
        return next((detail for detail in details if detail is not None), None)

    def causes(self, project_ids: frozenset[str] = frozenset()) -> Sequence[CauseGroup]:
        """The failed uploads of all sessions by cause."""
        groups: dict[tuple[str, str, str], CauseGroup] = {}
        for session in self._sessions:
            for found in session.picture.causes(own_ids(session, project_ids)):
                group = replace(found, last_service=session.picture.service)
                key = (group.cause, group.storage_provider, group.uploader)
                groups[key] = _added(groups[key], group) if key in groups else group
        return sorted(groups.values(), key=lambda group: -group.count)

    def latencies(self, project_ids: frozenset[str] = frozenset()) -> Sequence[LatencyHistogram]:
        """The latencies of all sessions, merged."""
        latencies = (session.picture.latencies(own_ids(session, project_ids)) for session in self._sessions)
        return [merge_histograms(some) for some in zip(*latencies, strict=True)]


def own_ids(session: Session, project_ids: frozenset[str]) -> frozenset[str]:
    """Those of the projects that a session has, by its own ids; empty if all are meant, an id of no project if it has none."""
    if not project_ids:
        return project_ids
    own = {project.id for project in session.projects}
    keys = {project_key(own_id, session.picture.service): own_id for own_id in own}
    return frozenset(keys.get(one, one) for one in project_ids if one in own or one in keys) or frozenset({""})


def _own_query(session: Session, query: Query) -> Query:
    """A query as one session answers it: with its own ids of projects, and its own marked uploads."""
    marked = frozenset(key for key in query.marked if key.service in {"", session.picture.service})
    return replace(query, project_ids=own_ids(session, query.project_ids), marked=marked)


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
        since = (row.stage_since or NEVER).timestamp()
        return _Rank(((0, _weight(row), -since if row.stage.is_final else since), index), is_descending=False)
    initiated = (row.first_event_on or NEVER).timestamp()
    return _Rank(((1, 0, -initiated if query.descending else initiated), index), is_descending=False)


def _summed(summaries: Sequence[StageSummary], now: datetime) -> StageSummary:
    minutes = max(len(summary.recent) for summary in summaries)
    newest = max(summaries, key=lambda one: one.newest_since or NEVER)
    padded = [(0,) * (minutes - len(summary.recent)) + summary.recent for summary in summaries]
    summed = StageSummary(
        summaries[0].stage,
        sum(summary.count for summary in summaries),
        newest_since=newest.newest_since,
        overdue=sum(summary.overdue for summary in summaries),
        stuck=sum(summary.stuck for summary in summaries),
        recent=tuple(map(sum, zip(*padded, strict=True))),
        is_newest_least=newest.is_newest_least,
    )
    return with_oldest(summed, oldest_of(map(oldest_age, summaries), now))


def _not_none(times: Iterable[datetime | None]) -> Sequence[datetime]:
    return [on for on in times if on is not None]


def _added(one: CauseGroup, other: CauseGroup) -> CauseGroup:
    latest = max((one, other), key=lambda group: group.last_on or NEVER)
    return replace(
        latest,
        count=one.count + other.count,
        first_on=min(_not_none((one.first_on, other.first_on)), default=None),
    )
