"""Child processes: programs of the user's own settings, run without a shell.

Each has a session of its own, so that neither it nor what it starts can open the terminal; it reads the null device or what it is
given; its output is bounded. Ending one ends its whole process group: SIGTERM, a grace period, SIGKILL. A process that has left the
group is found by a variable of its environment (`kill_processes_with`), where the system shows environments: on Linux.
"""

import asyncio
import math
import os
import select
import shutil
import signal
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from msgspec import Struct

from upload_tui.lazy import lazy_pattern

__all__ = [
    "CANCEL_SECONDS",
    "DRAIN_SECONDS",
    "TERMINATE_SECONDS",
    "ChildProcess",
    "CommandEnd",
    "TimeLimit",
    "end_text",
    "kill_processes_with",
    "last_message",
    "program_name",
    "read_bounded",
    "run_command",
    "shell_hint",
    "start_failure_text",
]

TERMINATE_SECONDS = 5.0
"""After SIGTERM, before SIGKILL."""
CANCEL_SECONDS = 0.5
"""The same when this program ends: its user waits."""
DRAIN_SECONDS = 0.5
"""How long output may stay open after the program has exited: a process that it left behind may hold it."""
_EXIT_CHECK_SECONDS = 0.05
_COUNT_SECONDS = 0.1
"""How often a `TimeLimit` counts; it never counts more than twice as much at once."""
_MAX_SEARCHES = 100
"""For processes to kill, one per check; one that is being killed may be found again, and may have started another before."""
_INTERPRETER = lazy_pattern(r"(?:python|pypy|ruby|perl|php|lua|node)[\d.]*(?:\.exe)?|(?:ba|da|z|k)?sh|fish|env|Rscript")
_VALUE_OPTIONS = frozenset({"-W", "-X", "--require"})
"""Options of interpreters whose value is the next argument."""
_PROCESSES = Path("/proc")
_READ_BYTES = 64 << 10
_LARGE_PIPE_BYTES = 1 << 20
"""The most that Linux allows everyone."""
_OUTPUT_BYTES = 64 << 10
_FIRST_LINE_BYTES = 256
"""As much of the first line of a script as Linux reads."""


class ChildProcess:
    """A running program, and all processes of its group. `start` makes one."""

    def __init__(
        self, transport: asyncio.SubprocessTransport, protocol: asyncio.subprocess.SubprocessStreamProtocol
    ) -> None:
        self._transport = transport
        # What `asyncio.create_subprocess_exec` makes; it hides the transport.
        self._process = asyncio.subprocess.Process(transport, protocol, asyncio.get_running_loop())
        self.stdin, self.stdout, self.stderr = self._process.stdin, self._process.stdout, self._process.stderr

    @classmethod
    async def start(
        cls, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, has_input: bool = False
    ) -> Self:
        """Start a program; a cancelled start leaves no process behind.

        Args:
            arguments: the program and its arguments.
            environment: None for that of this process.
            has_input: whether standard input is a pipe, not the null device.

        Raises:
            OSError: there is no such program, or it is not executable.
            ValueError: an argument contains a null character.
        """
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
        starting = asyncio.ensure_future(
            loop.subprocess_exec(
                lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=_READ_BYTES, loop=loop),
                *arguments,
                stdin=asyncio.subprocess.PIPE if has_input else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                **options,
            )
        )
        try:
            return cls(*await asyncio.shield(starting))
        except asyncio.CancelledError:  # asyncio would end the program alone, and wait for what it has started
            await asyncio.wait([starting])
            if starting.exception() is None:
                child = cls(*starting.result())
                await child.end(0)
                child.close()
            raise

    def enlarge_output(self) -> None:
        """Give standard output a larger pipe, where the system can: a program that prints very much then waits less often."""
        transport = self._transport.get_pipe_transport(1)
        # Linux alone has this, a user may have too many large pipes, and what ended at once has closed its own.
        with suppress(ImportError, AttributeError, OSError, ValueError):
            import fcntl

            fcntl.fcntl(transport.get_extra_info("pipe"), fcntl.F_SETPIPE_SZ, _LARGE_PIPE_BYTES)  # type: ignore[union-attr]

    def has_output(self) -> bool:
        """Whether standard output has bytes, or an end, that wait to be read; False where that cannot be known."""
        transport = self._transport.get_pipe_transport(1)
        with suppress(AttributeError, OSError, ValueError):  # not on Windows, and not once it is closed
            waiting = select.poll()
            waiting.register(transport.get_extra_info("pipe"), select.POLLIN)  # type: ignore[union-attr]
            return bool(waiting.poll(0))
        return False

    async def exit_code(self) -> int:
        """Wait until the program exits. `Process.wait` would also wait until no other process holds its pipes."""
        while self._process.returncode is None:  # noqa: ASYNC110  # the process has no event for it
            await asyncio.sleep(_EXIT_CHECK_SECONDS)
        return self._process.returncode

    async def end(self, grace_seconds: float) -> None:
        """End the program and all processes of its group."""
        try:
            if self._process.returncode is None and grace_seconds:
                self._signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace_seconds):
                        await self.exit_code()
        finally:  # also if it is cancelled once more
            self.kill()
        await self.exit_code()

    def kill(self) -> None:
        """Kill all processes of the group now; from any thread."""
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def close(self) -> None:
        """Close the pipes: a process that has left the group may still hold them."""
        self._transport.close()

    def _signal(self, number: int) -> None:
        # The group outlives its leader while any of its processes runs, and its number is not used again until then.
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)


