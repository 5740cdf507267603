"""Running the command of a source: what it gets, what is read of it, how it ends, and that nothing of it stays."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from unittest.mock import ANY

import psutil
import pytest
from tests.unit.sources.scripted_source import SourceHarness

from upload_tui.errors import ServiceError, SourceAuthError, SourceConfigError, SourceError
from upload_tui.sources import (
    MAX_LINE_BYTES,
    CommandSource,
    ErrorKind,
    ErrorLine,
    LineBatch,
    Listing,
    inspect_source,
    listing_error,
    source_environment,
)

pytestmark = pytest.mark.slow

TOO_LONG = f"print('x' * {MAX_LINE_BYTES + 1})"


class Lines:
    """Keeps the lines that a source prints."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bytes | None]] = []

    async def __call__(self, batch: LineBatch) -> None:
        self.lines += enumerate(batch.lines, batch.first_number)

    @property
    def texts(self) -> Sequence[bytes | None]:
        return [line for _, line in self.lines]


def python(script: str, **options: float) -> CommandSource:
    return CommandSource([sys.executable, "-I", "-c", script], **{"timeout_seconds": 30.0, **options})  # type: ignore[arg-type]


def has_not_failed(listing: Listing) -> bool:
    return not listing.failure


async def read(source: CommandSource) -> tuple[Listing, Sequence[bytes | None]]:
    lines = Lines()
    return await source.read(lines, has_not_failed), lines.texts


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def wait_until_gone(pid: int) -> None:
    while is_running(pid):
        await asyncio.sleep(0.01)


async def test_arguments_reach_the_program_without_a_shell() -> None:
    listing, lines = await read(
        CommandSource(
            [sys.executable, "-I", "-c", "import sys; print(sys.argv[1:])", "$HOME; ls", "*"], timeout_seconds=30.0
        )
    )
    assert (listing.failure, lines) == ("", [b"['$HOME; ls', '*']"])


async def test_the_command_gets_no_input_and_no_variables_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", "secret")
    monkeypatch.setenv("AWS_PROFILE", "theirs")
    script = "import json, os, sys; print(json.dumps([dict(os.environ), sys.stdin.read()]))"
    _, lines = await read(python(script))
    environment, given = json.loads(lines[0] or b"")
    assert given == ""
    ours = {name: value for name, value in environment.items() if name.startswith("UPLOAD_TUI")}
    assert ours == {"UPLOAD_TUI_SOURCE_VERSION": "1", "UPLOAD_TUI_SOURCE_RUN": ANY}
    assert environment["AWS_PROFILE"] == "theirs"
    assert source_environment({}) == {"UPLOAD_TUI_SOURCE_VERSION": "1"}


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("print('a'); print('b')", [(1, b"a"), (2, b"b")]),
        ("print('a', end='')", [(1, b"a")]),
        ("print('\\ufeffa\\r')", [(1, b"a\r")]),
        ("print('a'); print(); print('b')", [(1, b"a"), (2, b""), (3, b"b")]),
        (f"{TOO_LONG}; print('b'); {TOO_LONG}", [(1, None), (2, b"b"), (3, None)]),
        (f"print('x' * {MAX_LINE_BYTES})", [(1, b"x" * MAX_LINE_BYTES)]),
        (f"print('x' * {3 * MAX_LINE_BYTES}, end='')", [(1, None)]),
        ("pass", []),
    ],
    ids=["two", "no end", "byte order mark", "empty line", "long lines", "longest line", "long without end", "nothing"],
)
async def test_output_is_split_into_numbered_lines(script: str, lines: list[tuple[int, bytes | None]]) -> None:
    found = Lines()
    listing = await python(f"import sys; sys.stdout.reconfigure(encoding='utf-8'); {script}").read(
        found, has_not_failed
    )
    assert (listing.failure, found.lines) == ("", lines)


async def test_a_failed_command_says_how_it_ended_and_keeps_the_end_of_its_standard_error() -> None:
    listing, lines = await read(
        python("import sys; print('a'); sys.stderr.write('x' * 100_000 + 'last words\\n'); sys.exit(3)")
    )
    assert (listing.failure, lines) == ("exit code 3", [b"a"])
    assert listing.stderr.endswith("last words\n")
    assert len(listing.stderr) == 64 << 10
    killed, _ = await read(python("import os; os.kill(os.getpid(), 9)"))
    assert killed.failure == "ended by signal 9"


async def test_a_command_that_cannot_be_run_is_misconfigured() -> None:
    for command in (["/no/such/program"], ["/"], ["a\0b"]):
        listing, _ = await read(CommandSource(command, timeout_seconds=30.0))
        assert (listing.is_misconfigured, "cannot be run" in listing.failure) == (True, True)


async def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started() -> None:
    script = """
import subprocess, sys, time
wait = [sys.executable, "-c", "import time; time.sleep(600)"]
print(*(subprocess.Popen(wait, start_new_session=has_left).pid for has_left in (False, sys.platform == "linux")), flush=True)
time.sleep(600)
"""
    listing, lines = await read(python(script, timeout_seconds=1.0))
    assert listing.failure == "ended after 1s without finishing"
    for pid in (lines[0] or b"").split():
        await wait_until_gone(int(pid))


async def test_a_command_that_prints_without_end_is_ended() -> None:
    async def discard(batch: LineBatch) -> None:
        pass

    listing = await python("while True: print('x' * 9999)", longest_seconds=0.3).read(discard, has_not_failed)
    assert listing.failure == "ended after 0.3s without finishing"


