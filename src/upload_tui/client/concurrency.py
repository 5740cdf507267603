"""Share one event loop: concurrent requests, and long parses in batches that leave time for key presses."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from typing import Any, TypeVar, cast

from upload_tui.errors import UploadTuiError

__all__ = ["batches", "gather_all"]

_BATCH_SIZE = 25
_YIELD_SECONDS = 0.001
"""A key press takes several turns of the event loop before it is painted; `sleep(0)` would give it one."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def batches(items: Sequence[Item]) -> AsyncIterator[Sequence[Item]]:
    """Yield the items in batches, with a short sleep between them."""
    for start in range(0, len(items), _BATCH_SIZE):
        if start:
            await asyncio.sleep(_YIELD_SECONDS)
        yield items[start : start + _BATCH_SIZE]


async def gather_all(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines concurrently. The first `UploadTuiError` cancels the others and is raised itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except* UploadTuiError as errors:
        raise _first_error(errors) from None
    return [task.result() for task in tasks]


def _first_error(errors: BaseExceptionGroup[UploadTuiError]) -> UploadTuiError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return cast("UploadTuiError", error)
