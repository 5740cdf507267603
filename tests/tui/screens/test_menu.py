"""The menus."""

from textual.app import App
from textual.widgets import OptionList

from upload_tui.testing import InMemorySession
from upload_tui.tui.screens.menu import ProjectScreen


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
