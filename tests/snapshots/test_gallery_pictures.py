"""The widgets in each of their states, in an app other than the dashboard."""

from collections.abc import Callable

import pytest

from upload_tui.testing import deterministic
from upload_tui.testing.gallery import GalleryApp

Compare = Callable[..., bool]


@pytest.mark.parametrize(("tab", "lines"), [("table", 50), ("funnel", 24), ("timeline", 76), ("chunks", 56)], ids=str)
def test_widgets(snap_compare: Compare, tab: str, lines: int) -> None:
    """Each state has its caption above it, and matches it."""
    assert snap_compare(deterministic(GalleryApp(initial_tab=tab)), terminal_size=(100, lines))


@pytest.mark.parametrize("theme", ["textual-light", "textual-dark"])
def test_themes_that_are_not_ours(snap_compare: Compare, theme: str) -> None:
    """Stages keep their colours, and all text is readable, on a light and on a dark background."""
    assert snap_compare(deterministic(GalleryApp(theme)), terminal_size=(80, 24))
