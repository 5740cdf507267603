"""Scenarios: the same seed gives the same uploads and times; a history is imported at once."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.calls import Caller, InlineExecutor, serving
from upload_tui.backend import SCENARIO_DESCRIPTIONS, SCENARIOS, EmbeddedService, FaultName
from upload_tui.cli.support.scenarios import running_scenario
from upload_tui.clock import PacedClock
from upload_tui.testing import NOW, FrozenClock

STEP_SECONDS, STEPS, LOOP_TURNS = 0.5, 50, 120


async def _run_scenario(name: str, seed: int) -> list[object]:
    """Run a scenario. Returns everything it did to the service, with its times."""
    scenario = SCENARIOS[name]
    clock = PacedClock(0.0, start_on=NOW)
    service = EmbeddedService(clock=clock, seed=seed, executor=InlineExecutor(), verifications_at_once=3)
    async with service:
        runner = scenario.create_runner(service, clock, seed, history_uploads=50)
        await scenario.history_script(runner)
        live = asyncio.create_task(scenario.live_script(runner))
        for _ in range(STEPS):
            for _ in range(LOOP_TURNS):
                await asyncio.sleep(0)
            clock.step(STEP_SECONDS)
        uploads, _ = service.database.uploads.page(service.project.id, 0, 1000)
        uploads_and_chunks = [(upload, service.database.uploads.chunks(upload.id)) for upload in uploads]
        live.cancel()
        await asyncio.gather(live, return_exceptions=True)
        await runner.close()
    return list(uploads_and_chunks)


@pytest.mark.parametrize("name", sorted(SCENARIO_DESCRIPTIONS))
async def test_the_same_seed_gives_the_same_uploads(name: str) -> None:
    first, second, other = await _run_scenario(name, 7), await _run_scenario(name, 7), await _run_scenario(name, 8)
    assert first
    assert first == second
    assert first != other


async def test_a_history_follows_the_state_model_and_is_imported_at_once() -> None:
    """The clock stands still: an import that waited would never end."""
    async with serving() as caller:
        clock = PacedClock(0.0, start_on=NOW)
        await SCENARIOS["history"].history_script(
            SCENARIOS["history"].create_runner(caller.service, clock, 902, 20_000)
        )
        page = await caller.call("GET", f"/projects/{caller.service.project.id}/uploads", params={"per_page": 1000})
        assert page.headers["x-total"] == "20000"
        _check_history(caller, page.json()["results"])


def _check_history(caller: Caller, uploads: list[dict[str, Any]]) -> None:
    outcomes = Counter()  # type: ignore[var-annotated]
    for upload in uploads:
        status = upload["status"]
        ended = status["verified_on"] or status["error_on"]
        assert (status["verified_on"] is None) != (status["error_on"] is None)
        assert (status["error_message"] is None) == (status["error_on"] is None)
        assert status["initiated_on"] < status["completed_on"] < ended < caller.clock.now().isoformat()
        assert sum(chunk["size"] for chunk in upload["chunks"]) == upload["size"]
        outcomes[status["error_on"] is None] += 1
    assert outcomes[True] > outcomes[False] > 0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(100, 100, 100), (40, 100, 100), (100, 40, 100), (0, 100, 100)],
    ids=["again", "interrupted", "fewer", "none"],
)
async def test_a_history_is_imported_once_into_the_same_database(
    tmp_path: Any, first: int, second: int, expected: int
) -> None:
    shown: list[int] = []
    for days, count in enumerate((first, second)):
        async with serving(database=tmp_path / "records.db") as caller:
            clock = PacedClock(0.0, start_on=NOW + timedelta(days=days))
            runner = SCENARIOS["history"].create_runner(caller.service, clock, 902, count, shown.append)
            await SCENARIOS["history"].history_script(runner)
            await runner.close()
            uploads, total = caller.service.database.uploads.page(caller.project_id, 0, 1000)
            assert total == (max(first, count) if days else first)
            assert shown[-1] == total
    assert len({upload.name.rstrip("abcdefghijklmnopqrstuvwxyz.5")[-7:] for upload in uploads}) == total == expected


async def test_a_scenario_stops_producing_while_its_uploads_are_not_verified() -> None:
    clock = PacedClock(0.0, start_on=NOW)
    async with EmbeddedService(clock=clock, seed=1, executor=InlineExecutor()) as service:
        service.worker.set_paused(is_paused=True)
        runner = SCENARIOS["steady"].create_runner(service, clock, 1)
        live = asyncio.create_task(SCENARIOS["steady"].live_script(runner))
        counts = []
        for _ in range(90):
            clock.step(10.0)
            for _ in range(LOOP_TURNS):
                await asyncio.sleep(0)
            counts.append(service.database.uploads.count())
        assert counts[-1] == counts[-20]
        assert 40 < counts[-1] <= 55
        service.worker.set_paused(is_paused=False)
        for _ in range(30):
            clock.step(5.0)
            for _ in range(LOOP_TURNS):
                await asyncio.sleep(0)
        assert service.database.uploads.count() > counts[-1]
        live.cancel()
        await asyncio.gather(live, return_exceptions=True)
        await runner.close()


@pytest.mark.parametrize("name", ["tour", "outage", "stuck"])
async def test_however_fast_a_served_scenario_runs_no_time_is_later_than_that_of_the_machine(name: str) -> None:
    machine, scenario = FrozenClock(), SCENARIOS[name]
    clock = PacedClock(0.0, machine, machine.now() - timedelta(seconds=scenario.history_seconds))
    async with EmbeddedService(clock=clock, seed=1, executor=InlineExecutor()) as service:
        runner = scenario.create_runner(service, clock, 1)
        outages = set()
        async with running_scenario(scenario, runner, 0.0, has_real_time=True):
            before = service.database.uploads.count()
            for _ in range(STEPS):
                clock.step(2.0)  # faster than the machine's clock, which stands still
                for _ in range(LOOP_TURNS):
                    await asyncio.sleep(0)
                outages.add(service.faults.is_active(FaultName.OUTAGE))
            uploads, _ = service.database.uploads.page(service.project.id, 0, 1000)
        assert len(uploads) > before
        assert all(event.on and event.on <= machine.now() for upload in uploads for event in upload.timeline.events)
        assert outages == ({False, True} if name == "outage" else {False})
