"""Which pane is shown where there is room for one only: the one that had the focus last. The sheets say where that is."""

from collections.abc import Iterable

from textual.widget import Widget

__all__ = ["show_one_pane"]


def show_one_pane(panes: Iterable[Widget], focused: Widget) -> None:
    """Let the panes that neither have nor hold the focus be `-aside`; all stay as they are if it is in none: in a search, say."""
    shown, panes = {*focused.ancestors_with_self}, [*panes]
    if not shown.isdisjoint(panes):
        for pane in panes:
            pane.set_class(pane not in shown, "-aside")
