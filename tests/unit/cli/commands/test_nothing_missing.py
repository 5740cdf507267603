"""Whatever a service answers: each upload that it lists is shown, or counted as missing, by every command.

`PYTEST_SERVICE_HISTORIES` sets how many are generated.
"""

import asyncio
import copy
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.cli.virtual_program import (
    UNREADABLE_ROWS,
    URL,
    Project,
    Result,
    VirtualClock,
    VirtualService,
    advance_virtually,
    run_virtually,
    watch_virtually,
)

import upload_tui.monitor
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import LastVisit, save_last_visit
from upload_tui.status import Stage
from upload_tui.testing import NOW, an_upload

HISTORIES = int(os.environ.get("PYTEST_SERVICE_HISTORIES", "6"))
NAMES = ("Genome", "Proteome", "Imaging")
STAGES = (
    {"initiated": 50},
    {"initiated": 60, "completed": 10},
    {"initiated": 60, "completed": 50, "verified": 40},
    {"initiated": 60, "completed": 50, "error": 40},
)
QUIET_SECONDS = 240.0
"""After the last change: the reconciler has then compared all pages of these small projects."""


@st.composite
def projects(draw: st.DrawFn, number: int) -> Project:
    project_id = f"p-{number}"
    stages = draw(st.lists(st.sampled_from(STAGES), max_size=13))
    uploads = [
        an_upload(f"{project_id}-{index}", project=(project_id, NAMES[number]), **{**stage, "initiated": 60 + index})  # type: ignore[arg-type]
        for index, stage in enumerate(stages)
    ]
    for upload in uploads:
        if draw(st.integers(0, 4)) == 0:  # it belongs to the project that lists it
            upload["project"] = draw(st.sampled_from([None, 5, "Genome", [], {}, {"id": None, "name": 3}]))
    some_ids = st.frozensets(st.sampled_from([str(upload["id"]) for upload in uploads]), max_size=2)
    return Project(
        project_id,
        NAMES[number],
        uploads,
        error=draw(st.sampled_from([0, 0, 0, 500, 403, 404])),
        unreadable=draw(some_ids) if uploads else frozenset(),
        unreadable_form=draw(st.sampled_from([*UNREADABLE_ROWS])),
        total=draw(st.sampled_from([None, None, 0, 3, 5, 10, 30])),
        hidden_headers=draw(st.frozensets(st.sampled_from(["X-Total", "X-Next-Page", "X-Per-Page"]), max_size=3)),
        last_page=draw(st.sampled_from([None, None, 1, 2])),
        refuses_empty_pages=draw(st.booleans()),
        repeats_page=draw(st.sampled_from([False, False, False, True])),
        repeated=draw(some_ids) if uploads else frozenset(),
    )


def add_upload(service: VirtualService) -> None:
    project = service.projects[0]
    name = f"{project.id}-late-{len(project.uploads)}-{service.requests}"
    project.uploads.insert(0, an_upload(name, project=(project.id, project.name), initiated=1))


def remove_upload(service: VirtualService) -> None:
    service.projects[0].uploads[2:3] = []


def end_uploads(service: VirtualService) -> None:
    """Verify every second upload that is not over, and let the others fail."""
    for number, upload in enumerate(service.projects[0].uploads):
        status = upload["status"]
        if not (status["verified_on"] or status["error_on"]):
            status["completed_on"] = status["completed_on"] or status["initiated_on"]
            status["error_on" if number % 2 else "verified_on"] = status["completed_on"]


def break_upload(service: VirtualService) -> None:
    project = service.projects[0]
    project.unreadable = frozenset(upload["id"] for upload in project.uploads[1:2])


def mend_uploads(service: VirtualService) -> None:
    service.projects[0].unreadable = frozenset()


def move_clock(service: VirtualService) -> None:
    service.date_seconds += 900


CHANGES: tuple[Callable[[VirtualService], None], ...] = (
    add_upload,
    remove_upload,
    end_uploads,
    break_upload,
    mend_uploads,
    move_clock,
)


