"""Runs the program in a process that is forked from one that has already imported it.

It is a process of its own as any other, but without the 0.4 to 1 s that starting Python and importing take. Tests of the start
itself, of the language or of anything else that Python reads when it starts get a new process.
"""

import asyncio
import faulthandler
import fcntl
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TextIO

__all__ = ["HANG_UPS", "ForkedProcess", "can_be_forked", "run_forked", "start_forked", "start_forked_with_pipes"]

_READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "SSL_CERT_", "COVERAGE", "TEXTUAL_", "ESCDELAY")
"""Prefixes of variables that Python or a library reads once."""
_OF_SERVERS = ("upload_tui.backend.*", "uvicorn.lifespan.off", "uvicorn.protocols.http.h11_impl", "prometheus_client")
_IMPORTED: Mapping[str, Sequence[str]] = {
    "": (
        "upload_tui.cli.group",
        "upload_tui.cli.commands.list",
        "upload_tui.cli.commands.wait",
        "upload_tui.cli.access.*",
        "upload_tui.client.*",
        "upload_tui.monitor.*",
        "upload_tui.settings.*",
        "upload_tui.sources.*",
        "upload_tui.text.*",
        "upload_tui.wire.*",
        "anyio._backends._asyncio",
        "certifi",
        "httpcore",
    ),
    "config": ("upload_tui.cli.commands.config", "upload_tui.tui.*"),
    "demo": ("upload_tui.cli.commands.demo", "upload_tui.tui.*", "upload_tui.backend.*"),
    "doctor": ("upload_tui.cli.commands.doctor", "upload_tui.tui.*"),
    "metrics": ("upload_tui.cli.commands.metrics", *_OF_SERVERS),
    "replay": ("upload_tui.cli.commands.replay", "upload_tui.tui.*"),
    "report": ("upload_tui.cli.commands.report", "prometheus_client"),
    "serve": ("upload_tui.cli.commands.serve", *_OF_SERVERS),
    "source": ("upload_tui.cli.commands.source",),
    "tail": ("upload_tui.cli.commands.tail",),
    "watch": ("upload_tui.cli.commands.watch", "upload_tui.tui.*"),
}
"""Modules that most commands import, and those of single ones; `.*` is a package of the program with all its modules."""


def _send_hang_up() -> None:
    """Make the terminal on standard input the controlling one, as a terminal's window does, so that the kernel sends SIGHUP."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _ignore_hang_up() -> None:
    """Make it the controlling one, but ignore SIGHUP, as `nohup` does."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _control_nothing() -> None:
    """Start the program without a controlling terminal, as some containers do."""


HANG_UPS: Mapping[str, Callable[[], None]] = {
    "signal": _send_hang_up,
    "signal-ignored": _ignore_hang_up,
    "no-signal": _control_nothing,
}
"""How a program in a session of its own notices that its terminal is closed: what prepares its process, by name."""


class ForkedProcess:
    """A running program, with the attributes of `subprocess.Popen` that tests need; `stdout` and `stderr` are None without pipes."""

    def __init__(self, connection: socket.socket) -> None:
        self.stdout: TextIO | None = None
        self.stderr: TextIO | None = None
        self.returncode: int | None = None
        self._connection = connection
        self._answers = connection.makefile()
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        """The exit code, or minus the number of a signal; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(int(self._answers.readline()))
            self._answers.close()
            self._connection.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait until it ends; return the rest of what it has printed on both pipes."""
        assert self.stdout is not None
        assert self.stderr is not None
        with ThreadPoolExecutor() as readers:
            texts = [readers.submit(file.read) for file in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return texts[0].result(), texts[1].result()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)


def can_be_forked(environment: Mapping[str, str]) -> bool:
    """Whether this environment has the same values, of what is read once at a start, as that of the server."""
    return _read_at_start(environment) == _read_at_start(_server().environment)


