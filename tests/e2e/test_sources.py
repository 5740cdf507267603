"""Sources on the command line: every command works on them, and the README's recipes run as they stand."""

import hashlib
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import jsonschema_rs
import pytest

import upload_tui.sources
from tests.e2e.in_process import run_here
from tests.e2e.programs import Result, run, started
from tests.e2e.terminal import Terminal
from upload_tui.monitor.store.rows import StoredUpload
from upload_tui.monitor.sync import ingest
from upload_tui.sources import Inspection, Listing, line_schema
from upload_tui.wire import Upload

pytestmark = pytest.mark.e2e

FORMATS = Path(__file__).parents[1] / "formats" / "expected"
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
UPLOADS: Sequence[Mapping[str, Any]] = [
    {"id": "a", "name": "a.h5", "project": "P", "initiated_on": "2026-03-14T08:00:00Z", "verified_on": "2026-03-14T09:00:00Z"},
    {"id": "b", "name": "b.h5", "project": "P", "stage": "error", "error_message": "virus found", "size": 5},
    {"id": "c", "name": "c.h5", "project": "Q", "received_bytes": 7, "place": "rack 4"},
]  # fmt: skip

PRINTER = """
cat "$1"; printf %s "$3" >&2; exit "$2"
"""

Source = Callable[..., str]
Here = Callable[..., Result]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Makes a command that prints lines, ends with an exit code, and writes to standard error."""

    def write(*lines: object, code: int = 0, error: str = "") -> str:
        text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        (tmp_path / "lines").write_text(text, encoding="utf-8")
        arguments = [str(tmp_path / "lines"), str(code), error]
        return shlex.join(["sh", "-c", PRINTER, "sh", *arguments])

    return write


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Here:
    return lambda *arguments: run_here(capfd, *arguments)


def test_list_prints_what_the_source_said_and_null_for_the_rest(here: Here, source: Source) -> None:
    listed = here("list", "--command", source(*UPLOADS))
    records = {record["id"]: record for record in listed.records}
    assert (listed.code, set(records)) == (0, {"a", "b", "c"})
    assert [records[one]["size_bytes"] for one in "abc"] == [None, 5, None]
    assert records["c"]["chunks"] == {"count": None, "size_bytes": 7}
    assert records["c"]["service"].startswith("source:")
    again = here("list", "--command", source(*listed.records)).records
    same = ("id", "name", "size_bytes", "project", "stage", "timeline", "chunks", "error_message")
    assert {record["id"]: [record[key] for key in same] for record in again} == {
        one: [record[key] for key in same] for one, record in records.items()
    }


@pytest.mark.parametrize(
    "fields", [{"stage": "completed", "on": "2999-01-01T00:00:00Z"}, {"initiated_on": "2999-01-01T00:00:00Z"}]
)
def test_the_age_of_a_time_in_the_future_is_unknown(here: Here, source: Source, fields: Mapping[str, Any]) -> None:
    listed = here("list", "-o", "table", "--command", source({"id": "a", "name": "a", **fields})).out
    row = listed.splitlines()[1]
    assert re.search(r"2999-01-01 \d\d:\d\d:\d\d +\? ", row), row
    assert "time in future" in row


@pytest.mark.parametrize(("arguments", "read"), [(["--limit", "1"], 1), ([], 3), (["--since", "2000-01-01"], 3)])
def test_list_reads_each_upload_that_it_prints_once(
    here: Here, source: Source, monkeypatch: pytest.MonkeyPatch, arguments: list[str], read: int
) -> None:
    found, parse = list[str](), ingest.parse_stored_entry

    def parse_stored_entry(entry: Any, stored: StoredUpload) -> Upload | None:
        found.append(stored.id)
        return parse(entry, stored)

    monkeypatch.setattr(ingest, "parse_stored_entry", parse_stored_entry)
    listed = here("list", *arguments, "--command", source(*UPLOADS))
    assert (listed.code, len(found)) == (0, read)


@pytest.mark.parametrize("stage", ["stage", "initiated_on", "completed_on", "verified_on", "error_on", "quarantined"])
def test_an_upload_without_its_start_counts_from_its_first_known_time(here: Here, source: Source, stage: str) -> None:
    """In the order of uploads, and for both forms of `since`, which also leave out the same ones."""
    on = {"z-old": 48, "m-mid": 3, "a-new": 0}
    times = {
        one: f"{datetime.now(UTC) - timedelta(hours=hours, minutes=2):%Y-%m-%dT%H:%M:%SZ}" for one, hours in on.items()
    }
    given = {"stage": {"stage": "verified"}, "quarantined": {"stage": stage}}.get(stage, {})
    key = stage if stage.endswith("_on") else "on"
    lines = [{"id": one, "name": one, **given, key: times[one]} for one in ("a-new", "z-old", "m-mid")]
    command = (
        "--command",
        source(*lines, {"id": "undated", "name": "u", "stage": "paused"}, {"type": "end", "uploads": 4}),
    )

    def listed(*options: str) -> list[str]:
        return [record["id"] for record in here("list", *options, *command).records]

    assert listed() == ["undated", "a-new", "m-mid", "z-old"]  # the first was seen last
    assert listed("--reverse") == ["z-old", "m-mid", "a-new", "undated"]
    for text, count in (("1m", 0), ("1h", 1), ("1d", 2), ("9d", 3)):
        since = ["undated", *[*reversed(on)][:count]]
        assert listed("--since", text) == listed("--where", f"since:{text}") == since
        assert listed("--where", f"until:{text}") == [*reversed(on)][count:]
    assert "left out" not in here("list", "--since", "1h", *command).err


@pytest.mark.parametrize(
    ("query", "found"),
    [("", ["b"]), ("is:gone", ["a"]), ("is:gone OR b", ["a", "b"]), ("-is:gone", ["b"]), ("is:gone name:b", [])],
)
def test_gone_uploads_are_listed_if_the_query_asks_for_them(
    here: Here, tmp_path: Path, query: str, found: list[str]
) -> None:
    lines = [json.dumps({"id": one, "name": one, "stage": "error"}) + "\n" for one in "ab"]
    file = tmp_path / "lines"
    for text in ("".join(lines), lines[1]):
        file.write_text(text)
        options = ("--command", f"cat {file}", "--where", query)
        listed = here("list", *options, "--sort", "name", "--fail-on-error")
    assert [record["id"] for record in listed.records] == found
    assert listed.code == int("b" in found)
    (report,) = here("report", *options).records
    assert report["total"] == len(found)


def test_only_the_named_projects_are_listed(here: Here, source: Source) -> None:
    assert [record["id"] for record in here("list", "--command", source(*UPLOADS), "--project", "Q").records] == ["c"]
    assert [record["id"] for record in here("projects", "--command", source(*UPLOADS)).records] == ["P", "Q"]


PROJECTS = ["seven", 7.5, {"id": 7, "name": "seven"}, {"id": "7", "name": "seven"}, {"id": 7}, {"name": "seven"}, None]


@pytest.mark.parametrize("project", PROJECTS, ids=str)
def test_a_project_is_found_by_each_id_and_name_that_is_listed(here: Here, source: Source, project: object) -> None:
    command = ("--command", source({"id": "a", "name": "a", "stage": "verified", "project": project}))
    (record,) = here("list", *command).records
    for name in filter(None, {record["project"]["id"], record["project"]["name"]}):
        waited = here("wait", "--where", "a", *command, "--project", name)
        assert (waited.code, [one["id"] for one in waited.records]) == (0, ["a"])


def test_an_upload_that_is_in_another_project_now_is_not_gone(here: Here, source: Source) -> None:
    uploads = [{"id": one, "name": one, "project": "P", "stage": "verified"} for one in "ab"]
    here("list", "--command", source(*uploads), "--project", "P")
    words = ("--command", source({**uploads[0], "project": "Q"}, uploads[1]), "--project", "P")
    assert [record["id"] for record in here("list", *words).records] == ["b"]
    assert here("list", *words, "--where", "is:gone").records == []
    waited = here("wait", "a", *words)
    assert (waited.code, waited.records[0]["project"]["id"]) == (0, "Q")
    assert "'a' is in project 'Q', not in P." in waited.err
    assert here("tail", "a", *words).code == 0
    assert "the source does not list it in P" in here("show", "z", *words).err


@pytest.mark.parametrize("project", ["P", {"id": "p1", "name": "P"}], ids=str)
@pytest.mark.parametrize("others", [[], ["Q"], ["Q", "nowhere"]], ids=str)
def test_a_project_that_has_vanished_is_reported_once(
    here: Here, source: Source, project: object, others: list[str]
) -> None:
    words = [word for name in ("P", *others) for word in ("--project", name)]
    uploads = [{"id": "a", "name": "a", "project": project}, {"id": "b", "name": "b", "project": "Q"}]
    end = {"type": "end", "uploads": 1}
    here("list", *words, "--command", source(*uploads))
    report = here("report", *words, "--command", source(uploads[1], end))
    projects = [(one["name"] or one["id"], one["error"] is None) for one in report.records[0]["projects"]]
    assert (report.code, projects) == (5, [("P", False), *((name, name == "Q") for name in others)])
    table = here("report", *words, "-o", "table", "--command", source(uploads[1], end)).out
    assert f"of {', '.join(('P', *others))}, as of" in table


@pytest.mark.parametrize("line", ["list --fail-on-error", "report", "wait", "wait --where b", "projects", "show a"])
def test_a_project_that_no_upload_has_is_named(here: Here, source: Source, line: str) -> None:
    """A listing that is not whole cannot show that a project does not exist."""
    uploads = [{"id": one, "name": one, "project": "p1", "stage": "error"} for one in "ab"]
    command = ("--command", source(*uploads), "--project", "P1")
    found = here(*line.split(), *command)
    assert (found.code, found.out) == (5, "")
    assert "No project with the id or name P1 is in the listing of " in found.err
    assert "Did you mean p1?" in found.err
    both = here(*line.split(), *command, "--project", "p1")
    assert both.code == (1 if "--fail" in line or "--where" in line else 5)
    assert "P1: not read: No project" in both.err
    partial = here(*line.split(), "--command", source(*uploads, "{broken"), "--project", "P1")
    assert (partial.code, "No project" in partial.err) == (3, False)


def test_show_has_the_line_as_it_was_printed(here: Here, source: Source) -> None:
    (record,) = here("show", "c", "--command", source(*UPLOADS)).records
    assert record["raw"] == UPLOADS[2]
    missing = here("show", "zz", "--command", source(*UPLOADS))
    assert (missing.code, missing.err) == (5, "upload-tui: 'zz': the source does not list it.\n")
    table = here("show", "c", "-o", "table", "--command", source(*UPLOADS)).out
    assert "size        unknown\n" in table


@pytest.mark.parametrize(("on", "time"), [("2026-03-14T08:00:00Z", "2026-03-14 08:00:00"), (None, "before 20")])
def test_show_has_the_time_of_a_state_of_its_own(here: Here, source: Source, on: str | None, time: str) -> None:
    line = {"id": "a", "name": "a", "stage": "held", "on": on}
    shown = here("show", "a", "-o", "table", "--command", source(line)).out
    assert f"\nheld        {time}" in shown
    over = {**line, "id": "b", "stage": "completed", "ended": True}
    ended = here("show", "b", "-o", "table", "--command", source(over)).out
    assert f"\ncompleted   {time}" in ended
    assert "\nended" not in ended


@pytest.mark.parametrize(
    ("ids", "code"),
    [(["a"], 0), (["b"], 1), (["zz"], 5), (["c", "--timeout", "0.1s"], 124), (["c", "--for", "initiated"], 0)],
    ids=["verified", "error", "not listed", "pending", "initiated"],
)
def test_wait_ends_with_the_code_of_the_outcome(here: Here, source: Source, ids: list[str], code: int) -> None:
    assert here("wait", *ids, "--command", source(*UPLOADS)).code == code


@pytest.mark.parametrize("projects", ["['P']", "[]"], ids=["a project", "all"])
@pytest.mark.parametrize("line", ["wait a b", "wait --project P", "wait --where name:x", "wait", "tail a b"])
def test_an_upload_that_vanishes_while_it_is_waited_for_is_no_longer_listed(
    here: Here, home: Path, tmp_path: Path, line: str, projects: str
) -> None:
    runs = tmp_path / "runs"
    script = f"""echo >> {shlex.quote(str(runs))}; stage=completed
