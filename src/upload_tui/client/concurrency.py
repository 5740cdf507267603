"""Works that share one event loop: several requests at once, and much reading in small portions, that keep no key waiting."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from typing import Any, TypeVar, cast

from upload_tui.errors import UploadTuiError

__all__ = ["gather_all", "batches"]

_BATCH_SIZE = 25
_YIELD_SECONDS = 0.001
"""Long enough for all that waits on the loop: a key passes several of its turns before it is painted."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def batches(items: Sequence[Item]) -> AsyncIterator[Sequence[Item]]:
    """Some items at a time, with a breath between."""
    for start in range(0, len(items), _BATCH_SIZE):
        if start:
            await asyncio.sleep(_YIELD_SECONDS)
        yield items[start : start + _BATCH_SIZE]


async def gather_all(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Do all of it at once; the first error of ours stops the others and comes out as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in coroutines]
    except* UploadTuiError as errors:
        raise _first_error(errors) from None
    return [task.result() for task in tasks]


def _first_error(errors: BaseExceptionGroup[UploadTuiError]) -> UploadTuiError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return cast("UploadTuiError", error)