@st.composite
def services(draw: st.DrawFn) -> VirtualService:
    number = draw(st.integers(1, 3))
    date_seconds = draw(st.sampled_from([0.0, 0.0, 1200.0, -600.0, 400 * 86400.0]))
    return VirtualService(
        [draw(projects(index)) for index in range(number)],
        date_seconds,
        nameless=draw(st.sampled_from([0, 0, 0, 2])),
        changes=draw(st.dictionaries(st.integers(2, 30), st.sampled_from(CHANGES), max_size=4)),
    )


def listed(service: VirtualService) -> Iterator[tuple[Project, str]]:
    """Each listed upload. What a service hides on pages that it does not return cannot be known."""
    for project in service.projects:
        for upload in project.rows[: service.per_page] if project.repeats_page else project.uploads:
            yield project, str(upload["id"])


class Program:
    """Runs commands, each over the same history of a service from its start.

    Attributes:
        service: that of the last command, as it was at the end.
        always: the uploads, with their projects, that were listed all the time in this history.
    """

    def __init__(self, capture: pytest.CaptureFixture[str], folder: str, service: VirtualService) -> None:
        self._capture = capture
        self._homes = (Path(folder) / str(number) for number in count())
        self._first = service
        self.service = service

    def restart(self) -> VirtualService:
        """The service as it is at the start."""
        self.service = copy.deepcopy(replace(self._first, requests=0))
        return self.service

    def run(self, *arguments: str) -> Result:
        """Run a command."""
        service = self.restart()
        if arguments[0] in {"tail", "record"}:
            service.max_seconds = QUIET_SECONDS
        result = run_virtually(self._capture, next(self._homes), service, *arguments)
        assert result.code != 70, (arguments, result)
        return result

    @property
    def always(self) -> list[tuple[Project, str]]:
        """The uploads, with their projects as they are now, that the service listed at the start and lists now."""
        before = {upload_id for _, upload_id in listed(self._first)}
        return [(project, upload_id) for project, upload_id in listed(self.service) if upload_id in before]

    def check(self, command: str, shown: set[str], text: str, *, is_success: bool) -> None:
        """Check that each upload is shown, or its project is named in the text as not complete and the command does not succeed."""
        for project, upload_id in self.always:
            if upload_id not in shown:
                assert not is_success, (command, upload_id, text)
                # A command names the project if there are several.
                assert project.name in text or (len(self.service.projects) == 1 and text), (command, upload_id, text)
        if self.service.nameless:
            assert not is_success, (command, text)
            assert "projects cannot be read" in text, (command, text)


def check_printing(program: Program) -> None:
    """The commands that print and exit."""
    result = program.run("list")
    program.check("list", {record["id"] for record in result.records}, result.err, is_success=result.code == 0)
    if program.run("list", "--fail-on-error").code == 0:
        first = program._first.projects
        assert not any(upload["status"]["error_on"] for project in first for upload in project.uploads[3:])
    result = program.run("report", "-o", "json")
    if result.code == 0:
        assert json.loads(result.out)[0]["total"] >= len(program.always)
        assert not program.service.nameless
    else:
        assert result.err
    if program.service.nameless:
        assert program.run("projects").code == 3


def check_wait(program: Program) -> None:
    names = [word for project in program._first.projects for word in ("--project", project.name)]
    result = program.run("wait", *names, "--timeout", "4s")
    if result.code:
        assert result.err or result.code == 1
        return
    assert not any(project.error or project.unreadable for project in program._first.projects)
    now = {upload["id"]: upload["status"] for project in program.service.projects for upload in project.uploads}
    for _, upload_id in program.always:
        assert now[upload_id]["verified_on"] or now[upload_id]["error_on"], (upload_id, result)