if [ $(wc -l < {shlex.quote(str(runs))}) -gt 1 ]; then stage=verified; fi
for one in a b; do if [ $one$stage != averified ]; then
printf '{{"id": "%s", "name": "x", "project": "P", "stage": "%s"}}\\n' $one $stage; fi; done"""
    file = Path(here("config", "path").out.strip())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f"[profiles.a]\nrefresh = 0.05\nprojects = {projects}\ncommand = {json.dumps(['sh', '-c', script])}\n"
    )
    ended = here(*line.split(), "--profile", "a")
    assert (ended.code, ended.err) == (5, "upload-tui: 'a' is no longer listed.\n"), ended


@pytest.mark.parametrize(
    "line", ["wait v", "wait --where v", "tail v", "list --fail-on-error", "report --fail-on-error"]
)
def test_an_error_message_without_the_stage_is_no_failure(here: Here, source: Source, line: str) -> None:
    command = source({"id": "v", "name": "v", "stage": "verified", "error_message": "0 errors"})
    assert here(*line.split(), "--command", command).code == 0


@pytest.mark.parametrize("other", [{"stage": "completed"}, {"name": 7}], ids=str)
@pytest.mark.parametrize("is_first", [True, False])
def test_an_upload_whose_lines_contradict_each_other_is_not_believed(
    here: Here, source: Source, other: Mapping[str, object], *, is_first: bool
) -> None:
    lines = [{"id": "w", "name": "w", "stage": "verified"}, {"id": "w", "name": "w", **other}]
    waited = here("wait", "w", "--interval", "0.01s", "--command", source(*(lines if is_first else lines[::-1])))
    assert (waited.code, waited.out) == (3, "")
    assert "'w' cannot be read: partial: 1 line has an id that was listed before, such as w." in waited.err


@pytest.mark.parametrize("stage", ["initiated", "completed", "quarantined"])
@pytest.mark.parametrize(
    ("line", "message"), [("wait d", "'d' has ended without being"), ("tail d", "d had already ended:")]
)
def test_an_upload_that_ended_without_success_is_not_waited_for(
    here: Here, source: Source, stage: str, line: str, message: str
) -> None:
    command = source({"id": "d", "name": "d", "stage": stage, "on": "2026-03-14T08:00:00Z", "ended": True})
    ended = here(*line.split(), "--command", command)
    assert (ended.code, stage in ended.out + ended.err, message in ended.err) == (1, True, True)
    (record,) = here("list", "--command", command).records
    state = stage if stage == "quarantined" else "ended"
    assert (record["stage"], record["stage_since"], record["ended"]) == (state, "2026-03-14T08:00:00.000Z", True)
    for words in (["--where", "stage:unknown"], ["--where", f'"{state}"']):
        assert [one["id"] for one in here("list", "--command", command, *words).records] == ["d"]
    assert here("list", "--command", command, "--where", "stage:initiated OR stage:completed").records == []
    (report,) = here("report", "--command", command).records
    assert (report["unknown_states"], sum(report["stages"].values())) == ({state: 1}, 0)
    for kind in ("show d", "list"):
        assert state in here(*kind.split(), "-o", "table", "--command", command).out
    assert here("list", "--command", source(record)).records == [{**record, "as_of": ANY, "service": ANY}]


@pytest.mark.parametrize(
    ("fields", "received"),
    [
        ({"received_bytes": 500}, "received    500 B (500 bytes)"),
        ({"received_bytes": 0}, "received    0 B (0 bytes)"),
        ({"chunks": {"count": 3}}, "received    3 chunks"),
        ({"chunks": {"size_bytes": 3}}, "received    3 B (3 bytes)"),
        ({"chunks": {"count": 1, "size_bytes": 3}}, "received    3 B (3 bytes) in 1 chunk"),
        ({"chunks": [{"number": 1, "size": 5}]}, "chunk 1     5 B"),
        ({}, ""),
    ],
    ids=str,
)
def test_show_has_what_is_known_of_the_chunks(
    here: Here, source: Source, fields: dict[str, Any], received: str
) -> None:
    shown = here("show", "a", "-o", "table", "--command", source({"id": "a", "name": "a", "size": 1000, **fields}))
    assert [line for line in shown.out.splitlines() if line.startswith(("received", "chunk"))] == (
        [received] if received else []
    )


def test_report_counts_the_uploads_of_a_source(here: Here, source: Source) -> None:
    (record,) = here("report", "--command", source(*UPLOADS)).records
    assert (record["total"], record["stages"]["verified"], record["causes"][0]["cause"]) == (3, 1, "virus found")


def test_a_report_since_a_time_counts_what_was_first_observed_since_then(here: Here, source: Source) -> None:
    """As one since the last report does, if the source reports no times."""
    stages = ("initiated", "completed", "verified", "error")
    changes = [(before, after) for before in (None, *stages) for after in stages]
    changes += [(None, "quarantined"), ("copying 1 of 2", "copying 2 of 2"), ("held", "held")]
    pairs = {f"{before}-{after}": (before, after) for before, after in changes}

    def command(index: int) -> Sequence[str]:
        lines = [{"id": one, "name": one, "stage": pair[index]} for one, pair in pairs.items() if pair[index]]
        return ("--command", source(*lines, {"type": "end", "uploads": len(lines)}))

    def counted(since: str, index: int) -> Mapping[str, Any]:
        (record,) = here("report", "--since", since, "-o", "jsonl", *command(index)).records
        return {key: sorted(record["changes"][key]) for key in ("new", "verified", "failed")}

    assert counted("last", 0)["new"]
    between = datetime.now(UTC).isoformat()
    since_last = counted("last", 1)
    assert [len(ids) for ids in since_last.values()] == [5, 4, 4]
    assert counted(between, 1) == since_last
    assert counted(datetime.now(UTC).isoformat(), 1) == {"new": [], "verified": [], "failed": []}


FAILURES: Mapping[str, tuple[str, int, str]] = {
    "fails": ("echo no network >&2; exit 3", 3, "partial: exit code 3: no network"),
    "is cut": ('upload a; echo \'{"type": "end", "uploads": 2}\'', 3, "partial: 1 of 2 uploads were listed"),
    "is unreadable": ("upload a; echo '{broken'", 3, "partial: line 2 cannot be read (not JSON)"),
    "prints nothing": (":", 3, "partial: nothing was listed, and there is no end line"),
    "hangs": ("exec sleep 600", 3, "partial: ended after 0.2s without finishing"),
    "hangs in the middle": ("upload a; sleep 600", 3, "partial: ended after 0.2s without finishing"),
    "is not allowed": ("problem auth expired", 4, "the source is not allowed to list: expired"),
    "is not configured": ("problem config gone", 2, "the source is not configured: gone"),
    "has a problem": ("problem transient busy", 3, "partial: busy"),
    "cannot be run": ("", 2, "cannot be run: No such file or directory"),
}
"""A script, the documented code, and what is printed. The functions are those of `failing`."""
CHECKED = {
    "partial: line 2 cannot be read (not JSON)": "line 2: not JSON",
}
"""What `doctor` and `source check` print in place of it."""
ENDING = (
    "list",
    "report",
    "report --prometheus",
    "projects",
    "show a",
    "show z",
    "doctor",
    "source check --timeout {timeout} --",
)
FOLLOWING = ("tail --count 9", "record {recording}")
WAITING = ("wait a", "wait z", "wait", "wait --project P")


def listing_timeout(script: str) -> str:
    """Short, in seconds, only for a script that never ends: any other has the time that it needs on a busy computer."""
    return "0.2" if "sleep" in script else "600"


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a command of a script. Its second run interrupts its parent, this process: a command that goes on is ended."""
    monkeypatch.setenv("UPLOAD_TUI_REFRESH", "0.05")
    functions = """
upload() { printf '{"id": "%s", "name": "x", "project": "P", "stage": "%s"}\\n' "$1" "${2:-completed}"; }
problem() { printf '{"type": "error", "kind": "%s", "message": "%s"}\\n' "$1" "$2"; }
if [ -n "$2" ]; then if [ -e "$2" ]; then kill -INT $PPID; else touch "$2"; fi; fi
"""

    def write(script: str, *arguments: str) -> str:
        if not script:
            return "/no/such/program"
        monkeypatch.setenv("UPLOAD_TUI_TIMEOUT", listing_timeout(script))
        (tmp_path / "script").write_text(f"{functions}{script}\n")
        return shlex.join(["sh", str(tmp_path / "script"), "", *arguments])

    return write


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("line", ENDING)
def test_a_source_that_fails_is_named_with_a_documented_code(
    here: Here, failing: Callable[[str], str], line: str, failure: str
) -> None:
    script, code, problem = FAILURES[failure]
    command = failing(script)
    is_check = line.startswith("source check")
    words = line.format(timeout=listing_timeout(script)).split()
    ended = here(*words, *(shlex.split(command) if is_check else ["--command", command]))
    is_warning = line == "doctor" and failure == "is unreadable"
    assert ended.code == (0 if is_warning else code), ended
    assert CHECKED.get(problem, problem).removeprefix("partial: ") in ended.out + ended.err or problem in ended.err
    assert "does not list it" not in ended.err


