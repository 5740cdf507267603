"""The bottom line: the keys that work now, the most important first. Help, quit and the command palette are always shown."""

from collections.abc import Iterable, Sequence

from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.screen import Screen
from textual.style import Style

from upload_tui.tui.keys.bindings import FOOTER_FIRST, FOOTER_LAST
from upload_tui.tui.widgets.base.diffed_text import DiffedText

__all__ = ["KeyFooter"]

_GAP = "  "


class KeyFooter(DiffedText):
    """One line of keys; a click on one presses it. A key that does not fit completely is left out."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.auto_links = False

    def on_mount(self) -> None:
        """Update the keys when the bindings change."""
        self.screen.bindings_updated_signal.subscribe(self, self._refresh_keys)

    def _refresh_keys(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.refresh_changed()

    def text(self) -> Content:
        """As many keys as fit, then those that are always shown."""
        bindings = _sorted_bindings(self.screen.active_bindings.values())
        right = [self._item(binding) for binding in bindings if binding.id in FOOTER_LAST]
        room = self.size.width - 2 - sum(item.cell_length + len(_GAP) for item in right)
        left: list[Content] = []
        for item in (self._item(binding) for binding in bindings if binding.id not in FOOTER_LAST):
            if item.cell_length > room:
                break
            left.append(item)
            room -= item.cell_length + len(_GAP)
        gap = Content(" " * max(0, room + len(_GAP) * (2 if left else 1)))
        return Content.assemble(" ", Content(_GAP).join(left), gap, Content(_GAP).join(right))

    def _item(self, binding: Binding) -> Content:
        key = self.app.get_key_display(binding)
        press = Style.from_meta({"@click": f"app.simulate_key({binding.key!r})"})
        return Content.assemble((key, "$primary bold"), " ", binding.description).stylize(press)


def _sorted_bindings(active: Iterable[ActiveBinding]) -> Sequence[Binding]:
    """The bindings to show, one for each action, in the footer's order."""
    by_action: dict[str, Binding] = {}
    for each in active:
        if each.enabled and (each.binding.show or each.binding.id in FOOTER_LAST):
            by_action.setdefault(each.binding.action, each.binding)
    return sorted(by_action.values(), key=lambda binding: _position(binding.id))


def _position(binding_id: str | None) -> int:
    order = (*FOOTER_FIRST, None, *FOOTER_LAST)
    return order.index(binding_id if binding_id in order else None)
