"""Every upload that the service lists is known, or counted as one that cannot be read."""

import json
from functools import partial
from itertools import combinations
from typing import Any

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.unit.monitor.shifting_service import HEADERS, ShiftingService, SimulatedUpload
from tests.unit.monitor.sync.harness import PROJECT, SyncHarness

from upload_tui.monitor.sync.synchroniser import Synchroniser
from upload_tui.wire import StatusShape

pytestmark = pytest.mark.slow

UNREADABLE = ["500", "not UTF-8", "nested", "no id", "not an object"]
READABLE = ["no project", "malformed project", "other project"]


class DamagedService(ShiftingService):
    """Serves some uploads in a form that cannot be read, or without their project."""

    def __init__(self, shape: StatusShape, uploads: int, headers: frozenset[str]) -> None:
        self.damage: dict[str, str] = {}
        super().__init__(7, shape, largest_page=5, uploads=uploads, headers=headers)

    def damage_upload(self, upload: SimulatedUpload, kind: str) -> None:
        self.damage[upload.name] = kind
        self.unreadable_ids.discard(upload.id)
        if kind == "500":
            self.unreadable_ids.add(upload.id)

    def resource(self, upload: SimulatedUpload) -> dict[str, Any]:
        resource = super().resource(upload)
        match self.damage.get(upload.name):
            case "not UTF-8":
                return {**resource, "more": "@bytes@"}
            case "nested":
                return {**resource, "more": "@nested@"}
            case "no id":
                return {**resource, "id": None}
            case "not an object":
                return [resource["name"]]  # type: ignore[return-value]
            case "no project":
                return {**resource, "project": None}
            case "malformed project":
                return {**resource, "project": 7}
            case "other project":
                return {**resource, "project": {"id": "p-2", "name": "Other"}}
            case _:
                return resource

    def answer(self, request: httpx.Request) -> httpx.Response:
        response = super().answer(request)
        body = response.content.replace(b"@bytes@", b"\xff").replace(b'"@nested@"', b"[" * 3000 + b"]" * 3000)
        return httpx.Response(response.status_code, headers=response.headers.raw[:-2], content=body)


def missing_names(service: DamagedService, harness: SyncHarness) -> set[str]:
    """The names of listed uploads that cannot be read and whose present state is not known."""
    pending = {upload.name for upload in harness.store.pending()}
    unreadable = {upload.name for upload in service.uploads if service.damage.get(upload.name) in UNREADABLE}
    return (unreadable - harness.names()) | (unreadable & pending)


def missing_count(notice: str) -> int:
    return int(notice.removeprefix("at least ").split(maxsplit=1)[0]) if notice else 0


@st.composite
def histories(draw: st.DrawFn) -> tuple[DamagedService, list[list[tuple[str, int, str]]]]:
    """A service, and rounds of events: an upload arrives, advances, is deleted or damaged."""
    shape = draw(st.sampled_from([StatusShape.A, StatusShape.B, StatusShape.DEPLOYED]))
    headers = draw(st.sampled_from([HEADERS, HEADERS - {"X-Total"}, frozenset()]))
    service = DamagedService(shape, draw(st.integers(0, 12)), headers)
    event = st.tuples(
        st.sampled_from(["arrives", "arrives damaged", "advances", "is damaged", "is deleted"]),
        st.integers(0, 11),
        st.sampled_from([*UNREADABLE, *READABLE]),
    )
    return service, draw(st.lists(st.lists(event, max_size=4), min_size=1, max_size=4))


def apply(service: DamagedService, event: tuple[str, int, str]) -> None:
    what, index, kind = event
    if what.startswith("arrives"):
        service.start_upload()
    if not service.uploads:
        return
    upload = service.uploads[0 if what.startswith("arrives") else index % len(service.uploads)]
    if what.endswith("damaged"):
        service.damage_upload(upload, kind)
    elif what == "advances":
        service.advance(upload)
    elif what == "is deleted":
        service.uploads.remove(upload)


@settings(max_examples=25, phases=[Phase.reuse, Phase.generate])
@given(histories())
async def test_every_listed_upload_is_known_or_counted_as_missing(
    history: tuple[DamagedService, list[list[tuple[str, int, str]]]],
) -> None:
    service, rounds = history
    harness = SyncHarness(service)
    has_deletions = any(what == "is deleted" for events in rounds for what, *_ in events)
    for events in rounds:
        for event in events:
            apply(service, event)
        if not await harness.try_sync():  # no upload can be read: the command fails
            continue
        readable = {upload.name for upload in service.uploads if service.damage.get(upload.name) not in UNREADABLE}
        assert readable <= harness.names()
        missing, notice = missing_names(service, harness), harness.synchroniser.notice
        # A deletion that is not noticed yet hides one that is missing from the count, but never all.
        is_exact = "X-Total" in service.headers and not has_deletions
        assert missing_count(notice) >= (len(missing) if is_exact else bool(missing))
        if not service.damage and not has_deletions:
            assert notice == ""
        later = Synchroniser(harness.client, harness.store, PROJECT, lambda _: None, lambda *_: None)
        assert bool(later.notice) or not missing