def check_following(program: Program, folder: str) -> None:
    """The commands that run until they are interrupted, and the dashboard."""
    result = program.run("tail", "--since", "9999d")
    program.check(
        "tail", {record["upload"]["id"] for record in result.records}, result.err, is_success=result.code == 0
    )
    file = Path(folder) / "recording.jsonl"
    result = program.run("record", str(file))
    recorded = file.read_text() if file.exists() else ""
    shown = {upload_id for _, upload_id in listed(program.service) if f'"{upload_id}"' in recorded}
    program.check("record", shown, result.err, is_success=result.code == 0)
    shown_now = watch_virtually(program.restart(), QUIET_SECONDS)
    rows = [row for row in shown_now.rows if not row.is_gone]
    assert shown_now.funnel.total == len(rows) == len({row.id for row in rows})
    assert not shown_now.connection.reason or shown_now.alarms
    is_success = shown_now.connection.is_live and not shown_now.connection.reason
    text = f"{shown_now.connection.name} {shown_now.alarms}"
    ids = {row.id for row in rows}
    for project, upload_id in listed(program.service):
        if upload_id not in ids:
            assert not is_success, (project, upload_id, shown_now.alarms)
    if is_success:  # and then all of it is as it is now
        stages = {row.id: row.stage for row in rows}
        for project in program.service.projects:
            for upload in project.uploads[: program.service.per_page] if project.repeats_page else project.uploads:
                is_over = bool(upload["status"]["error_on"] or upload["status"]["verified_on"])
                assert stages[upload["id"]].is_final is is_over, (upload, text)
    assert Stage.ERROR not in {row.stage for row in rows} or "failed" in shown_now.alarms or not is_success


def summary(service: VirtualService) -> str:
    """The service in a few lines, for a failure."""
    changes = {number: change.__name__ for number, change in service.changes.items()}
    lines = [
        f"{len(one.uploads)} uploads, {len(one.unreadable)} unreadable ({one.unreadable_form}), "
        f"{len(one.repeated)} repeated, error {one.error}, "
        f"total {one.total}, without {sorted(one.hidden_headers)}, repeats_page {one.repeats_page}"
        for one in service.projects
    ]
    return "\n".join([f"{service.nameless} nameless, {changes}, {service.date_seconds} s ahead", *lines])


