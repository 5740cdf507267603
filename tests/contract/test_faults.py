"""Injected faults: their effect on an answer, how they are started and stopped, and that the control endpoint is hidden."""

import json
from email.utils import parsedate_to_datetime

import pytest

from tests.contract.calls import FILE, Caller, md5, serving
from upload_tui.backend import FAULT_DESCRIPTIONS, FaultName, Faults
from upload_tui.backend.faults import FAULT_VALUES
from upload_tui.testing import FrozenClock


async def test_the_control_endpoint_does_not_exist_unless_enabled() -> None:
    async with serving() as caller:
        for method in ("GET", "PUT", "DELETE"):
            assert (await caller.call(method, "/control/faults/outage")).status_code == 404


async def test_an_outage_starts_and_stops_through_the_control_endpoint() -> None:
    async with serving(has_control=True) as caller:
        started = await caller.call("PUT", "/control/faults/outage", json={})
        assert (started.status_code, started.json()["is_on"], started.json()["until"]) == (200, True, None)
        assert (await caller.call("GET", "/projects")).status_code == 503
        assert (await caller.call("DELETE", "/control/faults/outage")).status_code == 204
        assert (await caller.call("GET", "/projects")).status_code == 200
        names = {fault["name"] for fault in (await caller.call("GET", "/control/faults")).json()["results"]}
        assert names == set(FaultName)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/control/faults/no-such", {}, 404),
        ("/control/faults/outage", {"seconds": -1}, 400),
        ("/control/faults/outage", {"seconds": "x"}, 400),
        ("/control/faults/outage", {"value": 1e300}, 400),
        ("/control/faults/outage", {"seconds": 5}, 200),
    ],
    ids=["unknown", "past", "text", "beyond-reason", "right"],
)
async def test_a_request_to_start_a_fault_is_validated(path: str, body: dict[str, object], status: int) -> None:
    async with serving(has_control=True) as caller:
        assert (await caller.call("PUT", path, json=body)).status_code == status


async def test_the_control_endpoint_requires_a_token() -> None:
    async with serving(has_control=True) as caller:
        assert (await caller.http.put("/api/v1/control/faults/outage", json={})).status_code == 401
        assert (await caller.call("GET", "/projects")).status_code == 200


async def test_the_date_is_wrong_when_the_clock_is_skewed() -> None:
    async with serving() as caller:
        caller.service.faults.start_until_stopped(FaultName.SKEWED_CLOCK, -120)
        date = parsedate_to_datetime((await caller.call("GET", "/projects")).headers["date"])
        assert (caller.clock.now() - date).total_seconds() == 120


async def test_a_doubled_request_is_executed_twice() -> None:
    async with serving() as caller:
        caller.service.faults.start_until_stopped(FaultName.DOUBLED_REQUESTS)
        await caller.initiate()
        listed = await caller.call("GET", f"/projects/{caller.service.project.id}/uploads")
        assert listed.headers["x-total"] == "2"


async def test_a_request_is_executed_when_its_answer_is_dropped() -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        caller.service.faults.start_until_stopped(FaultName.DROPPED_ANSWERS, 0)
        assert (await caller.complete(upload_id, md5(b""))).status_code == 504
        caller.service.faults.stop(FaultName.DROPPED_ANSWERS)
        assert (await caller.status(upload_id))["completed_on"]


async def test_malformed_json_cannot_be_parsed() -> None:
    async with serving() as caller:
        caller.service.faults.start_until_stopped(FaultName.MALFORMED_JSON)
        answer = await caller.call("GET", "/projects")
        assert answer.headers["content-type"] == "application/json"
        with pytest.raises(json.JSONDecodeError):
            answer.json()


async def _ended(caller: Caller) -> str | None:
    upload_id = await caller.upload(tuple(enumerate(FILE, 1)))
    await caller.service.worker.verify_next()
    message: str | None = (await caller.status(upload_id))["error_message"]
    return message


@pytest.mark.parametrize("fault", [FaultName.LOST_CHUNK, FaultName.ALTERED_CHUNK], ids=str)
async def test_the_value_is_the_number_of_affected_chunks(fault: FaultName) -> None:
    async with serving() as caller:
        caller.service.faults.start_until_stopped(fault, 2)
        message = await _ended(caller) or ""
        assert "chunk 2" in message
        assert "chunk 3" not in message
        assert await _ended(caller) is None


def test_every_fault_is_described() -> None:
    assert set(FAULT_DESCRIPTIONS) == set(FaultName)
    assert set(FAULT_VALUES) <= set(FaultName)


def test_the_value_is_the_duration_of_a_fault_without_another_use_for_it() -> None:
    clock = FrozenClock()
    faults = Faults(clock)
    faults.start_until_stopped(FaultName.OUTAGE, 5)
    faults.start_until_stopped(FaultName.GARBAGE)
    clock.advance(5)
    assert set(faults.active) == {FaultName.GARBAGE}
