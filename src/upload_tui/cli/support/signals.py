"""A bounded end of a command that runs until it is interrupted."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["run_until_signal"]


def run_until_signal(main: Coroutine[Any, Any, None]) -> int:
    """Run a coroutine until it ends; SIGINT and SIGTERM cancel it, each further one again.

    After a signal the process ends here, with the exit code 128 + n, as soon as the coroutine has ended. Threads that still read
    or hash are not waited for: nothing can record their results any more.
    """
    return asyncio.run(_run(main))


async def _run(main: Coroutine[Any, Any, None]) -> int:
    task, received = asyncio.ensure_future(main), list[int]()

    def stop(number: int) -> None:
        received.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
    if received:
        _end(received[0])
    return 0


def _end(number: int) -> None:
    if number == signal.SIGINT and sys.stderr.isatty():
        sys.stderr.write("\n")  # after the terminal's own ^C
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader has ended, or it is closed
            stream.flush()
    os._exit(128 + number)