@pytest.mark.parametrize("kind", READABLE)
async def test_an_upload_without_its_project_belongs_to_the_project_that_lists_it(kind: str) -> None:
    service = DamagedService(StatusShape.A, 3, HEADERS)
    service.damage_upload(service.uploads[1], kind)
    harness = SyncHarness(service)
    for _ in range(2):
        await harness.synchroniser.sync()
        assert {upload.project_id for upload in map(harness.store.get, ids(service)) if upload} == {PROJECT.id}
        assert harness.synchroniser.notice == ""
    changes = len(harness.published)
    await harness.synchroniser.sync()
    assert len(harness.published) == changes
    assert harness.store.projects() == [PROJECT]


def ids(service: ShiftingService) -> list[str]:
    return [upload.id for upload in service.uploads]


@pytest.mark.parametrize(
    ("headers", "notice"),
    [
        (HEADERS, "25 of 30 uploads cannot be read"),
        (frozenset({"X-Total"}), "25 of 30 uploads cannot be read"),
        (frozenset[str](), "the service returns the same uploads for every page; others may be missing"),
        (
            frozenset({"X-Per-Page", "X-Next-Page"}),
            "the service returns the same uploads for every page; others may be missing",
        ),
    ],
    ids=["all headers", "total", "no headers", "no total"],
)
async def test_a_service_that_answers_page_1_whatever_page_is_requested(headers: frozenset[str], notice: str) -> None:
    service = ShiftingService(7, StatusShape.A, largest_page=5, uploads=30, headers=headers)
    answer_page = service._page
    service._page = lambda page, requested: answer_page(1, requested)  # type: ignore[method-assign]
    harness = SyncHarness(service)
    for _ in range(3):
        await harness.synchroniser.sync()
        assert harness.synchroniser.notice == notice
    for _ in range(7):
        service.start_upload()
    await harness.synchroniser.sync()
    assert harness.synchroniser.notice


async def test_a_service_that_always_lists_everything_is_complete() -> None:
    service = ShiftingService(7, StatusShape.A, largest_page=30, uploads=30, headers=frozenset())
    service._page = lambda page, requested: httpx.Response(  # type: ignore[method-assign]
        200, content=json.dumps({"results": [*map(service.resource, service.uploads)]})
    )
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert len(harness.names()) == 30
    assert harness.synchroniser.notice == ""


async def test_a_service_without_headers_whose_second_page_is_broken_is_read() -> None:
    service = DamagedService(StatusShape.A, 13, frozenset())
    service.largest_page = 5
    service.damage_upload(service.uploads[7], "not UTF-8")
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert len(harness.names()) == 12
    assert harness.synchroniser.notice == "at least 1 upload cannot be read"


@pytest.mark.parametrize("arrivals", [1, 6])
async def test_an_upload_that_moves_while_its_page_is_read_in_pieces_is_known_or_counted(arrivals: int) -> None:
    """Whichever request the uploads arrive before, in the full scan or in the round after it."""
    number = total_requests = 1
    while number <= total_requests:
        service = DamagedService(StatusShape.A, 12, HEADERS)
        service.damage_upload(service.uploads[2], "500")
        harness = SyncHarness(service)
        service.before_response = partial(_arrive_at, service, number, arrivals)
        for _ in range(2):
            listed = {upload.name for upload in service.uploads}
            if not await harness.try_sync():  # the page after the last one failed
                continue
            missing = listed - harness.names()
            assert missing_count(harness.synchroniser.notice) >= len(missing), (number, missing)
        number, total_requests = number + 1, service.requests


def _arrive_at(service: ShiftingService, number: int, arrivals: int, _request: httpx.Request) -> None:
    """Let uploads arrive before the answer to request `number`."""
    if service.requests == number:
        for _ in range(arrivals):
            service.start_upload()


@pytest.mark.parametrize("headers", [HEADERS - {"X-Total"}, frozenset[str]()], ids=["not-counted", "none"])
@pytest.mark.parametrize("index", range(3, 8))
async def test_an_upload_that_cannot_be_read_and_moves_between_pages_of_an_unknown_number_is_known_or_counted(
    index: int, headers: frozenset[str]
) -> None:
    """One is deleted above it, and later one arrives there, whichever requests that is before."""
    for first, second in combinations(range(2, 9), 2):
        if (first + second + index) % 2 == bool(headers):  # tried with the other headers
            continue
        service = DamagedService(StatusShape.A, 9, headers)
        service.damage_upload(service.uploads[index], "500")
        listed = {upload.name for upload in service.uploads[1:]}
        service.before_response = partial(_delete_and_arrive, service, first, second)
        harness = SyncHarness(service)
        if await harness.try_sync():
            missing = listed - harness.names()
            assert missing_count(harness.synchroniser.notice) >= len(missing), (first, second, missing)


def _delete_and_arrive(service: ShiftingService, first: int, second: int, _request: httpx.Request) -> None:
    """Delete the newest upload before the answer to one request, and let another one arrive before that to another."""
    if service.requests == first:
        del service.uploads[0]
    if service.requests == second:
        service.start_upload()
