"""A total that contradicts the pages hides no upload: every page is read, and the contradiction is reported."""

import httpx
import pytest
from tests.unit.monitor.shifting_service import HEADERS, ShiftingService
from tests.unit.monitor.sync.harness import SyncHarness

from upload_tui.wire import StatusShape

pytestmark = pytest.mark.slow

NOTICE = "the service's total contradicts its pages"


class WrongTotalService(ShiftingService):
    """Reports a total of its own choice."""

    wrong_total: int | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        response = super().answer(request)
        if self.wrong_total is not None and "X-Total" in response.headers:
            response.headers["X-Total"] = str(self.wrong_total)
        return response


def a_service(uploads: int, headers: frozenset[str] = HEADERS) -> WrongTotalService:
    return WrongTotalService(7, StatusShape.A, largest_page=5, uploads=uploads, headers=headers)


@pytest.mark.parametrize("total", [0, 1, 4, 5, 6, 10, 20, 29])
@pytest.mark.parametrize("headers", [HEADERS, HEADERS - {"X-Per-Page"}], ids=["all headers", "no page size"])
async def test_a_total_that_is_too_low_hides_no_upload(total: int, headers: frozenset[str]) -> None:
    service = a_service(30, headers)
    service.wrong_total = total
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert len(harness.names()) == 30
    # Without the size of a page, it is not certain that one row more than counted is on the last page.
    assert harness.synchroniser.notice == (NOTICE if total < 29 or headers == HEADERS else "")
    for _ in range(7):
        service.start_upload()
    await harness.synchroniser.sync()
    assert len(harness.names()) == 37


async def test_a_total_that_becomes_wrong_later_hides_no_upload() -> None:
    service = a_service(30)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert harness.synchroniser.notice == ""
    service.wrong_total = 3
    for _ in range(12):
        service.start_upload()
    await harness.synchroniser.sync()
    assert len(harness.names()) == 42
    assert harness.synchroniser.notice == NOTICE


async def test_a_total_that_agrees_again_counts_again() -> None:
    service = a_service(30)
    service.wrong_total = 5
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    service.wrong_total = None
    await harness.synchroniser.sync()
    assert harness.synchroniser.notice == ""
