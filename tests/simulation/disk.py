"""The simulated disk, which is full or fails, and the process that is killed between two statements."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.simulation.faults import Failure, Injector, Killed, sqlite_error
from tests.simulation.options import Trace

__all__ = ["Disk", "Victim"]


class Disk(Injector):
    """The disk of all stores, or that of the chunks: calls fail while it is full or fails.

    Attributes:
        only: how calls begin that fail; empty for all.
        every: of these, each n-th fails.
        failed: how many calls have failed, by their word and the failure.
    """

    def __init__(self, trace: Trace) -> None:
        super().__init__(Failure("FULL", writes_only=True, rolls_back=True), 0)
        self._trace = trace
        self.is_failing = False
        self._begun = 0
        self.only = ""
        self.every = 1
        self.failed = Counter[str]()
        self.victim: Victim | None = None

    def check_alive(self, connection: sqlite3.Connection, sql: str) -> None:
        if self.victim is not None:
            self.victim.check_alive(connection, sql)

    def end_later(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Begin to fail, and end it then, unless another failure has begun since."""
        self.is_failing = True
        self._begun += 1
        begun = self._begun

        def end() -> None:
            self.is_failing &= self._begun != begun

        loop.call_later(seconds, end)

    def fails(self, what: str, inode: int = 0) -> bool:
        word = what.partition(" ")[0]  # the rest names a temporary file
        if not self.is_failing or not what.startswith(self.only):
            return False
        self.count += 1
        if self.count % self.every:
            return False
        self.failed[f"{word.lower()} {self.failure.name}"] += 1
        self._trace.add(f"disk {self.failure.name}: {word}")
        return True


class Victim:
    """A process that is killed before one of its next statements that write: what it has committed stays, and nothing follows.

    Args:
        connections: those of the process, now.
        only: how the statements begin that count.
        statements: which one of them that is, from 1.
        kill: ends it, at the next step of the event loop; None to damage the file of that connection instead.
        is_after: whether the transaction of that statement is still committed, and the next statement that writes is not executed.
    """

    def __init__(
        self,
        connections: Callable[[], Sequence[sqlite3.Connection]],
        only: str,
        statements: int,
        kill: Callable[[], Coroutine[Any, Any, None]] | None,
        *,
        is_after: bool = False,
    ) -> None:
        self._connections = connections
        self._only = only
        self._left = statements
        self._kill = kill
        self._is_after = is_after
        self._dead: Sequence[sqlite3.Connection] = ()
        self._killing: asyncio.Task[None] | None = None

    def check_alive(self, connection: sqlite3.Connection, sql: str) -> None:
        """Count a statement that writes, but none of the checkers, outside the event loop; raise `Killed` once it is killed."""
        if sql and sql.startswith(self._only) and self._left and asyncio._get_running_loop() is not None:
            connections = self._connections()
            self._left -= any(one is connection for one in connections)
            if not self._left and self._is_after:
                is_committed = self._only == "COMMIT"
                self._only, self._left, self._is_after = "" if is_committed else "COMMIT", 1, not is_committed
            elif not self._left:
                self._dead = [connection] if self._kill is None else connections
                self._killing = self._kill and asyncio.get_running_loop().create_task(self._kill())
        if any(one is connection for one in self._dead):
            raise sqlite_error("CORRUPT") if self._kill is None else Killed

    async def wait_until_killed(self) -> None:
        """Wait until it has ended, if it is being killed."""
        if self._killing is not None:
            await self._killing
