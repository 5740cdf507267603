"""Run the command of a source: once at a time, without a shell, with a time limit, leaving no process behind."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from upload_tui.processes import (
    CANCEL_SECONDS,
    DRAIN_SECONDS,
    TERMINATE_SECONDS,
    ChildProcess,
    TimeLimit,
    end_text,
    kill_processes_with,
    program_name,
    read_bounded,
    shell_hint,
    start_failure_text,
)
from upload_tui.sources.contract import MAX_LINE_BYTES, LineBatch, LineReceiver, Listing, ListingVerdict

__all__ = ["CommandSource", "source_environment"]

_READ_BYTES = 256 << 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_TIMEOUTS = 20
"""The longest run, as a multiple of the timeout: a command that prints without end is ended too."""
_PREFIX = "UPLOAD_TUI_"
_VERSION_VARIABLE = f"{_PREFIX}SOURCE_VERSION"
_VERSION = "1"
_RUN_VARIABLE = f"{_PREFIX}SOURCE_RUN"
"""Different in each run, so that all its processes can be found."""


def source_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment of a command: without our own variables, which may be secrets, and with the contract's version."""
    others = {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}
    return {**others, _VERSION_VARIABLE: _VERSION}


class CommandSource:
    """A command that lists uploads; implements `UploadSource`.

    Args:
        command: the program and its arguments.
        timeout_seconds: how long one run may take, without the time in which its lines wait to be read or are recorded; with that
            time, `longest_seconds`.
        longest_seconds: after that a command that prints without end is ended; None for 20 times `timeout_seconds`.
        environment: of the command; None for that of this process, without our own variables.
        terminate_seconds: how long it may take to end after SIGTERM.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout_seconds: float,
        longest_seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
        terminate_seconds: float = TERMINATE_SECONDS,
    ) -> None:
        self._command = tuple(command)
        self._timeout_seconds = timeout_seconds
        self._longest_seconds = timeout_seconds * _LONGEST_TIMEOUTS if longest_seconds is None else longest_seconds
        self._environment = source_environment(os.environ) if environment is None else environment
        self._terminate_seconds = terminate_seconds
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The program's name, or that of its script."""
        return program_name(self._command)

    async def read(self, receive: LineReceiver, is_whole: ListingVerdict) -> Listing:
        """Run the command once; a run that was started before is waited for.

        If it fails or is cancelled, no process of it stays, on Linux even one with a session of its own. After a whole listing, such
        a one may stay if it has closed the output: the shared connection of ssh, for example.
        """
        async with self._lock:
            run_id, may_leave_processes = os.urandom(16).hex(), False
            try:
                listing = await self._run({**self._environment, _RUN_VARIABLE: run_id}, receive)
                may_leave_processes = is_whole(listing)
            finally:
                if not may_leave_processes:
                    await asyncio.to_thread(kill_processes_with, _RUN_VARIABLE, run_id)
            return listing

    async def _run(self, environment: Mapping[str, str], receive: LineReceiver) -> Listing:
        started_at = time.monotonic()
        try:
            child = await ChildProcess.start(self._command, environment=environment)
        except (OSError, ValueError) as error:  # no such file, not executable, an argument with a NUL in it
            return Listing(
                failure=f"{self._command[0]} cannot be run: {start_failure_text(error)}",
                is_misconfigured=True,
                hint=shell_hint(self._command),
            )
        child.enlarge_output()
        run = _Run(child, self._timeout_seconds, self._longest_seconds, self._terminate_seconds)
        try:
            failure = await run.read(receive)
        finally:
            child.close()
        hint = shell_hint(self._command) if failure else ""
        return Listing(failure=failure, hint=hint, stderr=run.stderr, seconds=time.monotonic() - started_at)