@pytest.mark.parametrize("end", [";", "+"])
@pytest.mark.parametrize("option", ["-exec", "-ok"])
def test_the_end_of_a_command_of_find_is_no_word_for_a_shell(here: Here, option: str, end: str) -> None:
    assert "shell" not in here("list", "--command", f"false . {option} cat {{}} '{end}'").err


@pytest.mark.parametrize("command", ["false {} head", "no-such-program {} head"])
@pytest.mark.parametrize("word", ["|", "&&", ";", ">"])
def test_a_command_for_a_shell_that_fails_has_a_hint(here: Here, command: str, word: str) -> None:
    assert f"There is no shell: {word} is an argument." in here("list", "--command", command.format(word)).err
    assert "shell" not in here("list", "--command", command.format("a" + word)).err


@pytest.mark.parametrize("failure", ["fails", "is unreadable", "is not allowed", "is not configured", "cannot be run"])
@pytest.mark.parametrize("line", FOLLOWING)
def test_a_command_that_follows_a_source_rides_out_what_may_pass(
    here: Here, failing: Callable[[str, str], str], tmp_path: Path, line: str, failure: str
) -> None:
    script, code, problem = FAILURES[failure]
    recording = tmp_path / "recording"
    command = failing(script, str(tmp_path / "has_run"))
    ended = here(*line.format(recording=recording).split(), "--command", command)
    assert ended.code == (130 if code == 3 else code)
    assert problem in ended.err or (line.startswith("record") and code == 3), ended
    assert recording.exists() == (line.startswith("record") and code == 3)


