"""Runs a command in this process against a service in this process, in virtual time: what would take minutes takes none."""

import asyncio
import json
import math
import selectors
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from msgspec import Struct, field

import upload_tui.client
import upload_tui.clock
from upload_tui.cli.access.service_access import ServiceAccess
from upload_tui.cli.group import run as run_program
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import Connection, Funnel, LiveSession, Query, Row, Store
from upload_tui.redaction import forget_secrets
from upload_tui.settings import ServiceSettings
from upload_tui.testing import NOW
from upload_tui.tui.widgets.alarm_bar import AlarmBar

__all__ = [
    "URL",
    "Capture",
    "Dashboard",
    "Project",
    "Result",
    "UNREADABLE_ROWS",
    "VirtualClock",
    "VirtualService",
    "advance_virtually",
    "restart_time",
    "run_virtually",
    "virtual_time",
    "watch_virtually",
]

URL = "https://uploads.example.org"
_seconds = 0.0


class Capture(Protocol):
    """What pytest's `capfd` does."""

    def readouterr(self) -> Any:
        """The output since the last call, as `out` and `err`."""
        ...


class VirtualClock:
    """The clock of the virtual loop: it advances when all tasks sleep."""

    def now(self) -> datetime:
        return NOW + timedelta(seconds=_seconds)

    def monotonic(self) -> float:
        return _seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def advance_virtually(seconds: float) -> float:
    """Let time pass; return the seconds since `NOW`."""
    global _seconds  # noqa: PLW0603  # one loop at a time
    _seconds += seconds
    return _seconds


class _JumpingSelector(selectors.SelectSelector):
    """Advances the time in place of waiting."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        advance_virtually(max(timeout or 0.0, 0.0))
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(_JumpingSelector())

    def time(self) -> float:
        return _seconds


INTERNAL_ERROR = "internal error"
UNREADABLE_ROWS: dict[str, Callable[[bytes], bytes]] = {
    "without an id": lambda row: json.dumps({"name": json.loads(row)["name"]}).encode(),
    "not UTF-8": lambda row: row.replace(b'"name"', b'"n\xffame"', 1),
    INTERNAL_ERROR: lambda row: row,  # as the status of each answer that would hold it
    "nested": lambda row: row[:-1] + b', "x": ' + b"[" * 200 + b"]" * 200 + b"}",
}
"""Forms in which an upload is listed that cannot be read. One that is not UTF-8 makes each page that holds it unreadable."""


class Project(Struct):
    """A project of the service: its uploads newest first, and what is wrong with its pages.

    Attributes:
        error: the status of every page; 0 for none.
        unreadable: ids that are listed in a form that cannot be read, and that form.
        total: what the service reports in place of the number of uploads; None for the number.
        hidden_headers: paging headers that it does not send.
        last_page: the number of the page after which it names no next one; None for the last.
        refuses_empty_pages: whether it answers 404 in place of a page without uploads.
        repeats_page: whether it returns the first page whatever page is requested.
        repeated: ids that are listed twice in a row.
    """

    id: str
    name: str
    uploads: list[dict[str, Any]] = field(default_factory=list)
    error: int = 0
    unreadable: frozenset[str] = frozenset()
    unreadable_form: str = "without an id"
    total: int | None = None
    hidden_headers: frozenset[str] = frozenset()
    last_page: int | None = None
    refuses_empty_pages: bool = False
    repeats_page: bool = False
    repeated: frozenset[str] = frozenset()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The uploads as they are listed on all pages together."""
        return [upload for upload in self.uploads for _ in range(1 + (upload["id"] in self.repeated))]


