"""Programs of the user: how they are started, and that ending one ends all that it has started."""

import asyncio
import fcntl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from upload_tui.processes import ChildProcess, last_message, program_name, run_command, start_failure_text

pytestmark = pytest.mark.slow

FAMILY = """
import os, pathlib, signal, sys, time
if sys.argv[2:] == ["deaf"]: signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child: pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child}\\n")
time.sleep(600)
"""
"""Starts a child, and writes both numbers to a file."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "processes"


def family(file: Path, *words: str) -> list[str]:
    return [sys.executable, "-I", "-c", FAMILY, str(file), *words]


async def number_of(file: Path) -> list[psutil.Process]:
    while not file.exists() or not file.read_text().endswith("\n"):  # noqa: ASYNC240
        await asyncio.sleep(0.01)
    return [psutil.Process(int(word)) for word in file.read_text().split()]  # noqa: ASYNC240


@asynccontextmanager
async def ended(file: Path) -> AsyncIterator[None]:
    """At the end of the context, all processes of the family end."""
    family_processes = await number_of(file)
    yield
    _, alive = psutil.wait_procs(family_processes, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.parametrize("words", [(), ("deaf",)], ids=["ends", "ignores SIGTERM"])
async def test_a_cancelled_command_leaves_no_process(file: Path, words: tuple[str, ...]) -> None:
    running = asyncio.create_task(run_command(family(file, *words), timeout_seconds=600, data=b"x"))
    async with ended(file):
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_command_that_takes_too_long_leaves_no_process(file: Path) -> None:
    running = asyncio.create_task(run_command(family(file), timeout_seconds=0.3))
    async with ended(file):
        assert (await running).code is None


@pytest.mark.parametrize("rounds", range(4))
async def test_a_start_that_is_cancelled_leaves_no_process(rounds: int) -> None:
    """Wherever in the start it is cancelled; the program starts another at once."""
    before = {*psutil.Process().children(recursive=True)}
    starting = asyncio.create_task(ChildProcess.start(["sh", "-c", "sleep 600; true"]))
    for _ in range(rounds):
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    _, alive = psutil.wait_procs({*psutil.Process().children(recursive=True)} - before, timeout=10)
    assert alive == []


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        (None, 0, "No such file or directory"),
        ("#!/no/such/interpreter -x\n", 0o700, "its interpreter /no/such/interpreter -x is missing"),
        ("#!/bin/sh\n", 0o600, "Permission denied"),
        ("neither a script nor a program\n", 0o700, "Exec format error"),
    ],
)
async def test_why_a_program_does_not_start(tmp_path: Path, text: str | None, mode: int, reason: str) -> None:
    program = tmp_path / "program"
    if text is not None:
        program.write_text(text)
        program.chmod(mode)
    with pytest.raises(OSError, match=str(program)) as caught:
        await run_command([str(program)], timeout_seconds=600)
    assert start_failure_text(caught.value) == reason


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ("", ""),
        ("\n \n", ""),
        ("first\nlast\n\n", "last"),
        ("upload-tui: no URL.\n  Give --url.\n", "upload-tui: no URL."),
        ("Traceback:\n  line 1\nValueError: 5\n", "ValueError: 5"),
        ("Exception in thread main\n\tat Main.java:5\r\n", "Exception in thread main"),
        ("  all\n  indented", "indented"),
    ],
)
def test_the_last_message_is_not_what_explains_it(printed: str, message: str) -> None:
    assert last_message(printed) == message


async def test_output_and_errors_are_bounded_and_input_may_be_ignored() -> None:
    script = "import sys; print('first' + 'x' * 200_000); sys.stderr.write('y' * 200_000 + 'last'); sys.exit(3)"
    for keeps_last, part in ((True, b"last"), (False, b"yyyy")):
        end = await run_command(
            [sys.executable, "-I", "-c", script],
            timeout_seconds=600,
            data=b"z" * 1_000_000,
            keeps_last_errors=keeps_last,
        )
        assert (end.code, len(end.stdout), len(end.stderr)) == (3, 64 << 10, 64 << 10)
        assert (end.stdout[:5], end.stderr[-4:]) == (b"first", part)


async def test_a_program_has_no_terminal_and_no_input() -> None:
    script = "try: open('/dev/tty')\nexcept OSError: print('no terminal', repr(__import__('sys').stdin.read()))"
    end = await run_command([sys.executable, "-I", "-c", script], timeout_seconds=600)
    assert (end.code, end.stdout) == (0, b"no terminal ''\n")


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="only Linux has larger pipes")
async def test_a_program_with_a_large_pipe_need_not_wait_for_its_reader() -> None:
    script = (
        "import os, sys; sys.stdin.read(); os.set_blocking(1, False); sys.exit(os.write(1, bytes(1 << 20)) < 1 << 20)"
    )
    child = await ChildProcess.start([sys.executable, "-I", "-S", "-c", script], has_input=True)
    try:
        child.enlarge_output()
        assert child.stdin is not None
        assert not child.has_output()
        child.stdin.close()
        assert await child.exit_code() == 0
        assert child.has_output()
    finally:
        await child.end(0)
        child.close()
    await asyncio.sleep(0)
    child.enlarge_output()  # of a program that ended at once
    assert not child.has_output()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/rclone lsjson remote:", "rclone"),
        ("python3 /home/ada/bin/s3-uploads.py incoming", "s3-uploads.py"),
        ("/usr/bin/python3.12 -u -X dev s3.py", "s3.py"),
        ("python -m s3_uploads incoming", "s3_uploads"),
        ("python3 -I -c print(1) s3.py", "python3"),
        ("bash -e list.sh", "list.sh"),
        ("bash -lc ls", "bash"),
        ("perl -e 1", "perl"),
        ("node --require x.js --eval 1", "node"),
        ("env -i PATH=/bin python3 bin/s3.py", "s3.py"),
        ("/usr/bin/env", "env"),
        ("sh -", "sh"),
        ("ruby -- list.rb", "list.rb"),
        ("pythonic list", "pythonic"),
    ],
)
def test_a_command_has_the_name_of_its_program_or_script(command: str, name: str) -> None:
    assert program_name(command.split()) == name
    assert program_name(["python3", "", *command.split()]) == name


async def test_time_in_which_this_process_did_not_run_is_not_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after SIGSTOP: the clock of the loop is an hour further when it goes on."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.call_later(0.1, lambda: monkeypatch.setattr(loop, "time", lambda: now() + 3600))
    command = [sys.executable, "-I", "-c", "import time; time.sleep(0.3); print('b')"]
    end = await run_command(command, timeout_seconds=30)
    assert (end.code, end.stdout) == (0, b"b\n")