def start_forked(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    streams: Sequence[int],
    *,
    hang_up: str = "",
    program: str = "upload_tui.cli",
) -> ForkedProcess:
    """Start the program.

    Args:
        arguments: of its command line; the first one is its name.
        environment: its variables.
        streams: the descriptors of its standard input, output and error.
        hang_up: a key of `HANG_UPS`, for a session of its own; empty for the session of this process.
        program: a module with the function `main`.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_server().path)
    request = {
        "arguments": [*arguments],
        "environment": dict(environment),
        "folder": str(Path.cwd()),
        "hang_up": hang_up,
        "program": program,
    }
    socket.send_fds(connection, [b"."], streams)
    connection.sendall(json.dumps(request).encode() + b"\n")
    return ForkedProcess(connection)


def start_forked_with_pipes(arguments: Sequence[str], environment: Mapping[str, str]) -> ForkedProcess:
    """Start the program with pipes for what it prints, and nothing to read."""
    (out, its_out), (err, its_err) = os.pipe(), os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    process = start_forked(arguments, environment, (null, its_out, its_err))
    for descriptor in (null, its_out, its_err):
        os.close(descriptor)
    process.stdout, process.stderr = os.fdopen(out), os.fdopen(err)
    return process


def run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], timeout_seconds: float
) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end; the first argument is its name.

    Raises:
        subprocess.TimeoutExpired: it was killed after this time.
    """
    with Path(os.devnull).open() as null, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = start_forked(arguments, environment, [file.fileno() for file in (null, out, err)])
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess([*arguments], process.wait(), *texts)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}


class _Server:
    """The process that forks; it ends with this one."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="forking-")
        self.path = f"{self._folder.name}/socket"
        self.environment = dict(os.environ)
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()


@cache
def _server() -> _Server:
    return _Server()


def _serve(path: str) -> None:
    """Fork a process for each connection until standard input is closed; answer with its id and, at its end, its status."""
    _import_for()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running = dict[int, socket.socket]()
    os.write(1, b"ready\n")
    while True:
        readable, _, _ = select.select([listener, woken, sys.stdin], [], [])
        if sys.stdin in readable:
            return
        if woken in readable:
            woken.recv(1000)
            _report_ended(running)
        if listener in readable:
            connection, _ = listener.accept()
            _, streams, _, _ = socket.recv_fds(connection, 1, 3)
            request = json.loads(connection.makefile().readline())
            _import_for(*request["arguments"][1:2])
            if (process_id := os.fork()) == 0:
                _become_program(request, streams)
                return
            for stream in streams:
                os.close(stream)
            running[process_id] = connection
            connection.sendall(f"{process_id}\n".encode())


@cache
def _import_for(command: str = "") -> None:
    """Import it once, and take it out of every search for garbage, which would copy it in each forked process."""
    os.environ.setdefault("TEXTUAL_FPS", "120")  # as the dashboard does before it imports Textual
    for name in _IMPORTED.get(command, ()):
        module = import_module(name.removesuffix(".*"))
        for one in pkgutil.walk_packages(module.__path__, f"{module.__name__}.") if name.endswith(".*") else ():
            import_module(one.name)
    gc.collect()
    gc.freeze()


def _report_ended(running: dict[int, socket.socket]) -> None:
    """Answer with the status of each process that has ended."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            process_id, status = ended
            with running.pop(process_id) as connection, suppress(OSError):  # who asked may be gone
                connection.sendall(f"{status}\n".encode())


def _become_program(request: Mapping[str, object], streams: Sequence[int]) -> None:
    """Run the program as a new process would; it ends as Python ends."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, (name, descriptor) in enumerate(zip(("stdin", "stdout", "stderr"), streams, strict=True)):
        os.dup2(descriptor, number)
        _open_stream(number, name)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    os.chdir(str(request["folder"]))
    time.tzset()
    if hang_up := request["hang_up"]:
        os.setsid()
        HANG_UPS[str(hang_up)]()
    # The program leaves a signal alone that is ignored by default.
    signal.signal(signal.SIGURG, lambda *_: _print_stacks())
    sys.argv = list(request["arguments"])  # type: ignore[call-overload]
    import_module(str(request["program"])).main()


def _print_stacks() -> None:
    """Print where each thread and each task of the event loop is, for a test of a program that does not end."""
    faulthandler.dump_traceback(2)
    with suppress(RuntimeError):  # no event loop runs
        for task in asyncio.all_tasks():
            task.print_stack(file=sys.__stderr__)


def _open_stream(number: int, name: str) -> None:
    """Open a standard stream as Python does: the object remembers, for example, whether what was there before was a terminal."""
    before = getattr(sys, name)
    stream = open(  # noqa: SIM115  # a descriptor, open to the end
        number,
        "w" if number else "r",
        buffering=1 if name == "stderr" else -1,
        encoding=before.encoding,
        errors=before.errors,
        closefd=False,
    )
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])  # for programs of the tests
    _serve(sys.argv[1])