class _Run:
    """One run of a command."""

    def __init__(
        self, child: ChildProcess, timeout_seconds: float, longest_seconds: float, terminate_seconds: float
    ) -> None:
        self._child = child
        self._timeout_seconds = timeout_seconds
        self._longest_seconds = longest_seconds
        self._terminate_seconds = terminate_seconds
        self._stderr = bytearray()

    @property
    def stderr(self) -> str:
        """The end of standard error."""
        return bytes(self._stderr).decode("utf-8", "replace")

    async def read(self, receive: LineReceiver) -> str:
        """Pass on all lines and end the command; return why it failed, empty if it did not."""
        errors = asyncio.create_task(
            read_bounded(self._child.stderr, self._stderr, keeps_end=True), name="standard error of a source"
        )
        grace_seconds, limit = CANCEL_SECONDS, TimeLimit(self._timeout_seconds, self._longest_seconds)
        try:
            async with limit.applied():
                is_left_open = await self._read_stdout(receive, limit)
                code = await self._child.exit_code()
        except TimeoutError:
            if not (limit.is_over or limit.is_longest_over):  # the receiver's own
                raise
            grace_seconds = self._terminate_seconds
            seconds = self._timeout_seconds if limit.is_over else self._longest_seconds
            return f"ended after {seconds:g}s without finishing"
        finally:
            await self._child.end(grace_seconds)
            await asyncio.wait([errors], timeout=DRAIN_SECONDS)
            errors.cancel()
        if code:
            return end_text(code)
        return "a process that it left running kept its output open" if is_left_open else ""

    async def _read_stdout(self, receive: LineReceiver, limit: TimeLimit) -> bool:
        """Pass on all lines; True if the output was still open after the command had exited.

        Raises:
            TimeoutError: there was no end of them.
        """
        splitter, exited = _LineSplitter(), asyncio.create_task(self._child.exit_code())
        stream = self._child.stdout
        assert stream is not None  # noqa: S101  # it is a pipe
        try:
            while True:
                if limit.is_longest_over:
                    raise TimeoutError
                with limit.uncounted() if self._child.has_output() else nullcontext():
                    data = await self._read_until(stream, exited)
                if data is None:
                    return True
                batch = splitter.split(data)
                if batch.lines:
                    with limit.uncounted():
                        await receive(batch)
                if not data:
                    return False
        finally:
            exited.cancel()

    async def _read_until(self, stream: asyncio.StreamReader, exited: "asyncio.Task[int]") -> bytes | None:
        """The next bytes, empty at the end; None if nothing arrives although the command has exited."""
        reading = asyncio.ensure_future(stream.read(_READ_BYTES))
        try:
            await asyncio.wait({reading, exited}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait({reading}, timeout=DRAIN_SECONDS)
            while not reading.done() and self._child.has_output():  # this process is late
                await asyncio.wait({reading}, timeout=DRAIN_SECONDS)
            return reading.result() if reading.done() else None
        finally:
            reading.cancel()


class _LineSplitter:
    """Splits a stream of bytes into lines, without ever keeping more than `MAX_LINE_BYTES` of one."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._is_too_long = False
        self._number = 1

    def split(self, data: bytes) -> LineBatch:
        """The lines that end in these bytes; no bytes end the last line."""
        *ended, rest = data.split(b"\n")
        lines = [self._take(part) for part in ended]
        self._keep(rest)
        if not data and (self._rest or self._is_too_long):
            lines.append(self._take(b""))
        if self._number == 1 and lines and lines[0]:
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        first_number, self._number = self._number, self._number + len(lines)
        return LineBatch(first_number, lines)

    def _take(self, part: bytes) -> bytes | None:
        if self._rest or self._is_too_long:
            self._keep(part)
            part = bytes(self._rest)
        line = None if self._is_too_long or len(part) > MAX_LINE_BYTES else part
        self._rest.clear()
        self._is_too_long = False
        return line

    def _keep(self, part: bytes) -> None:
        self._rest += part
        if len(self._rest) > MAX_LINE_BYTES:
            self._is_too_long = True
        if self._is_too_long:
            self._rest.clear()
