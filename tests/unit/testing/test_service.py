"""`UploadService` in the test's own process."""

import httpx
import pytest

from upload_tui.errors import UploadTuiError
from upload_tui.testing import UploadService
from upload_tui.testing.service import split_content


@pytest.mark.parametrize(
    ("size", "count", "sizes"),
    [(15, 4, [4, 4, 4, 3]), (3, 4, [1, 1, 1]), (0, 4, [0]), (8, 1, [8])],
    ids=str,
)
def test_split_content_loses_no_byte(size: int, count: int, sizes: list[int]) -> None:
    chunks = split_content(bytes(range(size)), count)
    assert b"".join(chunks) == bytes(range(size))
    assert [len(chunk) for chunk in chunks] == sizes


async def test_uploads_are_verified_only_when_the_worker_is_stepped() -> None:
    async with UploadService() as service:
        first = await service.upload("a")
        service.clock.advance(1)
        second = await service.upload("b")
        service.clock.advance(3600)
        assert not (await service.status(first))["verified_on"]
        assert await service.verify_next() == first
        assert not (await service.status(second))["verified_on"]
        assert await service.verify_all() == [second]
        assert await service.verify_next() is None


async def test_a_fault_lasts_for_seconds_of_the_services_clock() -> None:
    async with UploadService() as service:
        service.start_fault("outage", 30)
        assert (await service.call("GET", "/projects")).status_code == 503
        service.clock.advance(31)
        assert (await service.call("GET", "/projects")).status_code == 200
        for name in service.fault_names:
            service.start_fault(name)
            service.stop_fault(name)
        assert (await service.call("GET", "/projects")).status_code == 200


async def test_an_unknown_fault_is_an_error_that_lists_the_faults() -> None:
    async with UploadService() as service:
        with pytest.raises(UploadTuiError, match="outrage") as raised:
            service.start_fault("outrage")
        assert "outage" in raised.value.hint


async def test_a_client_gets_a_token_with_the_keys() -> None:
    async with UploadService(status_shape="deployed") as service:
        upload_id = await service.upload()
        async with httpx.AsyncClient(transport=service.transport, base_url=service.api_url) as client:
            keys = {"agent_key": service.agent_key, "user_key": service.user_key}
            token = (await client.post("/software_agents/api_token", json=keys)).json()["api_token"]
            response = await client.get(f"/uploads/{upload_id}", headers={"Authorization": token})
        assert "is_consistent" in response.json()["status"]
