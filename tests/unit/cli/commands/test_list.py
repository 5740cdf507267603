"""The ages that `list` prints end when an upload could last be read, as in the dashboard."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.cli.virtual_program import Project, VirtualService, advance_virtually, run_virtually

from upload_tui.testing import an_upload

_QUERY = ("--where", "is:pending OR is:gone", "--sort", "name")


def _fail_second(service: VirtualService) -> None:
    service.projects[1].error = 500


def _go_offline(service: VirtualService) -> None:
    service.outage = (503, b"")


def _delete_uploads(service: VirtualService) -> None:
    service.projects[1].uploads.clear()


@pytest.mark.parametrize(
    ("change", "ages"),
    [
        (lambda _: None, ["", ""]),
        (_fail_second, ["", ">1m 10s"]),
        (_go_offline, [">1m 00s", ">1m 10s"]),
        (_delete_uploads, ["", ">1m 10s"]),
    ],
    ids=["live", "project failing", "offline", "gone"],
)
def test_the_age_of_what_cannot_be_read_ends_with_its_last_reading(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], change: Callable[[VirtualService], None], ages: list[str]
) -> None:
    projects = [
        Project(
            f"p-{number}", name, [an_upload(f"u-{number}", initiated=60 + 10 * number, project=(f"p-{number}", name))]
        )
        for number, name in enumerate(("Genome", "Proteome"))
    ]
    service = VirtualService(projects)
    run_virtually(capfd, tmp_path, service, "list")
    advance_virtually(300)
    change(service)
    records = run_virtually(capfd, tmp_path, service, "list", *_QUERY, "-o", "jsonl").records
    assert [record["name"] for record in records] == ["u-0", "u-1"]
    assert [record["least_age"] for record in records] == [bool(age) for age in ages]
    assert [record["stale"] for record in records] == [bool(age) for age in ages]
    assert [record["gone"] for record in records] == [False, change is _delete_uploads]
    table = run_virtually(capfd, tmp_path, service, "list", *_QUERY, "-o", "table").out
    for line, age in zip(table.splitlines()[1:], ages, strict=True):
        assert f" {age} " in line if age else ">" not in line
    assert ("gone" in table) is (change is _delete_uploads)
