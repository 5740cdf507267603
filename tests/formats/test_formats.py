"""Fields of the data are added over time, never renamed: each format is compared with a file.

`python -m tests.formats.test_formats` writes the files anew.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.e2e.forked_program import ForkedProcess, start_forked
from tests.formats.service import DISTINCT_UPLOADS, ScriptedService, changing_uploads, initial_uploads, serve

EXPECTED = Path(__file__).parent / "expected"
PROGRAM = "tests.formats.frozen_program"
URL = "https://uploads.example.org"
LAST_CHANGE = '"kind":"gone"'
IDS = [str(upload["id"]) for upload in initial_uploads()[:DISTINCT_UPLOADS]]

COMMANDS: Mapping[str, Sequence[str]] = {
    "list.json": ("list", "-o", "json"),
    "list.jsonl": ("list", "-o", "jsonl"),
    "list.csv": ("list", "-o", "csv"),
    "show.json": ("show", "-o", "json", *IDS),
    "show.csv": ("show", "-o", "csv", *IDS),
    "report.json": ("report", "-o", "json"),
    "report-since.json": ("report", "-o", "json", "--since", "2026-03-14T09:15:00Z"),
    "report.csv": ("report", "-o", "csv"),
    "report.prom": ("report", "--prometheus"),
    "projects.json": ("projects", "-o", "json"),
    "tail.jsonl": ("tail", "-o", "jsonl", "--count", "12"),
    "tail-since.jsonl": ("tail", "-o", "jsonl", "--since", "2026-03-14T09:25:00Z", "--count", "12"),
    "tail.csv": ("tail", "-o", "csv", "--count", "12"),
}

pytestmark = pytest.mark.e2e


def output(folder: Path, *arguments: str) -> str:
    """What a command prints."""
    is_changing = arguments[0] == "tail"
    steps = list(changing_uploads()) if is_changing else [initial_uploads()]
    with serve(ScriptedService(steps, folder / "clock")) as url, running(folder, url, *arguments) as (process, files):
        code = process.wait()
        out, err = (file.read_bytes().decode() for file in files)
    assert code == 0, err
    return out.replace(url, URL)


@contextmanager
def running(folder: Path, url: str, *arguments: str) -> Iterator[tuple[ForkedProcess, Sequence[Path]]]:
    """A command with a frozen clock, and the files that get its output and its errors."""
    files = folder / "out", folder / "err"
    with ExitStack() as stack:
        streams = [stack.enter_context(file.open("wb")).fileno() for file in files]
        null = stack.enter_context(open(os.devnull, "rb")).fileno()  # noqa: PTH123  # no file of a folder
        words = ["upload-tui", *arguments]
        yield start_forked(words, environment(folder, url), [null, *streams], program=PROGRAM), files


def recording(folder: Path) -> str:
    """What `record` writes until the last change."""
    file = folder / "recording.jsonl"
    service = ScriptedService(list(changing_uploads()), folder / "clock")
    with serve(service) as url, running(folder, url, "record", str(file)) as (process, _):
        while LAST_CHANGE not in (file.read_text(encoding="utf-8") if file.exists() else ""):
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        process.wait()
    text = file.read_text(encoding="utf-8").replace(url, URL)
    text = text[: text.index("\n", text.index(LAST_CHANGE)) + 1]
    # A failed request's detail is a text for people, which may change.
    return re.sub(r'("kind":"request",.*"detail":)"[^"]*"', r'\1"..."', text)


def environment(folder: Path, url: str) -> Mapping[str, str]:
    variables = {
        "UPLOAD_TUI_URL": url,
        "UPLOAD_TUI_TOKEN": "t",
        "UPLOAD_TUI_REFRESH": "1",
        "UPLOAD_TUI_REQUESTS_PER_MINUTE": "100000",
    }
    folders = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"), str(folder))
    return {**os.environ, **folders, **variables, "FROZEN_CLOCK": str(folder / "clock"), "TZ": "UTC"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_format_is_unchanged(name: str, tmp_path: Path) -> None:
    assert output(tmp_path, *COMMANDS[name]) == (EXPECTED / name).read_bytes().decode()


def test_the_format_of_recordings_is_unchanged(tmp_path: Path) -> None:
    assert recording(tmp_path) == (EXPECTED / "recording.jsonl").read_bytes().decode()


if __name__ == "__main__":
    for expected, words in COMMANDS.items():
        with TemporaryDirectory() as home:
            (EXPECTED / expected).write_bytes(output(Path(home), *words).encode())
    with TemporaryDirectory() as home:
        schema = output(Path(home), "source", "schema")
        (EXPECTED / "source-schema.json").write_bytes(schema.encode())  # compared in `tests.e2e.test_sources`
        (EXPECTED / "recording.jsonl").write_bytes(recording(Path(home)).encode())
