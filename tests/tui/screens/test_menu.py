"""The menus."""

from textual.app import App
from textual.widgets import OptionList

from upload_tui.monitor import ProjectRef
from upload_tui.tui.screens.menu import project_menu


async def test_projects_with_the_same_name_show_their_ids() -> None:
    menu = project_menu([ProjectRef("p-1", "Demo"), ProjectRef("p-2", "Genome"), ProjectRef("p-3", "Demo")])
    app: App[None] = App()
    async with app.run_test() as pilot:
        await app.push_screen(menu)
        await pilot.pause()
        lines = [str(option.prompt) for option in menu.query_one(OptionList).options]
    assert lines == ["All projects", "Demo  p-1", "Genome", "Demo  p-3"]
