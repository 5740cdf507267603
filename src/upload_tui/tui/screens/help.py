"""What the keys do, for the place where a person pressed `?`."""

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
    ("initiated", "the client began, and sends chunks"),
    ("completed", "all chunks are sent, says the client; a worker checks"),
    ("verified", "stored, and every check passed: the file is safe"),
    ("error", "a check failed, or storing did: upload it again"),
)
_TIMES_NOTE = "Times are reported, ~estimated, or seen-between two readings."


class _HelpText(Widget):
    """The state model in four lines, and the keys."""

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
    """The keys in force, grouped, and the state model; says so when there is more below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", id="help.close", tooltip="Close the help"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up"),
        Binding("g,home", "scroll(-10_000)", "First", show=False, id="help.first", tooltip="Scroll to the top"),
        Binding("G,end", "scroll(10_000)", "Last", show=False, id="help.last", tooltip="Scroll to the end"),
    ]

    def __init__(self, keys: Sequence[KeyHelp]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            yield _HelpText(self._keys)

    def on_mount(self) -> None:
        self.watch(self.query_one("#help"), "scroll_y", self._update_subtitle)
        self.watch(self.query_one("#help"), "virtual_size", self._update_subtitle_later)

    def on_resize(self) -> None:
        self._update_subtitle_later()

    def _update_subtitle_later(self) -> None:
        self.call_after_refresh(self._update_subtitle)  # how much room there is, the layout tells

    def _update_subtitle(self) -> None:
        box = self.query_one("#help", VerticalScroll)
        below = box.max_scroll_y - box.scroll_offset.y
        closes = f"{key_of(self, 'help.close')} closes"
        box.border_subtitle = f"{plural(below, 'line')} more below, {closes}" if below > 0 else closes

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)
