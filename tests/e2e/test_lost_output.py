"""The exit code is the result of a command, whatever happens to its output: every command, each failure of each stream.

The commands run in this process, against a service in a thread; only a stream that is closed from the start needs a process.
"""

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TextIO

import click
import pytest

from tests.e2e.programs import PROGRAM, Served
from upload_tui.cli.group import run, upload_tui
from upload_tui.cli.support import streams
from upload_tui.testing import UploadServer

pytestmark = pytest.mark.e2e

FAILURES = ("reader-gone", "device-full", "closed")
STREAMS = ("stdout", "stderr", "both")


@dataclass(frozen=True)
class Case:
    """A command line and the exit code that its result has when every stream works.

    `runs_on` marks a command that ends only when it cannot print.
    """

    line: str
    code: int = 0
    prints: bool = True
    runs_on: bool = False

    def is_reported(self, failure: str) -> bool:
        """Whether a failure of standard output is reported beside the result."""
        return self.prints and failure != "reader-gone" and self.code != 130

    def expected(self, failure: str, stream: str) -> int:
        """The oracle: a result other than 0 stays; a broken pipe is no error."""
        is_lost = self.prints and stream != "stderr" and failure != "reader-gone"
        return 74 if self.code == 0 and is_lost else self.code


CASES = (
    Case("--help"),
    Case("--version"),
    Case("nonsense", 2, prints=False),
    Case("list"),
    Case("list -o table"),
    Case("list --fail-on-error", 1),
    Case("list --sort nothing", 2, prints=False),
    Case("list --token-file {wrong_token}", 4, prints=False),
    Case("list --project nowhere", 5, prints=False),
    Case("show {verified}"),
    Case("show nowhere", 5, prints=False),
    Case("show {verified} nowhere", 5),
    Case("projects --project {project} --project nowhere", 5),
    Case("tail {verified} {failed} --since 1d", 1),
    Case("tail --since 1d --count 1"),
    Case("tail --since 1d", runs_on=True),
    Case("wait {verified} --interval 0.05s"),
    Case("wait {verified} {failed} --interval 0.05s", 1),
    Case("wait {verified} nowhere --interval 0.05s", 5),
    Case("wait {pending} --timeout 0.2s --heartbeat 0.05s", 124, prints=False),
    Case("projects"),
    Case("report"),
    Case("report --prometheus"),
    Case("report --fail-on-error", 1),
    Case("report --since last"),
    Case("config path"),
    Case("source schema"),
    Case('source check -- echo {{"type":"end","uploads":0}}'),
    Case("config schema"),
    Case("doctor"),
    Case("doctor --url http://127.0.0.1:9", 3),
    Case("record {missing_folder}/file", 2, prints=False),
    Case("record {folder}/recording --command {folder}/source", 130, prints=False),
    Case("config show"),
    Case("config init"),
    Case("completions bash"),
    Case("serve --port 0", runs_on=True),
    Case("serve --host 192.0.2.1", 2, prints=False),
    Case("metrics --listen 192.0.2.1:0", 2, prints=False),
    Case("watch", 2, prints=False),
    Case("demo", 2, prints=False),
    Case("replay {missing_folder}/file", 2, prints=False),
)