@pytest.mark.parametrize("failure", ["is not allowed", "is not configured"])
@pytest.mark.parametrize("line", FOLLOWING)
def test_a_command_that_follows_a_source_ends_on_a_later_refusal(
    here: Here, failing: Callable[[str], str], tmp_path: Path, line: str, failure: str
) -> None:
    script, code, problem = FAILURES[failure]
    runs, recording = shlex.quote(str(tmp_path / "runs")), tmp_path / "recording"
    script = f"""echo >> {runs}
upload a
if [ $(wc -l < {runs}) -gt 2 ]; then {script}; fi"""
    ended = here(*line.format(recording=recording).split(), "--command", failing(script))
    assert (ended.code, problem in ended.err) == (code, True), ended
    assert recording.exists() == line.startswith("record")


@pytest.mark.parametrize("failure", ["is not allowed", "is not configured"])
@pytest.mark.parametrize("line", ["tail", "tail --count 90", "tail a b"])
def test_tail_prints_what_was_read_before_a_refusal(
    here: Here, failing: Callable[[str], str], tmp_path: Path, line: str, failure: str
) -> None:
    refusal, code, problem = FAILURES[failure]
    runs = shlex.quote(str(tmp_path / "runs"))
    script = f"""echo >> {runs}
if [ $(wc -l < {runs}) -lt 2 ]; then upload a initiated; upload b initiated; else upload a; upload b verified; {refusal}; fi"""
    ended = here(*line.split(), "--command", failing(script))
    assert (ended.code, problem in ended.err) == (code, True), ended
    assert [(one["upload"]["id"], one["to"]) for one in ended.records if one["kind"] == "stage"][-2:] == [
        ("a", "completed"),
        ("b", "verified"),
    ]


@pytest.mark.parametrize("line", ["tail --since 1h", "tail --since 1h a b c", "tail --since 1h --project P"])
def test_tail_prints_what_an_earlier_session_has_found_without_a_time(
    here: Here, failing: Callable[[str], str], tmp_path: Path, line: str
) -> None:
    """With what a source reports a time of, in the order of the times."""
    runs, on = shlex.quote(str(tmp_path / "runs")), f"{datetime.now(UTC) - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    dated = json.dumps({"id": "c", "name": "x", "project": "P", "stage": "completed", "on": on})
    script = f"""echo >> {runs}; run=$(wc -l < {runs})
if [ $run -eq 1 ]; then upload a initiated; upload b initiated; else upload a; upload b verified; fi
echo {shlex.quote(dated)}; if [ $run -eq 4 ]; then problem config refused; fi"""
    command = ("--command", failing(script))
    for _ in range(2):
        assert here("report", *command).code == 0
    ended = here(*line.split(), "-o", "jsonl", *command)
    assert "refused" in ended.err
    assert [(one["upload"]["id"], one["from"], one["to"]) for one in ended.records] == [
        ("c", None, "completed"),
        ("a", "initiated", "completed"),
        ("b", "initiated", "verified"),
    ]


