"""The command palette: the active bindings with their keys, and the themes. Imported when it opens."""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen
from textual.system_commands import SystemCommandsProvider

from upload_tui.tui.keys.labels import keys_of, keys_text
from upload_tui.tui.messages import ThemeChosen

__all__ = ["ActionCommands", "ThemeCommands", "action_commands"]


def action_commands(screen: Screen[object]) -> Iterable[tuple[str, str, Callable[[], Coroutine[Any, Any, bool]]]]:
    """The title with keys, the description and the callback of each active binding of a screen."""
    for active, keys in keys_of(screen):
        binding, title = active.binding, f"{active.binding.description}  ({keys_text(keys)})"
        if binding.id != "palette":  # it is already open
            yield title, binding.tooltip, partial(screen.app.run_action, binding.action, active.node)


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
