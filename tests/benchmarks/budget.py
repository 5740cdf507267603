"""The request budget, in virtual time: many projects in which nothing happens, and how long a change of one can stay unseen."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import httpx
from msgspec import Struct

from tests.benchmarks.figures import Figure
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import ConnectionState, LiveSession, ProjectRef, Query, Schedule, Store
from upload_tui.testing import FrozenClock, an_upload

__all__ = ["BENCHMARKS", "Watched", "watch_projects"]

_BUDGET = 60
_STEP_SECONDS = 2


class Watched(Struct):
    """What the service saw: the times of all requests, and those of the first page of each project, in seconds.

    At the end the session was in the state `connection`, which says that its data are `age_shown_seconds` old.
    """

    requests: list[float]
    readings: dict[str, list[float]]
    connection: ConnectionState = ConnectionState.CONNECTING
    age_shown_seconds: float = 0.0
    oldest_seconds: float = 0.0

    def most_per_minute(self) -> int:
        """The most requests in any minute that begins with a request."""
        return max(sum(start <= at < start + 60 for at in self.requests) for start in self.requests)

    def longest_unseen_seconds(self, after: float, *projects: str) -> float:
        """The longest time between two readings of a project, from a time on."""
        gaps = (
            later - earlier
            for project, times in self.readings.items()
            if not projects or project in projects
            for earlier, later in pairwise(times)
            if earlier >= after
        )
        return max(gaps)


async def watch_projects(
    count: int, *, minutes: int, budget: int | None = _BUDGET, pending: int = 0, on_screen: Sequence[str] = ()
) -> Watched:
    """Watch projects `p-0`, `p-1` and so on, whose only uploads are verified, except in the first `pending` ones."""
    clock, watched = FrozenClock(), Watched([], defaultdict(list))

    def respond(request: httpx.Request) -> httpx.Response:
        watched.requests.append(clock.monotonic())
        found = re.search(r"projects/([^/]+)/uploads", request.url.path)
        if found is None:
            return httpx.Response(404, json={})
        if request.url.params["page"] == "1" and request.url.params["per_page"] != "1":
            watched.readings[found[1]].append(clock.monotonic())
        is_pending = int(found[1].removeprefix("p-")) < pending
        upload = an_upload(
            f"{found[1]}.bin", completed=100, verified=None if is_pending else 90, project=(found[1], "")
        )
        return httpx.Response(200, headers={"x-total": "1", "x-per-page": "1000"}, json={"results": [upload]})

    store = Store()
    projects = [ProjectRef(f"p-{number}") for number in range(count)]
    transport = httpx.MockTransport(respond)
    async with ServiceClient("https://dds.test", Credentials("t"), transport=transport, clock=clock) as client:
        client.gate.requests_per_minute = budget
        session = LiveSession(client, projects, store, schedule=Schedule())
        task = asyncio.create_task(session.run())
        await _run_due(count)
        watched.requests.clear()  # the full scan does not count
        for _ in range(minutes * 60 // _STEP_SECONDS):
            clock.advance(_STEP_SECONDS)
            await _run_due(1 + count // 20)
            if on_screen:
                session.picture.window(Query(project_ids=frozenset(on_screen)), 0, 40)
        connection = session.connection()
        assert connection.read_on is not None
        watched.connection = connection.state
        watched.age_shown_seconds = (clock.now() - connection.read_on).total_seconds()
        watched.oldest_seconds = clock.monotonic() - min(times[-1] for times in watched.readings.values())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    store.close()
    return watched


async def _run_due(rounds: int) -> None:
    for _ in range(20 * rounds):
        await asyncio.sleep(0)


def quiet_projects(*, quick: bool) -> Sequence[Figure]:
    """Requests a minute, and how long a change can stay unseen, where nothing happens in 31 and in 100 projects."""
    figures = []
    for count in (31, 100):
        watched = asyncio.run(watch_projects(count, minutes=8 if quick else 20))
        figures += [
            Figure(f"{count} quiet projects: requests a minute", watched.most_per_minute(), _BUDGET, "", 1.0),
            Figure(
                f"{count} quiet projects: a change is unseen for at most",
                watched.longest_unseen_seconds(120),
                60 * count / _BUDGET,
                "s",
                1.6,
            ),
        ]
    return figures


BENCHMARKS = (quiet_projects,)