@pytest.mark.parametrize("failure", ["is not allowed", "is not configured"])
@pytest.mark.parametrize("line", ["list", "report", "show a"])
def test_a_refusal_shows_what_is_known(here: Here, failing: Callable[[str], str], line: str, failure: str) -> None:
    script, code, problem = FAILURES[failure]
    ended = here(*line.split(), "--command", failing(f"upload a; {script}"))
    assert (ended.code, problem in ended.err, len(ended.records)) == (code, True, 1), ended


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("line", WAITING)
def test_the_timeout_of_wait_is_that_of_its_first_listing_too(
    here: Here, failing: Callable[[str], str], line: str, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, code, problem = FAILURES[failure]
    command, is_named = failing(script), "sleep" not in script
    monkeypatch.setenv("UPLOAD_TUI_TIMEOUT", "600")
    for timeout in ("0.3s", "3s", "60s") if code == 3 else ("10m",):
        ended = here(*line.split(), "--timeout", timeout, "--command", command)
        assert (ended.code, "timed out after" in ended.err) == ((124, True) if code == 3 else (code, False))
        if not is_named or problem in ended.err:
            return
    pytest.fail(f"{problem} is not printed: {ended}")  # a busy computer needs longer than the first timeout


@pytest.mark.parametrize("line", ["wait a", "wait --where is:pending", "tail a"])
@pytest.mark.parametrize("failure", ["fails", "is cut", "has a problem"])
def test_a_first_listing_that_may_succeed_later_is_tried_again(
    here: Here, failing: Callable[[str], str], tmp_path: Path, line: str, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run fails, in the second the upload is pending, in the third it is verified."""
    script, _, problem = FAILURES[failure]
    runs = shlex.quote(str(tmp_path / "runs"))
    script = f"""echo >> {runs}
case $(wc -l < {runs}) in *1) {script}; exit ;; *2) upload a ;; *) upload a | sed s/completed/verified/ ;; esac"""
    ended = here(*line.split(), "--command", failing(script))
    assert (ended.code, problem in ended.err) == (0, True), ended


def test_a_listing_that_failed_shows_what_is_known(here: Here, source: Source) -> None:
    assert here("list", "--command", source(*UPLOADS, error="x")).code == 0
    failed = here("list", "--command", source(*UPLOADS[:1], code=0, error="x").replace(" 0 x", " 9 x"))
    assert failed.code == 3
    again = here("list", "--command", source(*UPLOADS[:1], "{broken", error="x"))
    assert (again.code, {record["id"] for record in again.records}) == (3, {"a", "b", "c"})
    assert "partial: line 2 cannot be read (not JSON)" in again.err


def test_a_report_on_a_listing_that_failed_says_so_in_its_figures(here: Here, source: Source) -> None:
    command = source(*UPLOADS)
    for is_up in (1, 0):
        (report,) = here("report", "--command", command).records
        metrics = here("report", "--prometheus", "--command", command).out
        assert f'\nupload_tui_up{{service="{report["service"]}"}} {is_up}.0\n' in metrics
        errors = {project["error"] for project in report["projects"]}
        assert errors == {None if is_up else "partial: 1 of 3 uploads were listed"}
        source(*UPLOADS[:1], {"type": "end", "uploads": 3})  # what the command prints now


def test_the_text_of_a_report_is_short_however_much_there_is(here: Here, source: Source) -> None:
    words = [f"{first}{second}" for first in "abcdefgh" for second in "klmnopqr"]
    lines = [{"id": word, "name": "x", "stage": "error", "error_message": f"no {word}"} for word in words]
    states = [{"id": f"state {word}", "name": "x", "stage": word} for word in words]
    command = source(*lines, *states)
    (record,) = here("report", "--command", command).records
    assert len(record["trouble"]["failed"]) == len(record["causes"]) == len(record["unknown_states"]) == len(words)
    text = here("report", "--command", command, "-o", "table").out
    (failed,) = (line for line in text.splitlines() if line.startswith("failed (64): "))
    assert len(failed.split()) == 2 + 20 + 3
    assert failed.endswith(" and 44 more")
    assert text.count("\ncause (1): ") == 20
    assert "\nand 44 more causes\n" in text
    assert "\n  and 48 more states\n" in text  # the four of the design are always there


def test_a_listing_without_a_readable_line_has_no_uploads(here: Here) -> None:
    command = "printf 'one\\ntwo\\n'"
    assert "run 1: 0 uploads on 2 lines" in here("source", "check", "-o", "table", "--", "printf", "one\ntwo\n").out
    assert "0 uploads on 2 lines, 2 unreadable" in here("doctor", "--command", command, "-o", "table").out


def test_show_says_that_the_listing_failed(here: Here, source: Source) -> None:
    """What is known is shown; of what is not known nothing is claimed."""
    command = source(*UPLOADS)
    assert here("list", "--command", command).code == 0
    source(*UPLOADS[:1], {"type": "end", "uploads": 3})  # what the command prints now
    for known, unknown in (["c"], []), (["c"], ["zz"]), ([], ["zz"]):
        shown = here("show", *known, *unknown, "--command", command)
        assert (shown.code, [record["id"] for record in shown.records]) == (3, known)
        assert "partial: 1 of 3 uploads were listed. Showing what is known" in shown.err
        assert ("'zz': not in what could be read of the listing." in shown.err) == bool(unknown)


def test_wrong_commands_are_usage_errors(here: Here) -> None:
    for command, error in (
        ("'", "a quotation mark is not closed"),
        ("", "the command is empty"),
        ("/no/such/program", "cannot be run"),
    ):
        for result in here("list", "--command", command), here("source", "check", "--", command):
            assert result.code == 2
            assert error in f"{result.err}{result.out}" or command == "'"  # of `check` each word is an argument


def test_a_profile_has_a_service_or_a_source(here: Here, home: Path) -> None:
    file = Path(here("config", "path").out.strip())
    file.parent.mkdir(parents=True, exist_ok=True)
    command = json.dumps([sys.executable, "-I", "-c", 'print(\'{"id": 1, "name": "x"}\')'])
    file.write_text(
        f'[profiles.ceph]\ncommand = {command}\n[profiles.both]\ncommand = ["true"]\nurl = "https://x.test"\n'
    )
    listed = here("list", "--profile", "ceph")
    assert [(record["id"], record["service"], record["project"]["name"]) for record in listed.records] == [
        ("1", "source:ceph", "ceph")
    ]
    shown = {record["setting"]: record["value"] for record in here("config", "show", "--profile", "ceph").records}
    assert (shown["refresh"], shown["timeout"], shown["command"][0]) == (15.0, 30.0, sys.executable)
    both = here("list", "--profile", "both")
    assert (both.code, "both url and command" in both.err) == (2, True)


def test_a_source_that_runs_itself_is_refused() -> None:
    environment = {"UPLOAD_TUI_SOURCE_VERSION": "1", "UPLOAD_TUI_SOURCE_RUN": "1"}
    result = run("list", "--command", "true", environment=environment)
    assert (result.code, "runs upload-tui with the source itself" in result.err) == (2, True)
    assert "Unknown variable" not in run("config", "show", environment=environment).err


def test_tail_prints_changes_and_says_when_the_source_fails(here: Here, source: Source, tmp_path: Path) -> None:
    script = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
stage = ["", "initiated", "initiated", "completed", "error", "completed", "error", "initiated"][min(number, 7)]
print(json.dumps({"id": "a", "name": "a", "stage": stage}))
sys.exit(number == 2)
"""
    command = shlex.join([sys.executable, "-I", "-c", script, str(tmp_path / "count")])
    environment = {"UPLOAD_TUI_REFRESH": "0.05"}
    tailed = run("tail", "--count", "6", "--command", command, environment=environment)
    stages = ["initiated", "completed", "error", "completed", "error", "initiated"]
    found = [(record["from"], record["to"]) for record in tailed.records if record["kind"] == "stage"]
    assert found == [*pairwise(stages)]
    assert "retrying: partial: exit code 1" in tailed.err


@pytest.mark.parametrize(
    "words", ["metrics --listen :0", "tail", "tail a", "wait a", "wait --project ceph", "record {folder}/file"]
)
def test_a_listing_that_fails_is_one_line_and_its_end_another(here: Here, tmp_path: Path, words: str) -> None:
    """The command prints another time on standard error whenever it fails: that is still the same cause."""
    script = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
