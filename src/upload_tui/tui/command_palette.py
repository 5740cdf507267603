"""The command palette: the active bindings with their keys, and the themes; and all bindings, whose owners it imports."""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

from textual.binding import Binding
from textual.command import CommandInput, CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode
from textual.screen import Screen
from textual.system_commands import SystemCommandsProvider

from upload_tui.tui.bindings import ALL_KEYS, keys_of, keys_text
from upload_tui.tui.bridge import ThemeChosen
from upload_tui.tui.screens.columns import ColumnScreen
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.screens.history import HistoryScreen
from upload_tui.tui.screens.menu import MenuScreen, ViewMenu
from upload_tui.tui.screens.projects import ProjectScreen
from upload_tui.tui.screens.prompts import PromptScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.statistics import FailureScreen, LatencyScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.footer import SearchBar

__all__ = [
    "ActionCommands",
    "Palette",
    "ThemeCommands",
    "ThemePalette",
    "action_commands",
    "action_ids",
    "bindings_by_owner",
]

_CLASSES: tuple[type[DOMNode], ...] = (
    UploadScreen,
    SearchBar,
    HelpScreen,
    MenuScreen,
    ProjectScreen,
    ViewMenu,
    ColumnScreen,
    PromptScreen,
    FailureScreen,
    LatencyScreen,
    HistoryScreen,
    ShapesScreen,
)


def bindings_by_owner() -> Iterator[tuple[str, Binding]]:
    """Each binding, with the name of the screen or widget that defines it."""
    yield from (("dashboard", key) for key in ALL_KEYS)
    for owner in _CLASSES:
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)  # noqa: S101  # a tuple would have no id
            yield owner.__name__, binding


def action_ids() -> list[str]:
    """The ids that the setting `keys` accepts, sorted."""
    return sorted({str(binding.id) for _, binding in bindings_by_owner()})


def action_commands(screen: Screen[object]) -> Iterable[tuple[str, str, Callable[[], Coroutine[Any, Any, bool]]]]:
    """The title with keys, the description and the callback of each active binding of a screen."""
    for active, keys in keys_of(screen):
        binding, title = active.binding, f"{active.binding.description}  ({keys_text(keys)})"
        if binding.id != "palette":  # it is already open
            yield title, binding.tooltip, partial(screen.app.run_action, binding.action, active.node)


class Palette(CommandPalette):
    """Textual's command palette in the frame of the other dialogs."""

    FRAME_TEXTS: ClassVar[tuple[str, str]] = "Commands", "Enter run, Esc close"

    def on_mount(self) -> None:
        """Add the title; without animations, nothing blinks."""
        self.query_one(CommandInput).cursor_blink = self.app.animation_level != "none"
        box = self.query_one("#--container")
        box.border_title, box.border_subtitle = self.FRAME_TEXTS

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:  # Textual's list has no lines before it is laid out
            super()._action_command_list(action)


class ThemePalette(Palette):
    """The palette with the themes."""

    FRAME_TEXTS = "Themes", "Enter choose, Esc close"


class ActionCommands(SystemCommandsProvider):
    """Commands, found by title or, with half the score, by description."""

    async def search(self, query: str) -> Hits:
        """Yield the commands that match."""
        matcher = self.matcher(query)
        for title, description, callback, *_ in self.app.get_system_commands(self.screen):
            score = max(matcher.match(title), matcher.match(description) / 2)
            if score > 0:
                yield Hit(score, matcher.highlight(title), callback, help=description)


class ThemeCommands(Provider):
    """Themes: the user's own and those of upload-tui before Textual's."""

    @property
    def _names(self) -> list[str]:
        from textual.theme import BUILTIN_THEMES

        return sorted(self.app.available_themes, key=lambda name: (name in BUILTIN_THEMES, name))

    async def discover(self) -> Hits:
        """Yield all themes."""
        for name in self._names:
            yield DiscoveryHit(name, partial(self._choose, name))

    async def search(self, query: str) -> Hits:
        """Yield the themes whose names match."""
        matcher = self.matcher(query)
        for name in self._names:
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), partial(self._choose, name))

    def _choose(self, name: str) -> None:
        self.app.post_message(ThemeChosen(name))