class TimeLimit:
    """A limit of the time of a command. Time in which this process did not run, as after SIGSTOP, is not the command's.

    Args:
        seconds: how long it may take.
        longest_seconds: the same with the time that is not counted inside `uncounted`; nothing ends when it is over.
    """

    def __init__(self, seconds: float, longest_seconds: float = math.inf) -> None:
        self._left_seconds, self._longest_left_seconds = seconds, longest_seconds
        self._loop = asyncio.get_running_loop()
        self._counted_at = self._loop.time()
        self._is_counting = True
        self._timeout = asyncio.timeout(None)

    @property
    def is_over(self) -> bool:
        """Whether `seconds` are over."""
        return self._left_seconds <= 0

    @property
    def is_longest_over(self) -> bool:
        """Whether `longest_seconds` are over."""
        return self._longest_left_seconds <= 0

    @asynccontextmanager
    async def applied(self) -> AsyncIterator[None]:
        """Count, and end what is in the context when the time is over.

        Raises:
            TimeoutError: it is.
        """
        async with self._timeout:
            checking = asyncio.create_task(self._check(), name="limit of a command")
            try:
                yield
            finally:
                checking.cancel()

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Do not count the time of the context."""
        self._count()
        self._is_counting = False
        try:
            yield
        finally:
            self._count()
            self._is_counting = True

    async def _check(self) -> None:
        while self._left_seconds > 0:
            await asyncio.sleep(_COUNT_SECONDS)
            self._count()
        self._timeout.reschedule(self._loop.time())

    def _count(self) -> None:
        now = self._loop.time()
        seconds, self._counted_at = min(now - self._counted_at, 2 * _COUNT_SECONDS), now
        self._longest_left_seconds -= seconds
        if self._is_counting:
            self._left_seconds -= seconds


class CommandEnd(Struct, frozen=True):
    """How a command ended: its exit code (None if its time was over), and 64 KiB of each output."""

    code: int | None
    stdout: bytes
    stderr: bytes


async def run_command(
    arguments: Sequence[str],
    *,
    timeout_seconds: float,
    data: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    keeps_last_errors: bool = False,
) -> CommandEnd:
    """Run a command to its end; if its time is over or this is cancelled, its whole group is ended.

    Args:
        arguments: the program and its arguments.
        timeout_seconds: how long it may run.
        data: its standard input, which it may ignore; None for none.
        environment: None for that of this process.
        keeps_last_errors: keep the end of standard error, not its start.

    Raises:
        OSError: there is no such program, or it is not executable.
        ValueError: an argument contains a null character.
    """
    child = await ChildProcess.start(arguments, environment=environment, has_input=data is not None)
    printed, errors = bytearray(), bytearray()
    reading = [
        asyncio.create_task(read_bounded(child.stdout, printed), name="output of a command"),
        asyncio.create_task(
            read_bounded(child.stderr, errors, keeps_end=keeps_last_errors), name="errors of a command"
        ),
    ]
    code, grace_seconds = None, CANCEL_SECONDS
    try:
        async with TimeLimit(timeout_seconds).applied():
            await _write(child.stdin, data)
            code = await child.exit_code()
    except TimeoutError:
        grace_seconds = TERMINATE_SECONDS
    finally:
        if code is None:
            await child.end(grace_seconds)
        await asyncio.wait(reading, timeout=DRAIN_SECONDS)
        for task in reading:
            task.cancel()
        child.close()
    return CommandEnd(code, bytes(printed), bytes(errors))


def kill_processes_with(name: str, value: str) -> None:
    """Kill all processes that were started with this variable in their environment, until none is found; blocks for a second at most.

    Finds nothing on systems other than Linux, and no process that runs as another user or was started with an environment of its own.
    """
    for _ in range(_MAX_SEARCHES):
        found = _processes_with(f"{name}={value}".encode())
        if not found:
            return
        for process_id in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process_id, signal.SIGKILL)
        time.sleep(_EXIT_CHECK_SECONDS / 5)


def _processes_with(variable: bytes) -> Collection[int]:
    found: list[int] = []
    for folder in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours
            if variable in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def program_name(command: Sequence[str]) -> str:
    """The name of a command's program, or of the script that an interpreter runs: `s3.py` of `python3 -u bin/s3.py`."""
    program, *others = command
    name, arguments = Path(program).name or program, iter(others)
    if not _INTERPRETER.fullmatch(name):
        return name
    inline = "c" if name.endswith("sh") else "ce"
    for argument in arguments:
        if argument == "-m":
            return next(arguments, name)
        if argument in _VALUE_OPTIONS:
            next(arguments, None)
        elif argument == "--eval" or (argument[0:1] == "-" != argument[1:2] and argument[-1] in inline):
            return name  # the script itself is an argument
        elif argument and argument[0] != "-" and not (name == "env" and "=" in argument):
            return program_name([argument, *arguments])
    return name