if number in (1, 2, 4):
    sys.exit(f"09:00:0{number} no route to ceph")
print(json.dumps({"id": "a", "name": "a", "project": "ceph", "stage": "initiated"}))
"""
    command = shlex.join([sys.executable, "-I", "-c", script, str(tmp_path / "count")])
    arguments = words.format(folder=tmp_path).split()
    with started(*arguments, "--command", command, environment={"UPLOAD_TUI_REFRESH": "0.05"}) as process:
        assert process.stderr is not None
        lines = (line for line in process.stderr if "recording to" not in line and " wanted" not in line)
        found = [next(lines) for _ in range(4)]
    causes = [line.partition("retrying: ")[2] for line in found]
    hint = "Run `upload-tui source check` on the command."
    assert causes[::2] == [f"partial: exit code 1: 09:00:0{number} no route to ceph. {hint}\n" for number in (1, 4)]
    assert [line.endswith(" live again.\n") for line in found[1::2]] == [True, True]


@pytest.mark.parametrize("seconds", [14.0, 41.0])
@pytest.mark.parametrize("words", ["doctor --command", "source check --"])
def test_a_run_that_takes_longer_than_the_interval_is_named(
    here: Here, monkeypatch: pytest.MonkeyPatch, words: str, seconds: float
) -> None:
    async def inspect_source(_: object, **options: object) -> Inspection:
        return Inspection(listing=Listing(seconds=seconds))

    monkeypatch.setattr(upload_tui.sources, "inspect_source", inspect_source, raising=False)
    assert ("listing 41s, every 15s wanted" in here(*words.split(), "true").out) is (seconds == 41.0)


def test_other_projects_in_the_profile_change_nothing_that_was_observed(here: Here, tmp_path: Path) -> None:
    script = """
import json, pathlib, sys
print(pathlib.Path(sys.argv[1]).read_text())
"""
    listing = tmp_path / "listing"
    command = shlex.join([sys.executable, "-I", "-c", script, str(listing)])

    def listed(stage: str, *projects: str) -> dict[str, Any]:
        uploads = [{"id": one, "name": one, "project": one, "stage": stage} for one in ("in", "out")]
        listing.write_text("\n".join(json.dumps(upload) for upload in uploads))
        words = [word for one in projects for word in ("--project", one)]
        return {record["id"]: record["timeline"] for record in here("list", "--command", command, *words).records}

    listed("initiated", "in")
    before = listed("completed", "in")
    assert set(listed("completed", "out")) == {"out"}
    both = listed("completed", "in", "out")
    assert (set(both), {"in": both["in"]}) == ({"in", "out"}, before)
    assert listed("completed", "in") == before
    assert listed("completed") == both


def test_record_and_replay_a_source(here: Here, source: Source, tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    command = source(*UPLOADS)
    words = ["record", str(file), "--command", command]
    with Terminal(*words) as terminal:
        terminal.wait_until(lambda _: file.exists() and file.read_text().count('"stored"') == 3)
        terminal.press("\x03")
        assert terminal.wait_for_end() == 130
    with Terminal("replay", str(file), "--speed", "60") as terminal:
        terminal.wait_until(lambda text: "a.h5" in text and "virus found" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_watch_shows_a_source(source: Source) -> None:
    with Terminal("watch", "--command", source(*UPLOADS)) as terminal:
        terminal.wait_until(lambda text: "c.h5" in text and "live" in text)
        terminal.press("C")
        terminal.wait_until(lambda text: "Uploads of a source have" in text)
        terminal.wait_until(lambda text: "Formats" not in text)
        terminal.press("qq")
        assert terminal.wait_for_end() == 0


@pytest.mark.parametrize("listing", [1, 2])
def test_watch_ends_while_the_source_is_listing(tmp_path: Path, listing: int) -> None:
    """The listing is ended first, and needs its store until then."""
    script = """
import json, pathlib, signal, sys
count = pathlib.Path(sys.argv[1])
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
print(json.dumps({"id": "a", "name": f"listing-{number}"}), flush=True)
if number == int(sys.argv[2]):
    signal.pause()
