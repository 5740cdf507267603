"""The menus, and what all dialogs have in common."""

from importlib import import_module
from pkgutil import iter_modules

import pytest
from textual.app import App
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import OptionList

from tests.tui.dashboards import mixed, opened
from upload_tui.monitor import ProjectRef
from upload_tui.testing import InMemorySession, an_upload, settled
from upload_tui.tui import screens
from upload_tui.tui.screens.dialog import Dialog
from upload_tui.tui.screens.projects import ProjectScreen


async def test_projects_with_the_same_name_show_their_ids() -> None:
    session = InMemorySession(projects=[("p-1", "Demo"), ("p-2", "Genome"), ("p-3", "Demo")])
    menu = ProjectScreen(session)
    app: App[None] = App()
    async with app.run_test() as pilot:
        await app.push_screen(menu)
        await pilot.pause()
        session.close()
        lines = [str(option.prompt).removesuffix("0 uploads").rstrip() for option in menu.query_one(OptionList).options]
    assert lines == ["All projects", "Demo  p-1", "Genome", "Demo  p-3"]


def subclasses(base: type[DOMNode]) -> set[type[DOMNode]]:
    """All classes below a class."""
    return {one for each in base.__subclasses__() for one in {each, *subclasses(each)}}


def test_the_rules_of_dialogs_apply_to_each_of_them() -> None:
    """Textual matches a rule with the first base of each class only."""
    for module in iter_modules(screens.__path__):
        import_module(f"{screens.__name__}.{module.name}")
    modal = {one for one in subclasses(ModalScreen) if one.__module__.startswith(f"{screens.__name__}.")}
    assert len(modal) >= 10
    assert [one for one in modal if "Dialog" not in one._css_type_names] == []


async def test_a_dialog_stands_in_the_middle_above_the_dashboard() -> None:
    async with opened(mixed(), (80, 24)) as (pilot, _, _):
        for key in ("p", "question_mark", "T"):
            await pilot.press(key)
            await pilot.pause()
            dialog = pilot.app.screen
            assert isinstance(dialog, Dialog), key
            (box,) = (one.region.grow(one.styles.margin) for one in dialog.children if one.region.area and one.id)
            assert abs(box.x - (80 - box.right)) <= 1, key
            assert abs(box.y - (24 - box.bottom)) <= 1, key
            assert 0 < dialog.styles.background.a < 1, key
            dialog.dismiss(None)
            await pilot.pause()


async def test_the_menu_and_the_table_count_the_same_uploads_of_each_project() -> None:
    """Whatever is gone, acknowledged, or in a state that is no stage."""
    projects = [(f"p-{number}", f"P{number}") for number in range(4)]
    uploads = [
        an_upload(f"{project[0]}-{number}", initiated=9000 - number, project=project)
        for project in projects
        for number in range(5)
    ]
    for upload in uploads[4::5]:
        upload["status"] = {"current": {"state": "held"}}
    async with opened(uploads, (160, 40)) as (pilot, session, table):
        session.projects = tuple(ProjectRef(*project) for project in projects)
        for number, gone in enumerate((0, 1, 4, 5)):
            for upload in uploads[5 * number : 5 * number + gone]:
                session.picture.mark(upload["id"], gone=True)
        session.refresh()
        await settled(pilot)
        for number, gone in enumerate((0, 1, 4, 5)):
            await pilot.press("p")
            await pilot.pause()
            menu = pilot.app.screen.query_one(OptionList)
            lines = [str(option.prompt).split() for option in menu.options]
            assert [line[1:3] for line in lines[1:]] == [["5", "uploads"]] * 4
            menu.highlighted = number + 1
            await pilot.press("enter")
            await settled(pilot)
            title = str(table.border_title)
            assert "Uploads 5 " in title
            assert (f" {gone} gone" in title) is (gone > 0)


@pytest.mark.parametrize("width", [30, 40, 80])
async def test_each_project_has_one_line_with_its_counts_below_each_other(width: int) -> None:
    names = [
        "Proteomics of the Lower Rhine valley, second part, 2025",
        "Proteomics of the Lower Rhine valley, 2026",
        "X",
    ]
    uploads = [
        an_upload(f"{name}.bin", completed=60, error=50, message="no", project=(name, name)) for name in names
    ] + [an_upload("y.bin", project=("X", "X"))]
    async with opened(uploads, (width, 24)) as (pilot, session, _):
        session.projects = tuple(ProjectRef(name, name) for name in names)
        await pilot.press("p")
        await settled(pilot)
        menu = pilot.app.screen.query_one(OptionList)
        assert menu.virtual_size.height == 1 + len(names)  # no line wraps
        lines = [str(option.prompt) for option in menu.options][1:]
        assert len({*lines}) == len(names)
        assert len({line.find("in trouble") for line in lines}) == 1
        assert ("in trouble" in lines[0]) is (width >= 40)