@pytest.mark.slow
@settings(
    max_examples=HISTORIES,
    derandomize="PYTEST_SERVICE_HISTORIES" not in os.environ,  # fresh ones are for long runs
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(services())
def test_every_listed_upload_is_shown_or_reported_as_missing(
    capfd: pytest.CaptureFixture[str], service: VirtualService
) -> None:
    note(summary(service))
    with TemporaryDirectory() as folder:
        program = Program(capfd, folder, service)
        check_printing(program)
        check_wait(program)
        check_following(program, folder)


def hidden_after_last(count: int, unreadable: int | None, **fields: Any) -> Project:
    """A project with more uploads than its service says, one of which may be unreadable."""
    uploads = [
        an_upload(f"p-0-{number}", project=("p-0", "Genome"), initiated=60 + number, completed=50, verified=40)
        for number in range(count)
    ]
    ids = () if unreadable is None else (str(uploads[unreadable]["id"]),)
    return Project("p-0", "Genome", uploads, unreadable=frozenset(ids), **fields)


@pytest.mark.parametrize(
    "project",
    [
        hidden_after_last(6, None, last_page=1, hidden_headers=frozenset({"X-Total", "X-Per-Page"})),
        hidden_after_last(11, 10, last_page=2, hidden_headers=frozenset({"X-Per-Page"}), total=10),
        hidden_after_last(11, 10, last_page=2, hidden_headers=frozenset({"X-Total"})),
    ],
    ids=["size unknown", "total too low", "full page named as the last"],
)
def test_uploads_after_the_page_that_is_named_as_the_last_are_not_hidden(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, project: Project
) -> None:
    program = Program(capfd, str(tmp_path), VirtualService([project]))
    check_printing(program)
    check_following(program, str(tmp_path))


PAGES = ((200, b"<html>We will be back soon</html>"), (200, b""), (502, b"<html>"), (503, b""))
FOLLOWING = ("wait {id}", "wait --project p-0 --timeout 9h", "tail {id}", "tail", "record {folder}/file")


@pytest.mark.parametrize(
    ("command", "outage", "first"),
    [
        (command, PAGES[(number + first) % len(PAGES)], first)
        for number, command in enumerate(FOLLOWING)
        for first in (1, 3)
    ],
)
def test_what_follows_uploads_rides_out_maintenance(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, command: str, outage: tuple[int, bytes], first: int
) -> None:
    """From the first request on, and for longer than one upload may be unreadable."""

    def begin(service: VirtualService) -> None:
        service.outage = outage

    def end(service: VirtualService) -> None:
        service.outage = None

    upload = an_upload("p-0-0", project=("p-0", "Genome"), initiated=60, completed=50)
    service = VirtualService(
        [Project("p-0", "Genome", [upload])], changes={first: begin, first + 24: end, first + 32: end_uploads}
    )
    words = command.format(folder=tmp_path, id=upload["id"]).split()
    result = run_virtually(capfd, tmp_path, service, *words)
    ends = "wait" in command or "{id}" in command
    assert result.code == (0 if ends else 130), result
    assert "live again" in result.err
    assert '"verified"' in (result.out or (tmp_path / "file").read_text())


STATUS = {"initiated_on": "2026-03-14T09:00:00.000Z", "completed_on": "2026-03-14T09:10:00.000Z", "error_on": None}
WEAK_PROOFS: dict[str, dict[str, object]] = {
    "unreadable size": {"chunks": [{"number": 1, "size": 5}, {"number": 3, "size": 5}, {"number": 4, "size": "x"}]},
    "null": {"chunks": [{"number": 1, "size": 5}, None]},
    "negative size": {"chunks": [{"number": 1, "size": -100}, {"number": 2, "size": 200}]},
    "chunk 0": {"chunks": [{"number": 0, "size": 100}]},
    "consistent, not completed": {"status": {**STATUS, "is_consistent": True, "completed_on": None}},
    "verified at a zero date": {"status": {**STATUS, "verified_on": "0000-00-00T00:00:00Z"}},
    "chunks 0 and 1": {"chunks": [{"number": 0, "size": 50}, {"number": 1, "size": 50}]},
}
"""What verified uploads of 100 bytes have that proves nothing."""


@pytest.mark.parametrize("fields", WEAK_PROOFS.values(), ids=WEAK_PROOFS)
def test_no_command_succeeds_on_a_weak_proof(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, fields: dict[str, object]
) -> None:
    upload = an_upload(id="u-1", project=("p-0", "Genome"), initiated=60, completed=50, verified=40, size=100)
    service = VirtualService([Project("p-0", "Genome", [{**upload, **fields}])])
    for command in ("wait u-1 --timeout 4s", "tail u-1", "list --fail-on-error", "report --fail-on-error"):
        result = run_virtually(capfd, tmp_path, service, *command.split())
        assert result.code or ("status" in fields and command.endswith("error")), result
        assert result.err or result.code in {0, 130}


class DoubledKeys(VirtualService):
    """A service that writes a key of each upload twice."""

    key: str = ""

    def _row(self, project: Project, upload: dict[str, object]) -> bytes:
        return b'{"%s": {"error_on": 5}, ' % self.key.encode() + super()._row(project, upload)[1:]


@pytest.mark.parametrize("command", ["list", "report"])
@pytest.mark.parametrize(("key", "code"), [("id", 3), ("chunks", 1), ("status", 3), ("name", 0)])
def test_no_command_succeeds_on_a_key_that_is_there_twice(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, key: str, code: int, command: str
) -> None:
    upload = an_upload(id="u-1", project=("p-0", "Genome"), initiated=60, completed=50, verified=40)
    result = run_virtually(
        capfd, tmp_path, DoubledKeys([Project("p-0", "Genome", [upload])], key=key), command, "--fail-on-error"
    )
    assert result.code == code, result
    assert bool(result.err) is bool(code)


class ConfusedService(VirtualService):
    """A service that answers with the second upload whatever upload is asked for."""

    def _upload(self, upload_id: str) -> httpx.Response:
        return super()._upload("u-2")


def test_an_answer_about_another_upload_is_no_answer(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pending = an_upload(id="u-1", project=("p-0", "Genome"), initiated=60, completed=50)
    verified = an_upload(id="u-2", project=("p-0", "Genome"), initiated=60, completed=50, verified=40)
    service = ConfusedService([Project("p-0", "Genome", [verified, pending])])
    for command in ("wait u-1 --timeout 4s", "show u-1"):
        result = run_virtually(capfd, tmp_path, service, *command.split())
        assert result.code == 3, result
        assert "about another upload" in result.err
        assert not result.out
    assert run_virtually(capfd, tmp_path, service, "tail", "u-1").code
    assert run_virtually(capfd, tmp_path, service, "show", "U-2").code == 0


class ListedProjects(VirtualService):
    """A service that lists its projects in any pages; the last of them is returned for all later ones."""

    pages: tuple[tuple[str, dict[str, str]], ...] = ()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/projects"):
            return super()._answer(request)
        ids, headers = self.pages[min(int(request.url.params["page"]), len(self.pages)) - 1]
        return httpx.Response(200, headers=headers, json={"results": [{"id": one, "name": one} for one in ids.split()]})


NEXT, LAST, TOTAL = {"X-Next-Page": "2"}, {"X-Next-Page": ""}, {"X-Total": "3"}
MANY = " ".join(["p-0 p-1", *map(str, range(98))])
PROJECT_LISTS: dict[str, tuple[str, Sequence[tuple[str, dict[str, str]]]]] = {
    "page 1 for each page": ("1 of 3", [("p-0 p-1", {**TOTAL, **NEXT})]),
    "page 1 for each page, without a total": ("2 of 4", [("p-0 p-1", NEXT)]),
    "100 for each page": ("100 of 200", [(MANY, {})]),
    "an empty page": ("1 of 3", [("p-0 p-1", {**TOTAL, **NEXT}), ("", TOTAL)]),
    "a project twice": ("1 of 3", [("p-0 p-1 p-0", {**TOTAL, **LAST})]),
    "a project twice, without a total": ("1 of 3", [("p-0 p-1 p-0", {})]),
    "a project on two pages": ("1 of 3", [("p-0 p-1", NEXT), ("p-1", LAST), ("", {})]),
    "a larger total": ("8 of 10", [("p-0 p-1", {"X-Total": "10"}), ("", {})]),
    "a smaller total": ("", [("p-0 p-1", {"X-Total": "1"})]),
    "a total of the first page": ("", [(MANY, {"X-Total": "100", **LAST}), ("99 100", LAST), ("", {})]),
    "all on each page": ("", [(f"{MANY} 99", {})]),
    "all": ("", [("p-0 p-1", {})]),
    "two pages": ("", [("p-0 p-1", {**TOTAL, **NEXT}), ("p-2", TOTAL)]),
}


@pytest.mark.parametrize(("missing", "pages"), PROJECT_LISTS.values(), ids=PROJECT_LISTS)
def test_projects_that_are_not_listed_are_missing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, missing: str, pages: Sequence[tuple[str, dict[str, str]]]
) -> None:
    service = ListedProjects([Project("p-0", "p-0"), Project("p-1", "p-1")], pages=tuple(pages))
    result = run_virtually(capfd, tmp_path, service, "projects")
    assert result.code == (3 if missing else 0)
    assert ("projects cannot be read" in result.err) is bool(missing)
    assert missing in result.err
    assert len(result.records) == len({one for ids, _ in pages for one in ids.split()})


@pytest.mark.parametrize("named", ["1", "3", "99"])
def test_no_page_is_left_out_if_another_is_named_as_the_next(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, named: str
) -> None:
    """By a service that reports nothing else."""

    class Service(VirtualService):
        def _answer(self, request: httpx.Request) -> httpx.Response:
            response = super()._answer(request)
            if request.url.path.endswith("/uploads"):
                return httpx.Response(200, content=response.content, headers={"X-Next-Page": named})
            return response

    uploads = [an_upload(f"{number}.bin") for number in range(18)]
    result = run_virtually(capfd, tmp_path, Service([Project("p-0", "Alpha", uploads)]), "list")
    assert (result.code, len(result.records)) == (0, 18)


@pytest.mark.parametrize(
    ("names", "listed", "code"),
    [
        ("", "p-0 P-1 p-1", 0),
        ("p-0", "p-0", 0),
        ("Alpha", "p-0 p-1", 0),
        ("P-1", "P-1", 0),
        ("P-0", "p-0", 0),
        ("nowhere", "", 5),
        ("nowhere Beta p-1", "P-1 p-1", 5),
    ],
)
def test_a_named_project_is_listed_or_reported(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, names: str, listed: str, code: int
) -> None:
    service = VirtualService([Project("p-0", "Alpha"), Project("P-1", "Beta"), Project("p-1", "Alpha")])
    options = [word for name in names.split() for word in ("--project", name)]
    result = run_virtually(capfd, tmp_path, service, "projects", *options)
    assert ([record["id"] for record in result.records], result.code) == (listed.split(), code)
    assert ("nowhere" in result.err) == ("nowhere" in names)


@pytest.mark.parametrize("hidden", [(), ("X-Total",), ("X-Next-Page",)], ids=str)
@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize(("total", "last_page"), [(8, 2), (5, 1), (10, 2), (5, None)])
def test_a_wrong_total_hides_nothing(
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    total: int,
    last_page: int | None,
    refuses: bool,
    hidden: tuple[str, ...],
) -> None:
    uploads = [an_upload(id=f"u-{number}", project=("p-0", "Genome"), initiated=60 + number) for number in range(15)]
    project = Project("p-0", "Genome", uploads, total=total, last_page=last_page, hidden_headers=frozenset(hidden))
    project.refuses_empty_pages = refuses
    result = run_virtually(capfd, tmp_path, VirtualService([project]), "list")
    assert (result.code, len(result.records)) == (0, 15), result.err


def test_a_project_that_uploads_name_by_id_alone_has_its_name(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Also offline, where it is found by that name."""
    uploads = [an_upload(f"u-{number}", project=("p-0", "Genome"), initiated=60) for number in range(3)]
    for upload in uploads:
        upload["project"] = {"id": "p-0"}
    service = VirtualService([Project("p-0", "Genome", uploads)])
    listed = run_virtually(capfd, tmp_path, service, "list", "--project", "Genome")
    tail = run_virtually(capfd, tmp_path, service, "tail", "--project", "Genome", "--since", "9999d", "--count", "1")
    assert tail.records[0]["upload"]["project"]["name"] == "Genome"
    service.outage = PAGES[0]
    offline = run_virtually(capfd, tmp_path, service, "list", "--project", "Genome")
    assert (offline.code, len(offline.records)) == (0, 3)
    assert {one["project"]["name"] for one in (*listed.records, *offline.records)} == {"Genome"}


KINDS = ("new", "verified", "failed")


class BusyHour:
    """A service of two projects, on which an upload begins every 30 seconds and ends about a minute later, for an hour."""

    def __init__(self) -> None:
        random, began_at = Random(7), advance_virtually(0)
        self.uploads = [
            (began_at + 30 * number, random.choice((0, 1)), random.random() < 0.2, random.uniform(20, 100))
            for number in range(120)
        ]
        self.service = VirtualService([Project("p-0", NAMES[0]), Project("p-1", NAMES[1])], per_page=50)

    def refresh(self, service: VirtualService) -> None:
        """Set the uploads as they are now; it takes half a second."""
        seconds = advance_virtually(0.5)
        for index, project in enumerate(service.projects):
            project.uploads = [
                self._resource(number, seconds, project)
                for number, (begins_at, owner, _, _) in reversed([*enumerate(self.uploads)])
                if owner == index and begins_at <= seconds
            ]

    def _resource(self, number: int, seconds: float, project: Project) -> dict[str, object]:
        begins_at, _, is_bad, takes_seconds = self.uploads[number]
        age, over = seconds - begins_at, seconds - begins_at - takes_seconds
        return an_upload(
            f"u-{number}",
            project=(project.id, project.name),
            initiated=age,
            completed=over + 10 if over > -10 else None,
            verified=over if over > 0 and not is_bad else None,
            error=over if over > 0 and is_bad else None,
            now=NOW + timedelta(seconds=seconds),
        )

    def figures(self) -> Counter[str]:
        """How many uploads are known now, and how many of them were verified or failed."""
        figures: Counter[str] = Counter()
        for upload in (upload for project in self.service.projects for upload in project.uploads):
            status = upload["status"]
            figures["new"] += 1
            figures["verified"] += bool(status["verified_on"])
            figures["failed"] += bool(status["error_on"])
        return figures


CRASHES = {4: 0, 8: 1}
"""Reports that are interrupted after they were printed, and the number of projects that are saved by then."""


def test_successive_reports_count_each_change_once_also_after_a_crash(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hour, counted, crashed = BusyHour(), Counter[tuple[str, str]](), set[tuple[str, str]]()
    for call in range(12):
        advance_virtually(300)
        hour.service.changes = dict.fromkeys((2, 3, 4), hour.refresh)
        hour.refresh(hour.service)
        at_start = hour.figures()
        with pytest.MonkeyPatch.context() as patch:
            if call in CRASHES:
                patch.setattr(upload_tui.monitor, "save_last_visit", crashing(CRASHES[call]), raising=False)
            result = run_virtually(capfd, tmp_path, hour.service, "report", "--since", "last", "-o", "json")
        assert (result.code == 0) is (call not in CRASHES)
        at_end, news = hour.figures(), json.loads(result.out)[0]["changes"]
        shown = {(kind, upload_id) for kind in KINDS for upload_id in news[kind]}
        again = shown & {*counted}
        counted.update(shown)
        for kind in KINDS:
            assert at_start[kind] <= len([one for one in counted if one[0] == kind]) <= at_end[kind], (call, kind)
        if CRASHES.get(call - 1):  # what was saved of one project is not repeated
            assert set() < again < crashed
        else:
            assert again == (crashed if call - 1 in CRASHES else set())
        crashed = shown
    assert len(counted) > 200


def crashing(saved: int) -> Callable[[Path, LastVisit], None]:
    """A function that saves so many visits and is interrupted then."""
    calls = count()

    def save(file: Path, visit: LastVisit) -> None:
        if next(calls) >= saved:
            raise KeyboardInterrupt
        save_last_visit(file, visit)

    return save


class StoppedService(VirtualService):
    """A service that accepts requests and answers none from `stops_after_seconds` on, as one that got SIGSTOP."""

    stops_after_seconds: float = 20.0

    def client(self) -> ServiceClient:
        async def answer(request: httpx.Request) -> httpx.Response:
            if advance_virtually(0) >= self.stops_after_seconds:
                await asyncio.Event().wait()
            return self.answer(request)

        credentials, clock = Credentials(token="t"), VirtualClock()
        return ServiceClient(URL, credentials, transport=httpx.MockTransport(answer), clock=clock)


@pytest.mark.parametrize(("seconds", "is_live"), [(19, True), (30, False), (60, False), (600, False)])
def test_a_service_that_answers_no_more_is_not_live(seconds: float, is_live: bool) -> None:
    """Within ten seconds, and with the age of what is shown."""
    uploads = [an_upload(f"u-{number}", project=("p-0", "Genome"), initiated=60) for number in range(3)]
    shown = watch_virtually(StoppedService([Project("p-0", "Genome", uploads)]), seconds)
    assert len(shown.rows) == 3
    assert shown.connection.is_live is is_live
    age = (NOW + timedelta(seconds=seconds) - shown.connection.as_of(NOW + timedelta(seconds=seconds))).total_seconds()
    assert seconds - 21 < age < seconds - 15 if not is_live else age == 0


@pytest.mark.parametrize("seconds", [-1200, 3600], ids=["behind", "ahead"])
def test_ages_and_times_ago_count_by_the_clock_of_the_service(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, seconds: int
) -> None:
    uploads = [
        an_upload(name, initiated=age + 30 - seconds, completed=age + 20 - seconds, verified=age - seconds)
        for name, age in (("new", 100), ("old", 900))
    ]
    service = VirtualService([Project("p-1", "Genome", uploads)], date_seconds=seconds)
    by_option = run_virtually(capfd, tmp_path, service, "list", "--since", "10m")
    by_query = run_virtually(capfd, tmp_path, service, "list", "--where", "since:10m")
    assert [one["name"] for one in by_option.records] == [one["name"] for one in by_query.records] == ["new"]
    (report,) = run_virtually(capfd, tmp_path, service, "report", "--since", "10m", "--output", "jsonl").records
    assert (len(report["changes"]["new"]), len(report["changes"]["verified"])) == (1, 1)
    past = run_virtually(capfd, tmp_path, service, "tail", "--since", "10m", "--count", "1").records
    assert [one["upload"]["name"] for one in past] == ["new"]
    lines = run_virtually(capfd, tmp_path, service, "list", "--output", "table").out.splitlines()
    assert ["1m 40s" in lines[1], "15m" in lines[2]] == [True, True]


def test_an_upload_that_moves_to_another_project_is_reported_once(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    alpha, beta = Project("p-0", "Alpha"), Project("p-1", "Beta")
    service = VirtualService([alpha, beta])
    reported = Counter[str]()
    pending, verified = {"initiated": 60, "completed": 50}, {"initiated": 60, "completed": 50, "verified": 40}
    for home, stages in ((alpha, pending), (beta, pending), (beta, verified), (alpha, verified), (beta, verified)):
        alpha.uploads, beta.uploads = [], []
        home.uploads = [an_upload("scan", project=(home.id, home.name), **stages)]  # type: ignore[arg-type]
        (report,) = run_virtually(capfd, tmp_path, service, "report", "--since", "last", "-o", "jsonl").records
        reported.update({name: len(ids) for name, ids in report["changes"].items() if isinstance(ids, list)})
    assert (reported["new"], reported["verified"]) == (1, 1)


@pytest.mark.parametrize(
    ("options", "is_down", "code"), [("", False, 2), ("--fail-on-error", False, 1), ("--fail-on-error", True, 3)]
)
def test_a_report_that_cannot_be_recorded_keeps_its_verdict(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, options: str, is_down: bool, code: int
) -> None:
    failed = Project("p-0", "Alpha", [an_upload("scan", completed=20, error=10)])
    broken = Project("p-1", "Beta", [an_upload("scan")], error=500)
    service = VirtualService(
        [broken, Project("p-0", "Alpha", [an_upload("good", verified=10)])] if is_down else [failed]
    )
    (tmp_path / "xdg_state_home").write_text("no folder", encoding="utf-8")
    result = run_virtually(capfd, tmp_path, service, "report", "--since", "last", *options.split(), "-o", "jsonl")
    assert (result.code, "Cannot save this visit" in result.err, len(result.records)) == (code, True, 1)


def test_a_project_is_found_by_its_id_in_another_case(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    row = an_upload("scan", project=("P-1", "Genome"))
    service = VirtualService([Project("p-1", "Genome", [row]), Project("p-2", "Proteome", [an_upload("other")])])
    for outage in (None, (503, b"{}")):
        service.outage = outage
        result = run_virtually(capfd, tmp_path, service, "list", "--project", "P-1")
        (upload,) = result.records
        assert (upload["name"], upload["project"]["id"], upload["anomalies"]) == ("scan", "p-1", [])
        assert result.code == 0