"""
    command = shlex.join([sys.executable, "-I", "-c", script, str(tmp_path / "count"), str(listing)])
    with Terminal("watch", "--command", command, environment={"UPLOAD_TUI_REFRESH": "0.05"}) as terminal:
        terminal.wait_until(lambda text: "listing-1" in text and (tmp_path / "count").read_text() == str(listing))
        terminal.press("q")
        assert terminal.wait_for_end() == 0
        assert terminal.final_output == ""


def test_doctor_says_what_the_source_printed(here: Here, source: Source) -> None:
    records = {record["check"]: record for record in here("doctor", "--command", source(*UPLOADS)).records}
    assert records["source"]["state"] == "ok"
    assert records["source"]["message"].startswith("3 uploads on 3 lines in ")
    failed = here("doctor", "--command", source(code=3))
    assert failed.code == 3


# source check


def test_source_check_finds_nothing_wrong_with_a_good_source(here: Here, source: Source) -> None:
    checked = here(
        "source", "check", "-o", "table", "--", *shlex.split(source(*UPLOADS, {"type": "end", "uploads": 3}))
    )
    assert checked.code == 0
    assert "run 2: 3 uploads on 4 lines in" in checked.out
    assert "kept for the raw response only: place\n" in checked.out
    assert checked.out.endswith("The source keeps the contract.\n")


def test_source_check_names_what_breaks_the_contract(here: Here, source: Source) -> None:
    lines = [
        {"id": "a", "name": "x", "inited_on": "2026-03-14T08:00:00Z", "size": "5"},
        {"id": "a", "name": "x"},
        {"id": "b"},
        "nonsense",
        {"type": "end"},
    ]
    checked = here("source", "check", "--", *shlex.split(source(*lines, error="careful")))
    (record,) = checked.records
    assert record["problems"] == [
        "line 1: unreadable field: size is '5'",
        "line 2: id a is printed more than once",
        "line 3: no name",
        "line 4: not JSON",
        "line 5: the end has no number of uploads",
    ]
    assert record["notes"] == ["unknown field inited_on. Did you mean initiated_on?"]
    assert (checked.code, checked.err) == (3, "upload-tui: standard error of the command:\n  careful\n")
    checked = here("source", "check", "-o", "table", "--", *shlex.split(source(*lines[:-1])))
    assert re.search(
        r"run 1: 0 uploads on 4 lines in \S+; partial: line 4 cannot be read \(not JSON\) and 2 more; 1 line has an id",
        checked.out,
    )


@pytest.mark.parametrize(
    ("line", "problems", "notes"),
    [
        ({"stage": "quarantined"}, [], ["neither pending nor final, in a state of its own: quarantined"]),
        ({"current": {"state": "frozen"}}, [], ["neither pending nor final, in a state of its own: frozen"]),
        ({"verifed_on": "2026-03-14T08:00:00Z"}, [], ["unknown field verifed_on. Did you mean verified_on?"]),
        ({"stage": "completed", "ended": True}, [], []),
        ({"stage": "error", "error_message": "no space"}, [], []),
        (
            {"stage": "verified", "error_message": "0 errors"},
            ["line 1: message without error: error_message is there, but no stage error"],
            [],
        ),
        (
            {"stage": "completed", "current": {"state": "verified"}},
            ["line 1: stage went backwards: stage is completed, and another field says verified"],
            [],
        ),
        ({"url": "HTTPS://x/a"}, [], []),
        ({"url": "https:///x"}, ["line 1: url is not an http(s) address"], []),
        ({"url": "https://x/?a=1"}, [], ["line 1: url may contain a secret, and is not kept"]),
    ],
    ids=[
        "own state",
        "own current state",
        "unknown field",
        "ended",
        "failed",
        "no error",
        "contradictory",
        "page",
        "no host",
        "query",
    ],
)
def test_source_check_tells_what_breaks_the_contract_from_what_may_be_a_mistake(
    here: Here, source: Source, line: Mapping[str, Any], problems: list[str], notes: list[str]
) -> None:
    checked = here("source", "check", "--", *shlex.split(source({"id": "a", "name": "a", **line})))
    (record,) = checked.records
    assert (checked.code, record["problems"], record["notes"]) == (3 if problems else 0, problems, notes)


@pytest.mark.parametrize(
    ("line", "problems"),
    [
        ({"kind": "transient"}, []),
        ({"kind": "oops"}, ["line 1: in the error line, the kind 'oops' is unknown, which counts as transient"]),
        ({}, ["line 1: in the error line, it has no kind, which counts as transient"]),
    ],
)
def test_source_check_says_that_an_error_of_an_unknown_kind_is_transient(
    here: Here, source: Source, line: Mapping[str, Any], problems: list[str]
) -> None:
    checked = here("source", "check", "--", *shlex.split(source({"type": "error", "message": "busy", **line})))
    (record,) = checked.records
    assert (checked.code, record["problems"], record["runs"][0]["error"]) == (3, problems, "partial: busy")


def test_source_check_says_that_a_project_has_two_names(here: Here, source: Source) -> None:
    projects = [{"id": 1, "name": "A"}, "1", {"id": "1", "name": "B"}, {"id": "1"}, {"id": "1", "name": "B"}]
    lines = [{"id": f"u{number}", "name": "x", "project": one} for number, one in enumerate(projects)]
    checked = here("source", "check", "--", *shlex.split(source(*lines)))
    (record,) = checked.records
    assert (checked.code, record["problems"]) == (3, ["line 3: project '1' is named 'B', and 'A' before"])
    listed = here("list", "--command", source(*lines)).records
    assert {one["project"]["name"] for one in listed} == {"B"}
    assert [one["name"] for one in here("projects", "--command", source(*lines)).records] == ["B"]


def test_source_check_finds_nothing_wrong_with_what_list_prints(here: Here, source: Source) -> None:
    ended = [
        {"id": f"d{number}", "name": "d", "stage": one, "ended": True}
        for number, one in enumerate(["odd", "completed"])
    ]
    listed = here("list", "-o", "jsonl", "--command", source(*UPLOADS, *ended))
    checked = here("source", "check", "--", *shlex.split(source(listed.out.rstrip())))
    assert (checked.code, checked.records[0]["problems"], checked.records[0]["unknown_fields"]) == (0, [], [])


_MORNING, _EVENING = "2026-03-14T08:00:00Z", "2026-03-14T20:00:00Z"
ROUND_TRIP: Sequence[Mapping[str, Any]] = [
    {"stage": "initiated", "updated_on": _MORNING, "size": 10, "received_bytes": 5},
    {"stage": "initiated", "on": _MORNING, "updated_on": _EVENING, "size": 10, "chunks": [{"number": 1, "size": 5}]},
    {"stage": "completed", "on": _EVENING, "initiated_on": _MORNING, "project": {"id": "p", "name": "P"}},
    {"stage": "completed", "on": _MORNING, "ended": True},
    {"stage": "completed", "current": {"state": "completed", "state_on": None}},
    {"stage": "verified", "on": _EVENING, "final_chunks": True, "size": 10, "chunks": {"count": 1, "size_bytes": 5}},
    {"stage": "verified", "on": _EVENING, "error_message": "0 errors", "content_type": "image/tiff"},
    {"stage": "error", "error_message": "virus found"},
    {"stage": "held", "on": _MORNING},
    {"stage": "held"},
    {},
]


@pytest.mark.parametrize("fields", ROUND_TRIP, ids=str)
def test_what_list_prints_is_listed_again_unchanged(here: Here, source: Source, fields: Mapping[str, Any]) -> None:
    listed = here("list", "-o", "jsonl", "--command", source({"id": "a", "name": "a", **fields}))
    again = here("list", "-o", "jsonl", "--command", f"{source(listed.out.rstrip())} again")  # with a cache of its own
    (record,), (other,) = listed.records, again.records
    assert {**other, "as_of": record["as_of"]} == record


def test_source_check_says_what_changed_and_that_ids_are_not_stable(here: Here) -> None:
    script = "import json, os; [print(json.dumps({'id': f'{os.getpid()}-{n}', 'name': 'x'})) for n in range(3)]"
    (record,) = here("source", "check", "--", sys.executable, "-I", "-c", script).records
    assert record["problems"] == ["no id of the first run is in the second: an id must stay the same"]
    assert (len(record["changes"]["new"]), len(record["changes"]["gone"])) == (3, 3)


SCHEMA = jsonschema_rs.validator_for(dict(line_schema()))


def problems_of(text: str) -> list[str]:
    """What the JSON schema has against lines."""
    assert text.strip()
    return [f"{line}: {error.message}" for line in text.splitlines() for error in SCHEMA.iter_errors(json.loads(line))]


def test_the_schema_is_unchanged(here: Here) -> None:
    assert here("source", "schema").out == (FORMATS / "source-schema.json").read_text(encoding="utf-8")
    assert "received_bytes" in here("source", "--help").out
    assert "--timeout DURATION" in here("source", "check", "--help").out


def test_lines_of_the_readme_and_of_list_match_the_schema(here: Here, source: Source) -> None:
    examples = re.findall(r"```json\n(\{.*?)```", README, re.DOTALL)
    assert len(examples) == 1
    listed = here("list", "-o", "jsonl", "--command", source(*UPLOADS, {"id": 4, "name": "d", "stage": "odd"}))
    for text in (*examples, listed.out, (FORMATS / "list.jsonl").read_text(encoding="utf-8")):
        assert problems_of(text) == []


@pytest.mark.parametrize(
    "line",
    [
        {"id": "a"},
        {"name": "a"},
        {"id": None, "name": "a"},
        {"id": "a", "name": "a", "size": -1},
        {"id": "a", "name": "a", "size": "5"},
        {"id": "a", "name": "a", "chunks": [{"number": 1}]},
        {"id": "a", "name": "a", "chunks": [{"number": 0, "size": 1}]},
        {"id": "a", "name": "a", "chunks": [{"number": 1, "size": "1"}]},
        {"id": "a", "name": "a", "current": {"state_on": None}},
        {"id": "a", "name": "a", "ended": "yes"},
        {"type": "end", "uploads": "5"},
        {"type": "end", "uploads": None},
        {"type": "end"},
        [],
    ],
    ids=json.dumps,
)
def test_a_line_that_breaks_the_schema_breaks_the_contract(here: Here, source: Source, line: object) -> None:
    """The schema and the check agree: what one rejects, the other does."""
    assert problems_of(json.dumps(line))
    (record,) = here("source", "check", "--", *shlex.split(source(line))).records
    assert record["problems"]


# The recipes


def printed_by(command: str) -> str:
    """What a command prints."""
    return subprocess.run(shlex.split(command), capture_output=True, text=True, check=True).stdout


def recipe(name: str, folder: Path) -> Path:
    found = re.search(rf"<!-- recipe: {name} -->\n```(?:sh|python)\n(.*?)```", README, re.DOTALL)
    assert found is not None
    file = folder / name
    file.write_text(found[1])
    return file


@pytest.mark.skipif(
    not (shutil.which("sha256sum") and shutil.which("jq")), reason="there are no coreutils or no jq here"
)
def test_recipe_folder(here: Here, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    command = shlex.join(["bash", str(recipe("folder", tmp_path)), str(folder)])
    assert here("list", "--command", command).records == []
    good, bad = hashlib.sha256(b"data").hexdigest(), hashlib.sha256(b"").hexdigest()
    checksums = {
        "sent.bin": None, "sending.bin.part": None, 'quo"te\\d.bin': None, "-dash": None, "tab\there": None,
        "good.bin": f"{good}  good.bin\n", "-good": good, "new\nline": f"\\{good.upper()}  new\\nline\n",
        "bad.bin": f"{bad}  empty\n", "being checked": good[:60],
    }  # fmt: skip
    for name, checksum in checksums.items():
        (folder / name).write_bytes(b"data")
        if checksum is not None:
            (folder / f"{name}.sha256").write_text(checksum)
    (tmp_path / "empty").write_bytes(b"")
    (folder / "folder").mkdir()
    (folder / "link to nothing").symlink_to("nothing")
    os.mkfifo(folder / "pipe")
    assert problems_of(printed_by(command)) == []
    stages = {record["id"]: record["stage"] for record in here("list", "--command", command).records}
    verified = dict.fromkeys(("good.bin", "-good", "new\nline"), "verified")
    others = dict.fromkeys((one for one in checksums if one not in verified and ".part" not in one), "completed")
    assert stages == {**others, **verified, "sending.bin": "initiated", "bad.bin": "error"}
    (folder / "sending.bin.part").rename(folder / "sending.bin")
    timeline = here("show", "sending.bin", "--command", command).records[0]["timeline"]
    assert [(event["stage"], event["certainty"]) for event in timeline] == [
        ("initiated", "observed"),
        ("completed", "reported"),
    ]
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_bytes(b"")
    for name in list(checksums)[2:]:
        (folder / name).unlink()
    partial = here("list", "--command", command)
    assert (partial.code, len(partial.records)) == (3, len(checksums))
    assert "partial: exit code 1: names that are not UTF-8: 1" in partial.err


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq here")
def test_recipe_ocis(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = [
        {"id": "1", "space": "s", "filename": "a.pdf", "offset": 5, "size": 10, "executant": {"opaque_id": "ada"}},
        {"id": "2", "space": "s", "filename": "b.pdf", "offset": 9, "size": 9, "executant": "marie", "processing": True},
        {"id": "3", "space": "s", "filename": "c.pdf", "offset": 9, "size": 9, "executant": "marie", "processing": True,
         "virus_scan_date": "2026-03-14T09:00:00Z", "virus_scan_result": "Eicar"},
    ]  # fmt: skip
    for sessions_text in ("\n".join(map(json.dumps, sessions)), json.dumps(sessions)):
        (tmp_path / "ocis").write_text(f"#!/bin/sh\ncat <<'END'\n{sessions_text}\nEND\n")
        (tmp_path / "ocis").chmod(0o700)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        command = shlex.join(["bash", str(recipe("ocis", tmp_path / "..")), ""])
        assert problems_of(printed_by(command)) == []
        records = {record["id"]: record for record in here("list", "--command", command).records}
        assert [
            (records[one]["stage"], records[one]["chunks"]["size_bytes"], records[one]["error_message"])
            for one in "123"
        ] == [
            ("initiated", 5, None),
            ("completed", 9, None),
            ("error", 9, "Eicar"),
        ]
    (tmp_path / "ocis").write_text("#!/bin/sh\n")
    silent = here("list", "--command", command)
    assert (silent.code, len(silent.records)) == (3, 3), silent
    (tmp_path / "ocis").write_text("#!/bin/sh\necho null\n")  # how some encoders write an empty list
    assert printed_by(command).strip() == '{"type":"end","uploads":0}'


class _Api(http.server.BaseHTTPRequestHandler):
    status = 200
    is_empty = False

    def do_GET(self) -> None:
        items = [
            {
                "id": 7,
                "file": "x.bin",
                "bytes": 5,
                "owner": "ada",
                "changed": "2026-03-14T09:00:00Z",
                "state": "queued",
                "reason": None,
            },
            {
                "id": 8,
                "file": "y.bin",
                "bytes": 6,
                "owner": "ada",
                "changed": "2026-03-14T09:00:00Z",
                "state": "frozen",
                "reason": None,
            },
        ]
        assert self.headers["Authorization"] == "Bearer t"
        self.send_response(self.status)
        self.end_headers()
        if not self.is_empty:
            self.wfile.write(json.dumps({"items": items}).encode())

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def api(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Api]]:
    (home / ".config").mkdir(exist_ok=True)
    (home / ".config" / "archive-token").write_text("t\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    monkeypatch.setenv("ARCHIVE_URL", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(_Api, "status", 200)
    yield _Api
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="there is no jq or curl here")
def test_recipe_api(here: Here, tmp_path: Path, api: type[_Api], monkeypatch: pytest.MonkeyPatch) -> None:
    command = shlex.join(["bash", str(recipe("api", tmp_path))])
    assert problems_of(printed_by(command)) == []
    records = {record["id"]: record for record in here("list", "--command", command).records}
    assert {one: record["stage"] for one, record in records.items()} == {"7": "completed", "8": "frozen"}
    for attribute, value in (("status", 503), ("is_empty", True)):
        with monkeypatch.context() as patch:
            patch.setattr(api, attribute, value)
            failed = here("list", "--command", command)
        assert (failed.code, len(failed.records)) == (3, 2)
        assert "partial: " in failed.err
