"""The command palette: what can be done here with the keys that do it, and the themes. Imported when it is opened."""

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
    """Each action that works on a screen with its keys, what it does in more words, and how to do it."""
    for active, keys in keys_of(screen):
        binding, title = active.binding, f"{active.binding.description}  ({keys_text(keys)})"
        if binding.id != "palette":  # it is open
            yield title, binding.tooltip, partial(screen.app.run_action, binding.action, active.node)


class ActionCommands(SystemCommandsProvider):
    """All actions, found by what they are called and, less, by what they do."""

    async def search(self, query: str) -> Hits:
        """The actions that a query may mean."""
        matcher = self.matcher(query)
        for name, does, callback, *_ in self.app.get_system_commands(self.screen):
            score = max(matcher.match(name), matcher.match(does) / 2)
            if score > 0:
                yield Hit(score, matcher.highlight(name), callback, help=does)


class ThemeCommands(Provider):
    """The themes: the person's own and ours before Textual's."""

    @property
    def _names(self) -> list[str]:
        from textual.theme import BUILTIN_THEMES

        return sorted(self.app.available_themes, key=lambda name: (name in BUILTIN_THEMES, name))

    async def discover(self) -> Hits:
        """All of them."""
        for name in self._names:
            yield DiscoveryHit(name, partial(self._choose, name))

    async def search(self, query: str) -> Hits:
        """Those whose names a query may mean."""
        matcher = self.matcher(query)
        for name in self._names:
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), partial(self._choose, name))

    def _choose(self, name: str) -> None:
        self.app.post_message(ThemeChosen(name))
