"""The embedded service in memory with a scenario at a speed. Prints its resident bytes for each line that it reads."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import psutil

from upload_tui.backend import SCENARIOS, EmbeddedService
from upload_tui.clock import PacedClock


async def main(name: str, speed: float) -> None:
    """Run until standard input ends."""
    scenario = SCENARIOS[name]
    clock = PacedClock(0.0, start_on=datetime.now(UTC) - timedelta(seconds=scenario.history_seconds))
    async with EmbeddedService(clock=clock, seed=902, verifications_at_once=3) as service:
        runner = scenario.create_runner(service, clock, 902)
        await scenario.history_script(runner)
        clock.set_rate(speed)
        live = asyncio.create_task(scenario.live_script(runner))
        while await asyncio.to_thread(sys.stdin.readline):
            print(psutil.Process().memory_info().rss, flush=True)  # noqa: T201
        live.cancel()
        await runner.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
