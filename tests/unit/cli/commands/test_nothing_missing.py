"""Whatever a service answers: each upload that it lists is shown, or counted as missing, by every command.

`PYTEST_SERVICE_HISTORIES` sets how many are generated.
"""

import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.cli.virtual_program import Project, Result, World, run_virtually

from upload_tui.testing import an_upload

HISTORIES = int(os.environ.get("PYTEST_SERVICE_HISTORIES", "8"))
NAMES = ("Genome", "Proteome", "Imaging")
STAGES = (
    {"initiated": 50},
    {"initiated": 60, "completed": 10},
    {"initiated": 60, "completed": 50, "verified": 40},
    {"initiated": 60, "completed": 50, "error": 40},
)


@st.composite
def projects(draw: st.DrawFn, number: int) -> Project:
    project_id = f"p-{number}"
    stages = draw(st.lists(st.sampled_from(STAGES), max_size=13))
    uploads = [
        an_upload(f"{project_id}-{index}", project=(project_id, NAMES[number]), **{**stage, "initiated": 60 + index})  # type: ignore[arg-type]
        for index, stage in enumerate(stages)
    ]
    ids = [str(upload["id"]) for upload in uploads]
    return Project(
        project_id,
        NAMES[number],
        uploads,
        error=draw(st.sampled_from([0, 0, 0, 500, 403, 404])),
        unreadable=draw(st.frozensets(st.sampled_from(ids), max_size=2)) if ids else frozenset(),
        total=draw(st.sampled_from([None, None, 0, 3, 5, 10, 30])),
        hidden_headers=draw(st.frozensets(st.sampled_from(["X-Total", "X-Next-Page", "X-Per-Page"]), max_size=3)),
        repeats_page=draw(st.sampled_from([False, False, False, True])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    number = draw(st.integers(1, 3))
    date_seconds = draw(st.sampled_from([0.0, 0.0, 1200.0, -600.0, 400 * 86400.0]))
    return World([draw(projects(index)) for index in range(number)], date_seconds)


def shown_ids(command: str, result: Result) -> set[str]:
    records = result.records
    return {record["upload"]["id"] if command == "tail" else record["id"] for record in records}


def not_shown(world: World, shown: set[str]) -> Iterator[tuple[Project, str]]:
    """Each listed upload that is not shown. What a service hides on pages that it does not return cannot be known."""
    for project in world.projects:
        listed = project.uploads[: world.per_page] if project.repeats_page else project.uploads
        for upload in listed:
            if upload["id"] not in shown:
                yield project, str(upload["id"])


@settings(
    max_examples=HISTORIES,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(worlds())
def test_every_listed_upload_is_shown_or_reported_as_missing(capfd: pytest.CaptureFixture[str], world: World) -> None:
    with TemporaryDirectory() as folder:
        homes = (Path(folder) / str(number) for number in count())
        for command in (("list",), ("tail", "--since", "9999d")):
            result = run_virtually(capfd, next(homes), world, *command)
            for project, upload_id in not_shown(world, shown_ids(command[0], result)):
                assert result.code not in {0, 70}, (command, upload_id, result)
                # A command names the project if there are several.
                assert project.name in result.err or (len(world.projects) == 1 and result.err), (command, result)
        report = run_virtually(capfd, next(homes), world, "report", "-o", "json")
        if report.code == 0:
            assert json.loads(report.out)[0]["total"] >= len([*not_shown(world, set())])
        names = [word for project in world.projects for word in ("--project", project.name)]
        wait = run_virtually(capfd, next(homes), world, "wait", *names, "--timeout", "4s")
        if wait.code == 0:
            assert not any(project.error or project.unreadable for project in world.projects)
            assert all(
                upload["status"]["verified_on"]
                for project in world.projects
                for upload in project.uploads
                if not upload["status"]["error_on"]
            )
        assert wait.code != 70
        verdict = run_virtually(capfd, next(homes), world, "list", "--fail-on-error")
        if verdict.code == 0:
            assert not any(upload["status"]["error_on"] for project in world.projects for upload in project.uploads)
