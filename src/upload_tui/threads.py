"""Calls that may wait for long, such as for a name server, in threads that the end of the program does not wait for.

Those of `asyncio.to_thread` hold up the end until they return.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Thread
from typing import Any, TypeVar

__all__ = ["call_in_thread", "interrupted_when", "run_in_thread"]

Result = TypeVar("Result")

_CHECK_SECONDS = 0.02
_is_ending: ContextVar[Callable[[], bool]] = ContextVar("is_ending", default=lambda: False)


@contextmanager
def interrupted_when(is_ending: Callable[[], bool]) -> Iterator[None]:
    """End each `call_in_thread` inside the context with `KeyboardInterrupt` once `is_ending` returns True."""
    token = _is_ending.set(is_ending)
    try:
        yield
    finally:
        _is_ending.reset(token)


def call_in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in another thread and wait for it; also on a running event loop, which then stands still.

    Python would not notice a signal that arrives just before the main thread begins to wait in the system. This wait is many short
    ones, and has no lock that an exception of a signal's handler could leave in a wrong state.

    Raises:
        KeyboardInterrupt: the program ends.
    """
    results: list[Callable[[], Result]] = []
    Thread(target=_call, args=(results.append, function, *arguments), daemon=True).start()
    while not results:
        if _is_ending.get()():
            raise KeyboardInterrupt
        time.sleep(_CHECK_SECONDS)
    return results[0]()


async def run_in_thread(function: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
    """Call a function in another thread, and return its result. If this is cancelled, the thread goes on alone."""
    import asyncio  # here, because each start imports this module

    loop = asyncio.get_running_loop()
    called: asyncio.Future[Callable[[], Result]] = loop.create_future()

    def put(result: Callable[[], Result]) -> None:
        if not called.done():
            called.set_result(result)

    def put_from_thread(result: Callable[[], Result]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(put, result)

    Thread(target=_call, args=(put_from_thread, function, *arguments), kwargs=named, daemon=True).start()
    return (await called)()


def _call(
    put: Callable[[Callable[[], Any]], object], function: Callable[..., Any], *arguments: Any, **named: Any
) -> None:
    """Call a function; `put` gets another one, which returns its result or raises its error."""
    try:
        value = function(*arguments, **named)
    except BaseException as error:  # noqa: BLE001  # raised again where the result is wanted
        put(_raising(error))
    else:
        put(lambda: value)


def _raising(error: BaseException) -> Callable[[], Any]:
    def throw() -> Any:
        raise error

    return throw