def cells() -> Iterator[tuple[Case, str, str]]:
    """Each case with each failure and with each stream, and each kind of case with each failure of each stream.

    All commands write through one module: what differs is the code, whether the case prints and whether it runs on.
    """
    kinds = Counter((case.code, case.prints, case.runs_on) for case in CASES)
    seen = Counter[tuple[int, bool, bool]]()
    for case in CASES:
        kind = (case.code, case.prints, case.runs_on)
        for (number, failure), (other, stream) in itertools.product(enumerate(FAILURES), enumerate(STREAMS)):
            is_chosen = kinds[kind] < len(STREAMS) or (number + seen[kind]) % len(STREAMS) == other
            if is_chosen and (stream != "stderr" or not case.runs_on):
                yield case, failure, stream
        seen[kind] += 1


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The values to put into the command lines: a service with an upload in each state."""
    folder = tmp_path_factory.mktemp("words")
    (folder / "wrong").write_text("wrong")
    with UploadServer() as server:
        project = {"id": server.project_id}
        served = Served({"url": server.url, "token": server.headers["Authorization"], "project": project})
        verified, failed = served.finish(served.begin()), served.finish(served.begin(), is_corrupt=True)
        yield {
            "url": served.url,
            "token": server.headers["Authorization"],
            "project": server.project_id,
            "verified": verified,
            "failed": failed,
            "pending": served.begin(),
            "wrong_token": str(folder / "wrong"),
            "missing_folder": str(folder / "missing"),
        }


@contextmanager
def broken(failure: str) -> Iterator[TextIO | None]:
    """A stream that cannot be written; None is closed, as Python has it."""
    if failure == "closed":
        yield None
        return
    if failure == "device-full":
        stream = open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123, SIM115  # closed below
    else:
        reader, writer = os.pipe()
        os.close(reader)
        stream = os.fdopen(writer, "w", encoding="utf-8")
    try:
        yield stream
    finally:
        with suppress(OSError):
            stream.close()


def exit_code(arguments: Sequence[str]) -> int:
    """Run a command in this process."""
    with pytest.raises(SystemExit) as ended:
        run(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that interrupts its parent, this process, in its second run: what records until interrupted has recorded."""
    monkeypatch.setenv("UPLOAD_TUI_REFRESH", "0.01")
    file = tmp_path / "source"
    file.write_text(f"#!/bin/sh\nif [ -e {file}.ran ]; then kill -INT $PPID; else touch {file}.ran; fi\n")
    file.chmod(0o700)