async def test_a_command_that_ignores_the_request_to_end_is_killed() -> None:
    script = "import signal, os, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(600)"
    listing, lines = await read(python(script, timeout_seconds=0.5, terminate_seconds=0.1))
    assert listing.failure.startswith("ended after")
    await wait_until_gone(int(lines[0] or b""))


async def test_a_cancelled_run_leaves_no_process() -> None:
    started = asyncio.Event()
    lines = Lines()

    async def receive(batch: LineBatch) -> None:
        await lines(batch)
        started.set()

    running = asyncio.create_task(
        python("import os, time; print(os.getpid(), flush=True); time.sleep(600)").read(receive, has_not_failed)
    )
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_until_gone(int(lines.texts[0] or b""))


async def test_a_process_left_behind_that_keeps_the_output_open_is_ended() -> None:
    script = "import os, time; child = os.fork(); print(child or os.getpid(), flush=True) if child else time.sleep(600)"
    listing, lines = await read(python(script))
    assert listing.failure == "a process that it left running kept its output open"
    await wait_until_gone(int(lines[0] or b""))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of processes")
async def test_a_process_that_left_the_group_neither_stays_nor_holds_up_the_listing() -> None:
    script = """
import os, sys
reader, writer = os.pipe()
if os.fork():
    os.read(reader, 1)
    sys.exit()
os.setsid()  # as a daemon does
if not os.fork():
    print(os.getpid(), flush=True)
    os.write(writer, b"x")
    os.execlp("sleep", "sleep", "600")
"""
    listing, lines = await read(python(script))
    assert listing.failure == "a process that it left running kept its output open"
    await wait_until_gone(int(lines[0] or b""))


async def test_runs_never_overlap() -> None:
    running, most = 0, 0

    async def receive(batch: LineBatch) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    source = python("print('a')")
    await asyncio.gather(*(source.read(receive, has_not_failed) for _ in range(3)))
    assert most == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of processes")
@pytest.mark.parametrize(
    ("more", "stays"),
    [
        ('{"type": "end", "uploads": 1}', True),
        ("", True),
        ('{"type": "end", "uploads": 2}', False),
        ("garbage", False),
        ('{"type": "error", "kind": "transient"}', False),
        ('{"id": "1", "name": "x"}', False),
    ],
)
@pytest.mark.parametrize("is_checked", [True, False])
async def test_only_a_whole_listing_leaves_a_process(tmp_path: Path, more: str, stays: bool, is_checked: bool) -> None:
    """Such as the shared connection of ssh."""
    script = f"""
import pathlib, subprocess
null = subprocess.DEVNULL
left = subprocess.Popen(["sleep", "600"], stdout=null, stderr=null, start_new_session=True)
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(left.pid))
print('{{"id": "1", "name": "x"}}')
print({more!r})
"""
    if is_checked:
        await inspect_source(python(script))
    else:
        harness = SourceHarness()
        harness.source = python(script)  # type: ignore[assignment]
        with suppress(ServiceError):
            await harness.new_session().sync()
    left = psutil.Process(int((tmp_path / "pid").read_text())) if stays else None
    if left is None:
        await wait_until_gone(int((tmp_path / "pid").read_text()))
    else:
        assert left.cmdline() == ["sleep", "600"]
        left.kill()


async def test_time_in_which_this_process_did_not_run_is_not_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after SIGSTOP: the clock of the loop is an hour further when it goes on."""
    loop, lines = asyncio.get_running_loop(), Lines()
    now = loop.time

    async def receive(batch: LineBatch) -> None:
        await lines(batch)
        loop.call_later(0.05, lambda: monkeypatch.setattr(loop, "time", lambda: now() + 3600))

    script = "import time; print('a', flush=True); time.sleep(0.3); print('b')"
    listing = await python(script).read(receive, has_not_failed)
    assert (listing.failure, lines.texts) == ("", [b"a", b"b"])


async def test_the_time_that_recording_takes_is_not_the_commands() -> None:
    async def receive(batch: LineBatch) -> None:
        await asyncio.sleep(0.8)

    listing = await python("print('a')", timeout_seconds=0.7).read(receive, has_not_failed)
    assert listing.failure == ""


@pytest.mark.parametrize(
    ("listing", "line", "problem", "error", "title"),
    [
        (Listing(), None, "", None, ""),
        (Listing(stderr="a warning\n"), None, "", None, ""),
        (Listing(failure="exit code 3", stderr="one\n\x1b[2Jtwo\n"), None, "", SourceError, "partial: exit code 3: ␛[2Jtwo"),
        (Listing(), None, "2 of 3 uploads were listed", SourceError, "partial: 2 of 3 uploads were listed"),
        (Listing(failure="x cannot be run: y", is_misconfigured=True), None, "", SourceConfigError, "x cannot be run: y"),
        (Listing(), ErrorLine(ErrorKind.AUTH, "expired"), "", SourceAuthError, "the source is not allowed to list: expired"),
        (Listing(), ErrorLine(ErrorKind.CONFIG, ""), "", SourceConfigError, "the source is not configured"),
        (Listing(failure="exit code 1", stderr="why\n"), ErrorLine(ErrorKind.TRANSIENT, ""), "", SourceError,
         "partial: why"),
    ],
)  # fmt: skip
def test_the_error_of_a_listing_that_is_not_whole(
    listing: Listing, line: ErrorLine | None, problem: str, error: type[SourceError] | None, title: str
) -> None:
    found = listing_error(listing, line, problem)
    assert (type(found), found.title if found else "") == (error or type(None), title)
    if found:
        assert (
            found.title
            == f"{'partial: ' * found.is_partial}{': '.join(filter(None, (found.cause.words, found.cause.details)))}"
        )
