"""With several projects or services, Waiting and Activity name the project of each line, as the table does."""

from collections.abc import Sequence
from typing import Any

import pytest
from textual.widget import Widget

from tests.tui.dashboards import until
from upload_tui.monitor import CombinedSession
from upload_tui.testing import FrozenClock, InMemorySession, an_upload, dashboard, settled
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.pending_list import PendingList

PROJECTS = [("p-0", "Genome"), ("p-1", "Plates")]


def publish(session: InMemorySession) -> None:
    """A stuck upload and one that is being sent, both new, in each project."""
    for project in session.projects:
        place: dict[str, Any] = {"project": (project.id, project.name)}
        session.publish(
            an_upload(f"simulation-{project.id}.h5", initiated=9000, completed=8000, **place),
            an_upload(f"reads_S7_R2-{project.id}.gz", initiated=60, chunks=(1, 2), **place),
        )


def sessions(kind: str) -> Sequence[InMemorySession]:
    if kind != "two services":
        return [InMemorySession(projects=PROJECTS[: 1 if kind == "one project" else 2])]
    clock = FrozenClock()
    roots = {name: f"https://{name}.example.org" for name in ("east", "west")}
    return [InMemorySession(clock=clock, title=name, service=root) for name, root in roots.items()]


def lines(widget: Widget) -> list[str]:
    """The lines with an upload."""
    texts = [widget.render_line(y).text for y in range(widget.size.height)]
    return [text for text in texts if text.strip()]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize(
    ("kind", "names"),
    [("one project", set()), ("two projects", {"Genome", "Plates"}), ("two services", {"east/Ge", "west/Ge"})],
)
async def test_each_line_names_its_project_if_there_are_several(
    kind: str, names: set[str], size: tuple[int, int]
) -> None:
    parts = sessions(kind)
    app = dashboard(CombinedSession(parts) if len(parts) > 1 else parts[0])
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for part in parts:
            publish(part)
        log = app.screen.query_one(ChangeLogView)
        await until(pilot, lambda: len(log.shown_changes) == (3 if kind == "one project" else 6))
        await settled(pilot)
        for shown in map(lines, (app.screen.query_one(PendingList), log)):
            places = [{word[:7] for word in line.split()} & {*names, "Genome"} for line in shown]
            assert [len(place) for place in places] == [len(names) // 2] * len(shown), shown
            assert set[str]().union(*places) <= names, shown
    for part in parts:
        part.close()