@pytest.fixture
def service_environment(words: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOAD_TUI_URL", words["url"])
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", words["token"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize(
    ("case", "failure", "stream"), [pytest.param(*cell, id=f"{cell[0].line} {cell[1]} {cell[2]}") for cell in cells()]
)
@pytest.mark.usefixtures("service_environment")
def test_exit_code_survives_lost_output(
    case: Case, failure: str, stream: str, words: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stream that works gets all that it would get otherwise, and never a traceback."""
    working = (tmp_path / "stream").open("w+", encoding="utf-8")
    with working, broken(failure) as out, broken(failure) as err:
        monkeypatch.setattr(sys, "stdout", working if stream == "stderr" else out)
        monkeypatch.setattr(sys, "stderr", working if stream == "stdout" else err)
        code = exit_code(case.line.format_map({**words, "folder": str(tmp_path)}).split())
        monkeypatch.undo()
        working.seek(0)
        text = working.read()
    assert code == case.expected(failure, stream)
    assert "Traceback" not in text
    assert "Internal error" not in text
    if stream == "stderr":
        assert bool(text) == case.prints
    if stream == "stdout" and (code == 74 or case.is_reported(failure)):
        assert "upload-tui: Standard output cannot be written: " in text


@pytest.mark.usefixtures("service_environment")
@pytest.mark.parametrize("failure", FAILURES)
def test_what_a_report_could_not_print_is_new_in_the_next_one(
    failure: str, words: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["report", "--since", "last", "-o", "json"]
    with broken(failure) as out, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        assert exit_code(line) == (0 if failure == "reader-gone" else 74)
    capfd.readouterr()
    new = []
    for _ in range(2):
        assert exit_code(line) == 0
        (report,) = json.loads(capfd.readouterr().out)
        new.append(len(report["changes"]["new"]))
    assert new == [3, 0]


@pytest.mark.usefixtures("service_environment")
@pytest.mark.parametrize("case", [case for case in CASES if not case.runs_on], ids=lambda case: case.line)
def test_exit_code_of_a_command_whose_output_arrives(
    case: Case, words: Mapping[str, str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert exit_code(case.line.format_map({**words, "folder": str(tmp_path)}).split()) == case.code
    assert bool(capfd.readouterr().out) == case.prints


def test_every_command_has_a_case() -> None:
    assert {case.line.split()[0] for case in CASES} >= set(upload_tui.list_commands(click.Context(upload_tui)))


@pytest.mark.parametrize(
    ("redirection", "code"),
    [(">&-", 74), ("2>&-", 0), (">&- 2>&-", 74), ("<&-", 0), ("<&- >&- 2>&-", 74)],
    ids=["stdout", "stderr", "both", "stdin", "all"],
)
def test_closed_streams_of_a_process(
    redirection: str, code: int, words: Mapping[str, str], service_environment: None
) -> None:
    """The first files and sockets of the program do not take the numbers of closed streams, and get none of its output."""
    script = f"exec {PROGRAM} projects {redirection}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("Demo project" in done.stdout) == (code == 0)


def test_errors_that_cannot_be_written_keep_their_code() -> None:
    done = subprocess.run(
        ["bash", "-c", f"exec {PROGRAM} list --url http://127.0.0.1:9 2>/dev/full"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, b"")


def test_wait_outlives_the_reader_of_its_heartbeat(words: Mapping[str, str], service_environment: None) -> None:
    script = f"{PROGRAM} wait {words['pending']} --timeout 1s --heartbeat 0.1s 2> >(head -n1)"
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=False).returncode == 124


@contextmanager
def stalled(kind: str) -> Iterator[TextIO]:
    """A stream that is open and full, and that is not read."""
    if kind == "socket":
        reader, writer = (end.detach() for end in socket.socketpair())
    else:
        reader, writer = os.pipe() if kind == "pipe" else os.openpty()
    os.set_blocking(writer, False)
    while select.select([], [writer], [], 0.02)[1]:  # the kernel makes space in a terminal later
        with suppress(BlockingIOError):
            os.write(writer, b"x" * 1000)
    os.set_blocking(writer, True)
    with os.fdopen(reader, "rb", buffering=0), os.fdopen(writer, "w", encoding="utf-8", closefd=False) as stream:
        yield stream
        os.close(writer)


def end_when_writing(thread: int) -> None:
    """Send SIGTERM as soon as a thread waits in a write of a guarded stream."""
    seen = 0
    while seen < 5:
        frame = sys._current_frames().get(thread)  # the documented way to another thread's stack
        while frame is not None and (frame.f_code.co_filename, frame.f_code.co_name) != (streams.__file__, "write"):
            frame = frame.f_back
        seen = seen + 1 if frame is not None else 0
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.usefixtures("service_environment")
@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("pipe", "list"),
        ("pipe", "serve --port 0"),
        ("pipe", "wait {verified}"),
        *((kind, "tail --since 1d") for kind in ("pipe", "terminal", "socket")),
    ],
)
def test_a_signal_ends_a_command_whose_output_is_not_read(
    kind: str, line: str, words: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stalled(kind) as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        patch.setattr(os, "_exit", sys.exit)  # `serve` does not wait for threads
        Thread(target=end_when_writing, args=(threading.get_ident(),), daemon=True).start()
        assert exit_code(line.format_map(words).split()) == 128 + signal.SIGTERM


@pytest.mark.usefixtures("service_environment")
@pytest.mark.parametrize("broken_streams", [("stderr",), ("stdout", "stderr")], ids="-".join)
def test_wait_keeps_its_timeout_when_its_output_is_not_read(
    broken_streams: Sequence[str], words: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"wait {words['verified']} {words['pending']} --interval 0.05s --timeout 0.3s --heartbeat 0.1s"
    with stalled("pipe") as stream, monkeypatch.context() as patch:
        for name in broken_streams:
            patch.setattr(sys, name, stream)
        assert exit_code(line.split()) == 124