class VirtualService(Struct):
    """A service with some projects.

    Attributes:
        date_seconds: how far its `Date` is ahead.
        nameless: how many more projects it lists without an id.
        outage: the status and the body that answer everything; None while the service is up.
        max_requests: after this many, a command that never ends is interrupted.
        max_seconds: by the first request from this time on, too.
        changes: what happens before a request, by its number (from 1); each happens once.
    """

    projects: list[Project]
    date_seconds: float = 0.0
    nameless: int = 0
    per_page: int = 5
    outage: tuple[int, bytes] | None = None
    max_requests: int = 2000
    max_seconds: float = math.inf
    requests: int = 0
    changes: dict[int, Callable[["VirtualService"], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin at `NOW`, whatever ran before."""
        global _seconds  # noqa: PLW0603  # one at a time
        _seconds = 0.0

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests += 1
        if self.requests == self.max_requests or _seconds >= self.max_seconds:
            self.max_seconds = math.inf
            signal.raise_signal(signal.SIGINT)
        if (change := self.changes.pop(self.requests, None)) is not None:
            change(self)
        response = (
            self._answer(request) if self.outage is None else httpx.Response(self.outage[0], content=self.outage[1])
        )
        sent_on = VirtualClock().now() + timedelta(seconds=self.date_seconds)
        response.headers["Date"] = format_datetime(sent_on, usegmt=True)
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.removeprefix("/api/v1/").split("/")
        if parts == ["projects"]:
            listed = [{"id": one.id, "name": one.name} for one in self.projects]
            return httpx.Response(200, json={"results": [*listed, *([{"name": "Nameless"}] * self.nameless)]})
        if parts[0] == "uploads":
            return self._upload(parts[1])
        project = next((one for one in self.projects if parts[:1] == ["projects"] and one.id == parts[1]), None)
        if project is None or project.error == 404:
            return httpx.Response(404, json={"error": 404, "code": "not_provided", "reason": "Not Found"})
        if project.error:
            return httpx.Response(project.error, json={"error": project.error, "reason": "failed"})
        return self._page(project, int(request.url.params["page"]), int(request.url.params["per_page"]))

    def _upload(self, requested: str) -> httpx.Response:
        """The upload with this id, in either case, as a database takes it for the same."""
        ids = {upload["id"].casefold(): upload["id"] for project in self.projects for upload in project.uploads}
        upload_id = ids.get(requested.casefold(), requested)
        for project in self.projects:
            for upload in project.uploads:
                if upload["id"] == upload_id and upload_id not in project.unreadable:
                    return httpx.Response(200, json=upload)
                if upload["id"] == upload_id and project.unreadable_form == INTERNAL_ERROR:
                    return httpx.Response(500, json={"error": 500, "reason": "failed"})
                if upload["id"] == upload_id:
                    return httpx.Response(200, content=self._row(project, upload))
        return httpx.Response(404, json={"error": 404, "code": "not_provided", "reason": "Upload Not Found"})

    def _page(self, project: Project, number: int, requested: int) -> httpx.Response:
        size = min(requested, self.per_page)
        start = 0 if project.repeats_page else (number - 1) * size
        uploads = project.rows[start : start + size]
        if project.unreadable_form == INTERNAL_ERROR and any(one["id"] in project.unreadable for one in uploads):
            return httpx.Response(500, json={"error": 500, "reason": "failed"})
        rows = [self._row(project, upload) for upload in uploads]
        count = len(project.rows)
        if project.refuses_empty_pages and not uploads and number > 1:
            return httpx.Response(404, json={"error": 404, "code": "not_provided", "reason": "Not Found"})
        has_next = number * size < count and number != project.last_page
        headers = {
            "X-Total": str(count if project.total is None else project.total),
            "X-Per-Page": str(size),
            "X-Next-Page": str(number + 1) if has_next else "",
        }
        shown = {name: value for name, value in headers.items() if name not in project.hidden_headers}
        return httpx.Response(200, headers=shown, content=b'{"results": [' + b", ".join(rows) + b"]}")

    def _row(self, project: Project, upload: dict[str, Any]) -> bytes:
        row = json.dumps(upload).encode()
        return UNREADABLE_ROWS[project.unreadable_form](row) if upload["id"] in project.unreadable else row

    def client(self) -> ServiceClient:
        """A client of this service."""
        transport = httpx.MockTransport(self.answer)
        return ServiceClient(URL, Credentials(token="t"), transport=transport, clock=VirtualClock())


class Served(Protocol):
    """What a command is run against, such as a `VirtualService`."""

    requests: int
    max_requests: int

    def client(self) -> ServiceClient:
        """A client of the service."""
        ...


class Result(Struct, frozen=True):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> Sequence[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


def restart_time() -> None:
    """Let virtual time begin at 0 again."""
    global _seconds  # noqa: PLW0603
    _seconds = 0.0


@contextmanager
def virtual_time() -> Iterator[None]:
    """Let new event loops run in virtual time, with threads' work done at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", _VirtualLoop)
        patch.setattr(asyncio, "to_thread", _call)
        yield


def _needs_many_requests(service: Served) -> bool:
    """Whether the first scan looks for a readable row on a thousand pages that are all the same unreadable one.

    Pages of one row then all hold the first upload.
    """
    projects = service.projects if isinstance(service, VirtualService) else ()
    return any(
        one.repeats_page
        and one.unreadable_form in {"not UTF-8", INTERNAL_ERROR}
        and not one.unreadable.isdisjoint(upload["id"] for upload in one.uploads[:1])
        for one in projects
    )


def _has_broken_pages(service: Served) -> bool:
    """Whether pages fail for an upload on them, and are requested again and again until the upload is found."""
    return isinstance(service, VirtualService) and any(
        one.unreadable_form == INTERNAL_ERROR or (one.repeats_page and one.unreadable) for one in service.projects
    )


def run_virtually(capture: Capture, home: Path, service: Served, *arguments: str) -> Result:
    """Run a command to its end; what it keeps is in `home`."""
    capture.readouterr()
    is_endless = arguments[0] in {"tail", "record", "metrics"} and not _needs_many_requests(service)
    service.requests, service.max_requests = 0, (400 if _has_broken_pages(service) else 80) if is_endless else 3000
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(home / name.lower()))
        patch.setenv("UPLOAD_TUI_URL", URL)
        patch.setenv("UPLOAD_TUI_TOKEN", "t")
        _make_virtual(patch, service)
        forget_secrets()
        with pytest.raises(SystemExit) as ending:
            run_program([*arguments])
    captured = capture.readouterr()
    return Result(int(ending.value.code or 0), captured.out, captured.err)


class Dashboard(Struct, frozen=True):
    """What a dashboard over all projects shows: its rows, its figures and its alarm line."""

    rows: Sequence[Row]
    funnel: Funnel
    connection: Connection
    alarms: str


def watch_virtually(service: VirtualService, seconds: float) -> Dashboard:
    """Run the session of a dashboard for some time."""

    async def watch() -> Dashboard:
        store = Store()
        async with service.client() as client:
            access = ServiceAccess(ServiceSettings(url=URL), client)
            session = access.session(store, await access.find_projects())
            running = asyncio.ensure_future(session.run())
            await asyncio.sleep(seconds)
            assert not running.done()
            running.cancel()
            await asyncio.wait({running})
            shown = _dashboard(session)
        store.close()
        return shown

    service.requests, service.max_requests = 0, 100_000
    with pytest.MonkeyPatch.context() as patch:
        _make_virtual(patch, service)
        loop = _VirtualLoop()
        try:
            return loop.run_until_complete(watch())
        finally:
            loop.close()


def _dashboard(session: LiveSession) -> Dashboard:
    bar = AlarmBar()
    bar.set_reactive(AlarmBar.connection, session.connection())
    bar.set_reactive(AlarmBar.funnel, session.picture.funnel())
    bar.set_reactive(AlarmBar.now, session.picture.clock.now())
    rows = session.picture.window(Query(), 0, 1000).rows
    alarms = "; ".join(alarm.longest(1000, 1000) for alarm in bar._alarms())
    return Dashboard(rows, session.picture.funnel(), session.connection(), alarms)


def _make_virtual(patch: pytest.MonkeyPatch, service: Served) -> None:
    patch.setattr(asyncio.events, "new_event_loop", _VirtualLoop)
    patch.setattr(asyncio, "to_thread", _call)
    patch.setattr(upload_tui.clock, "SystemClock", VirtualClock)
    patch.setattr(upload_tui.client, "ServiceClient", lambda *_, **__: service.client(), raising=False)


async def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call at once: a thread would wait in real time."""
    return function(*arguments)
