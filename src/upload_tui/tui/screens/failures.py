"""Why uploads failed: groups of one cause, storage provider and uploader. Enter goes to one of the group in the table."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.monitor import CauseGroup, Session
from upload_tui.text import plural, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.keys.bindings import HELP_KEY
from upload_tui.tui.keys.labels import key_of

__all__ = ["FailureScreen"]


class FailureScreen(ModalScreen[CauseGroup | None]):
    """Gives the group that was chosen; None if none was."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,F", "dismiss(None)", "Close", id="failures.close", tooltip="Close the failures"),
        HELP_KEY,
        Binding("j", "cursor(1)", "Down", show=False, id="failures.down", tooltip="The next cause"),
        Binding("k", "cursor(-1)", "Up", show=False, id="failures.up", tooltip="The cause before"),
    ]

    def __init__(self, session: Session, display_options: DisplayOptions) -> None:
        super().__init__()
        self._session = session
        self._display_options = display_options
        self._groups = session.causes()

    def compose(self) -> ComposeResult:
        options = [Option(self._text(group)) for group in self._groups]
        menu = OptionList(*options or [Option("No upload has failed.", disabled=True)], id="failures")
        total = sum(group.count for group in self._groups)
        menu.border_title = f"Why uploads failed {self._display_options.glyphs.dot} {plural(total, 'failure')}"
        menu.border_subtitle = f"Enter shows them, {key_of(self, 'failures.close')} closes"
        yield menu

    def _text(self, group: CauseGroup) -> Content:
        now, look = self._session.now(), self._display_options
        ago = "" if look.absolute_times else " ago"
        where = f" {look.glyphs.dot} ".join(part for part in (group.storage_provider, group.uploader) if part)
        return Content.assemble(
            (f"{group.count:>7,}  ", "$stage-error bold"),
            (sanitize(group.cause), ""),
            (f"\n{'':9}{sanitize(where)}, " if where else f"\n{'':9}", "$quiet"),
            (
                f"first {look.time_text(group.first_on, now)}{ago}, last {look.time_text(group.last_on, now)}{ago}",
                "$quiet",
            ),
        )

    @on(OptionList.OptionSelected)
    def choose_group(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._groups[event.option_index])

    def action_cursor(self, rows: int) -> None:
        menu = self.query_one(OptionList)
        if rows > 0:
            menu.action_cursor_down()
        else:
            menu.action_cursor_up()
