"""Run the command of a source: once at a time, without a shell, with a time limit, leaving no process behind."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from upload_tui.sources.contract import MAX_LINE_BYTES
from upload_tui.sources.source import LineBatch, LineReceiver, Listing

__all__ = ["DEFAULT_TIMEOUT_SECONDS", "CommandSource", "source_environment"]

DEFAULT_TIMEOUT_SECONDS = 30.0
_TERMINATE_SECONDS = 5.0
"""After SIGTERM, before SIGKILL."""
_CANCEL_SECONDS = 1.0
"""The same when the program ends: its user waits."""
_DRAIN_SECONDS = 1.0
"""How long output may stay open after the command has exited: a process that it left behind may hold it."""
_EXIT_CHECK_SECONDS = 0.05
_STDERR_BYTES = 64 << 10
_READ_BYTES = 64 << 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PREFIX = "UPLOAD_TUI_"
_VERSION_VARIABLE = f"{_PREFIX}SOURCE_VERSION"
_VERSION = "1"


def source_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment of a command: without our own variables, which may be secrets, and with the contract's version."""
    others = {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}
    return {**others, _VERSION_VARIABLE: _VERSION}


class CommandSource:
    """A command that lists uploads; implements `SnapshotSource`.

    Args:
        command: the program and its arguments.
        timeout_seconds: how long one run may take.
        environment: of the command; None for that of this process, without our own variables.
        terminate_seconds: how long it may take to end after SIGTERM.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        environment: Mapping[str, str] | None = None,
        terminate_seconds: float = _TERMINATE_SECONDS,
    ) -> None:
        self._command = tuple(command)
        self._timeout_seconds = timeout_seconds
        self._environment = source_environment(os.environ) if environment is None else environment
        self._terminate_seconds = terminate_seconds
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The program's name."""
        return Path(self._command[0]).name

    async def read(self, receive: LineReceiver) -> Listing:
        """Run the command once; a run that was started before is waited for."""
        async with self._lock:
            started_at = time.monotonic()
            try:
                transport, process = await self._start()
            except (OSError, ValueError) as error:  # no such file, not executable, an argument with a NUL in it
                reason = getattr(error, "strerror", None) or str(error)
                return Listing(failure=f"{self._command[0]} cannot be run: {reason}", is_misconfigured=True)
            run = _Run(process, self._timeout_seconds, self._terminate_seconds)
            try:
                failure = await run.read(receive)
            finally:  # a process that has left the group may still hold its pipes
                transport.close()
            return Listing(failure=failure, stderr=run.stderr, seconds=time.monotonic() - started_at)

    async def _start(self) -> tuple[asyncio.SubprocessTransport, asyncio.subprocess.Process]:
        """What `asyncio.create_subprocess_exec` does, and the transport, which it hides."""
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
        transport, protocol = await loop.subprocess_exec(
            lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=_READ_BYTES, loop=loop),
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            **options,
        )
        return transport, asyncio.subprocess.Process(transport, protocol, loop)


class _Run:
    """One run of a command."""

    def __init__(self, process: asyncio.subprocess.Process, timeout_seconds: float, terminate_seconds: float) -> None:
        self._process = process
        self._timeout_seconds = timeout_seconds
        self._terminate_seconds = terminate_seconds
        self._stderr = bytearray()

    @property
    def stderr(self) -> str:
        """The end of standard error."""
        return bytes(self._stderr).decode("utf-8", "replace")

    async def read(self, receive: LineReceiver) -> str:
        """Pass on all lines and end the command; return why it failed, empty if it did not."""
        errors = asyncio.create_task(self._read_stderr(), name="standard error of a source")
        grace_seconds = _CANCEL_SECONDS
        try:
            async with asyncio.timeout(self._timeout_seconds) as limit:
                is_left_open = await self._read_stdout(_untimed(receive, limit))
                code = await _exit_code(self._process)
        except TimeoutError:
            if not limit.expired():  # the receiver's own
                raise
            grace_seconds = self._terminate_seconds
            return f"ended after {self._timeout_seconds:g}s without finishing"
        finally:
            await self._end(grace_seconds)
            await asyncio.wait([errors], timeout=_DRAIN_SECONDS)
            errors.cancel()
        if code:
            return f"ended by signal {-code}" if code < 0 else f"exit code {code}"
        return "a process that it left running kept its output open" if is_left_open else ""

    async def _read_stdout(self, receive: LineReceiver) -> bool:
        """Pass on all lines; True if the output was still open after the command had exited."""
        splitter, exited = _LineSplitter(), asyncio.create_task(_exit_code(self._process))
        stream = self._process.stdout
        assert stream is not None  # noqa: S101  # it is a pipe
        try:
            while True:
                data = await _read_until(stream, exited)
                if data is None:
                    return True
                batch = splitter.split(data)
                if batch.lines:
                    await receive(batch)
                if not data:
                    return False
        finally:
            exited.cancel()

    async def _read_stderr(self) -> None:
        stream = self._process.stderr
        assert stream is not None  # noqa: S101  # it is a pipe
        while data := await stream.read(_READ_BYTES):
            self._stderr += data
            del self._stderr[:-_STDERR_BYTES]

    async def _end(self, grace_seconds: float) -> None:
        """End the command and all processes of its group."""
        try:
            if self._process.returncode is None:
                self._signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    await asyncio.wait_for(_exit_code(self._process), grace_seconds)
        finally:  # also if it is cancelled once more
            self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        await _exit_code(self._process)

    def _signal(self, number: int) -> None:
        # The group outlives its leader while any of its processes runs, and its number is not used again until then.
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)


async def _exit_code(process: asyncio.subprocess.Process) -> int:
    """Wait until the process exits. `Process.wait` would also wait until no other process holds its pipes."""
    while process.returncode is None:  # noqa: ASYNC110  # the process has no event for it
        await asyncio.sleep(_EXIT_CHECK_SECONDS)
    return process.returncode


def _untimed(receive: LineReceiver, limit: asyncio.Timeout) -> LineReceiver:
    """The receiver, whose own time does not count: the command is not slow because its lines are recorded slowly."""
    loop = asyncio.get_running_loop()

    async def receive_untimed(batch: LineBatch) -> None:
        started_at = loop.time()
        due_at = limit.when()
        limit.reschedule(None)
        try:
            await receive(batch)
        finally:
            limit.reschedule(None if due_at is None else due_at + loop.time() - started_at)

    return receive_untimed


async def _read_until(stream: asyncio.StreamReader, exited: "asyncio.Task[int]") -> bytes | None:
    """The next bytes, empty at the end; None if nothing arrives although the command has exited."""
    reading = asyncio.ensure_future(stream.read(_READ_BYTES))
    try:
        await asyncio.wait({reading, exited}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await asyncio.wait({reading}, timeout=_DRAIN_SECONDS)
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