_SHELL_WORDS = frozenset({"|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1"})
_EXEC_OPTIONS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
"""Options of `find`; `;` ends the command that follows."""


def shell_hint(command: Sequence[str]) -> str:
    """What helps if a command was written for a shell; empty if none of its words shows that."""
    shell_words = _SHELL_WORDS if _EXEC_OPTIONS.isdisjoint(command) else _SHELL_WORDS - {";"}
    word = next((word for word in command if word in shell_words), "")
    return f"There is no shell: {word} is an argument. Put the command in a script, or use sh -c '…'." if word else ""


def start_failure_text(error: OSError | ValueError) -> str:
    """Why a program could not be started, in words."""
    reason = getattr(error, "strerror", None) or str(error)
    if not isinstance(error, FileNotFoundError):
        return reason
    found = shutil.which(os.fsdecode(error.filename or ""))
    interpreter = _interpreter_of(found) if found else ""
    return f"its interpreter {interpreter} is missing" if interpreter else reason


def _interpreter_of(script: str) -> str:
    """The interpreter that the first line of a script names; empty for any other program."""
    with suppress(OSError), Path(script).open("rb") as file:
        start, line = file.read(2), file.readline(_FIRST_LINE_BYTES)
        return line.decode("utf-8", "replace").strip() if start == b"#!" else ""
    return ""


def last_message(stderr: str) -> str:
    """The last line of standard error that is not indented, as a hint or a stack trace below it is; not sanitized."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line[0].isspace()), lines[-1] if lines else "").strip()


def end_text(code: int) -> str:
    """How a program ended, in words."""
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"


async def _write(stream: asyncio.StreamWriter | None, data: bytes | None) -> None:
    if stream is None or data is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
    stream.close()


async def read_bounded(stream: asyncio.StreamReader | None, kept: bytearray, *, keeps_end: bool = False) -> None:
    """Read a stream to its end, and keep the first or the last 64 KiB of it."""
    assert stream is not None  # noqa: S101  # it is a pipe
    while data := await stream.read(_READ_BYTES):
        if keeps_end:
            kept += data
            del kept[:-_OUTPUT_BYTES]
        else:
            kept += data[: _OUTPUT_BYTES - len(kept)]
