"""Scenarios: the same seed tells the same story on a clock that a test holds; a history is there at once."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from tests.contract.calls import Caller, serving
from upload_tui.backend import SCENARIO_DESCRIPTIONS, SCENARIOS, EmbeddedService
from upload_tui.clock import PacedClock
from upload_tui.testing import NOW

STEP_SECONDS, STEPS, TURNS = 0.5, 50, 120


class _Inline(Executor):
    """Work is done at once, so that no thread has a say in the order of things."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # an executor hands on whatever there is
            future.set_exception(error)
        return future


async def _told(name: str, seed: int) -> list[object]:
    """All that the story did to the service, with its times."""
    scenario = SCENARIOS[name]
    clock = PacedClock(0.0, start_on=NOW)
    service = EmbeddedService(clock=clock, seed=seed, executor=_Inline(), verifications_at_once=3)
    async with service:
        teller = scenario.create_runner(service, clock, seed, history_uploads=50)
        await scenario.history_script(teller)
        telling = asyncio.create_task(scenario.live_script(teller))
        for _ in range(STEPS):
            for _ in range(TURNS):
                await asyncio.sleep(0)
            clock.step(STEP_SECONDS)
        uploads, _ = service._database.uploads.page(service.project.id, 0, 1000)
        told = [(upload, service._database.uploads.chunks(upload.id)) for upload in uploads]
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await teller.close()
    return list(told)


@pytest.mark.parametrize("name", sorted(SCENARIO_DESCRIPTIONS))
async def test_the_story_is_the_same_when_the_seed_is(name: str) -> None:
    first, second, other = await _told(name, 7), await _told(name, 7), await _told(name, 8)
    assert first
    assert first == second
    assert first != other


async def test_a_history_is_true_to_the_state_model_and_ready_at_once() -> None:
    async with serving() as caller:
        clock = PacedClock(0.0, start_on=NOW)
        began = time.perf_counter()
        await SCENARIOS["history"].history_script(
            SCENARIOS["history"].create_runner(caller.service, clock, 902, 20_000)
        )
        assert time.perf_counter() - began < 5
        page = await caller.call("GET", f"/projects/{caller.service.project.id}/uploads", params={"per_page": 1000})
        assert page.headers["x-total"] == "20000"
        _judge(caller, page.json()["results"])


def _judge(caller: Caller, uploads: list[dict[str, Any]]) -> None:
    ends = Counter()  # type: ignore[var-annotated]
    for upload in uploads:
        status = upload["status"]
        ended = status["verified_on"] or status["error_on"]
        assert (status["verified_on"] is None) != (status["error_on"] is None)
        assert (status["error_message"] is None) == (status["error_on"] is None)
        assert status["initiated_on"] < status["completed_on"] < ended < caller.clock.now().isoformat()
        assert sum(chunk["size"] for chunk in upload["chunks"]) == upload["size"]
        ends[status["error_on"] is None] += 1
    assert ends[True] > ends[False] > 0


async def test_a_history_is_not_told_twice_when_the_service_starts_again(tmp_path: Any) -> None:
    for _ in range(2):
        async with serving(database=tmp_path / "records.db") as caller:
            clock = PacedClock(0.0, start_on=NOW)
            await SCENARIOS["history"].history_script(
                SCENARIOS["history"].create_runner(caller.service, clock, 902, 100)
            )
            assert caller.service._database.uploads.count() == 100
