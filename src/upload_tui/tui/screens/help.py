"""The help dialog: the stages, and the keys of the screen and pane where `?` was pressed."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widget import Widget

from upload_tui.text import plural
from upload_tui.tui.keys.help_text import KeyHelp, grouped, help_lines
from upload_tui.tui.keys.labels import key_of

__all__ = ["HelpScreen"]

_STATE_MODEL = (
    ("initiated", "the client is sending chunks"),
    ("completed", "the client has sent all chunks; verification is pending"),
    ("verified", "every check passed: the file is safe"),
    ("error", "a check or the storage failed: upload the file again"),
)
_TIMES_NOTE = "Times: reported, ~estimated, or a range when only observed"


class _HelpText(Widget):
    """The four stages and the keys, as one text."""

    def __init__(self, keys: Sequence[KeyHelp]) -> None:
        super().__init__(id="help-text")
        self._groups = grouped(keys)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> Sequence[Content]:
        return [*self._stage_lines(width), *help_lines(self._groups, width)]

    def _stage_lines(self, width: int) -> Iterator[Content]:
        for stage, meaning in _STATE_MODEL:
            yield from Content.assemble((f"{stage:<11}", f"$stage-{stage} bold"), (meaning, "")).wrap(width)
        yield from Content.styled(_TIMES_NOTE, "$quiet").wrap(width)


class HelpScreen(ModalScreen[None]):
    """The help for these keys. The frame shows how many lines are below.

    Args:
        keys: the keys that were active when the help was opened.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", id="help.close", tooltip="Close this dialog"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up"),
        Binding("g,home", "scroll(-10_000)", "First", show=False, id="help.first", tooltip="Scroll to the top"),
        Binding("G,end", "scroll(10_000)", "Last", show=False, id="help.last", tooltip="Scroll to the end"),
    ]

    def __init__(self, keys: Sequence[KeyHelp]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            yield _HelpText(self._keys)

    def on_mount(self) -> None:
        """Keep the subtitle current while the help is scrolled."""
        self.watch(self.query_one("#help"), "scroll_y", self._update_subtitle)
        self.watch(self.query_one("#help"), "virtual_size", self._update_subtitle_later)

    def on_resize(self) -> None:
        """Update the subtitle after the layout."""
        self._update_subtitle_later()

    def _update_subtitle_later(self) -> None:
        self.call_after_refresh(self._update_subtitle)  # the layout has to be done first

    def _update_subtitle(self) -> None:
        box = self.query_one("#help", VerticalScroll)
        below = box.max_scroll_y - box.scroll_offset.y
        close = f"{key_of(self, 'help.close')} close"
        box.border_subtitle = f"{plural(below, 'more line')}, {close}" if below > 0 else close

    def action_scroll(self, lines: int) -> None:
        """Scroll by this many lines."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)
