"""Runs the program in a process that is forked from one that has already imported it.

It is a process of its own as any other, but without the 0.4 s that starting Python and importing take. Tests of the start itself,
of the language or of anything else that Python reads when it starts get a new process.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

__all__ = ["can_be_forked", "run_forked"]

_READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "SSL_CERT_", "COVERAGE")
"""Prefixes of variables that Python or a library reads once."""
_IMPORTED = ("config", "doctor", "list", "projects", "report", "show", "source", "tail", "wait")


def can_be_forked(environment: Mapping[str, str]) -> bool:
    """Whether this environment has the same values, of what is read once at a start, as that of the server."""
    return _read_at_start(environment) == _read_at_start(_server().environment)


def run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], timeout_seconds: float
) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end; the first argument is its name.

    Raises:
        subprocess.TimeoutExpired: it was killed after this time.
    """
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        connection.connect(_server().path)
        request = {"arguments": [*arguments], "environment": dict(environment), "folder": str(Path.cwd())}
        socket.send_fds(connection, [b"."], [out.fileno(), err.fileno()])
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile() as answers:
            process_id = int(answers.readline())
            connection.settimeout(timeout_seconds)
            try:
                status = int(answers.readline())
            except TimeoutError:
                os.kill(process_id, signal.SIGKILL)
                raise subprocess.TimeoutExpired([*arguments], timeout_seconds) from None
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess([*arguments], os.waitstatus_to_exitcode(status), *texts)


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
    """Fork a process for each connection until standard input is closed."""
    from importlib import import_module

    for name in _IMPORTED:
        import_module(f"upload_tui.cli.commands.{name}")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # let the system reap
    os.write(1, b"ready\n")
    while True:
        readable, _, _ = select.select([listener.fileno(), 0], [], [])
        if 0 in readable:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _run_one(connection)
            return
        connection.close()


def _run_one(connection: socket.socket) -> None:
    """Fork the program, and answer with its id and its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 2)
    request = json.loads(connection.makefile().readline())
    if (process_id := os.fork()) == 0:
        connection.close()
        _become_program(request, descriptors)
        return
    connection.sendall(f"{process_id}\n".encode())
    _, status = os.waitpid(process_id, 0)
    connection.sendall(f"{status}\n".encode())
    os._exit(0)


def _become_program(request: Mapping[str, object], descriptors: Sequence[int]) -> None:
    """Run the program as a new process would; it ends as Python ends."""
    null = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((null, *descriptors)):
        os.dup2(descriptor, number)
    os.closerange(3, max(null, *descriptors) + 1)
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    os.chdir(str(request["folder"]))
    time.tzset()
    sys.argv = list(request["arguments"])  # type: ignore[call-overload]
    from upload_tui.cli import main

    main()


if __name__ == "__main__":
    _serve(sys.argv[1])
