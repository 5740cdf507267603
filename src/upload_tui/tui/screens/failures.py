"""The dialog of failures by cause, storage provider and uploader. Enter filters the table by a group."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.monitor import CauseGroup, Session
from upload_tui.text import sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.keys.bindings import HELP_KEY
from upload_tui.tui.keys.labels import key_of
from upload_tui.tui.screens.live_dialog import LiveDialog
from upload_tui.tui.screens.menu import OptionScreen

__all__ = ["FailureScreen"]


class FailureScreen(LiveDialog[CauseGroup | None], OptionScreen[CauseGroup | None]):
    """A dialog that returns the chosen group; None if it was closed.

    Args:
        session: the session whose failures are shown.
        display_options: how to show times.
        project_ids: only failures of these projects; empty for all.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,F", "dismiss(None)", "Close", id="failures.close", tooltip="Close this dialog"),
        HELP_KEY,
        Binding("j", "cursor(1)", "Down", show=False, id="failures.down", tooltip="Next cause"),
        Binding("k", "cursor(-1)", "Up", show=False, id="failures.up", tooltip="Previous cause"),
    ]

    def __init__(
        self, session: Session, display_options: DisplayOptions, project_ids: frozenset[str] = frozenset()
    ) -> None:
        super().__init__()
        self._session = session
        self._display_options = display_options
        self._project_ids = project_ids
        self._groups: Sequence[CauseGroup] = ()

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        menu = OptionList(id="failures")
        menu.border_subtitle = f"Enter show, {key_of(self, 'failures.close')} close"
        yield menu

    def on_mount(self) -> None:
        """Show what is known."""
        self.refresh_picture()  # the first frame shows what is known

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        self._groups = self._session.causes(self._project_ids)
        menu = self.query_one(OptionList)
        menu.border_title = f"Failures by cause ({sum(group.count for group in self._groups):,})"
        self.replace_options([(_key(group), self._text(group)) for group in self._groups])
        if not self._groups and not menu.option_count:
            menu.add_option(Option("No upload has failed.", disabled=True))

    def _text(self, group: CauseGroup) -> Content:
        now, options = self._session.now(), self._display_options
        ago = "" if options.absolute_times else " ago"
        where = f" {options.glyphs.dot} ".join(part for part in (group.storage_provider, group.uploader) if part)
        return Content.assemble(
            (f"{group.count:>7,}  ", "$stage-error bold"),
            (sanitize(group.cause), ""),
            (f"\n{'':9}{sanitize(where)}, " if where else f"\n{'':9}", "$quiet"),
            (
                f"first {options.time_text(group.first_on, now)}{ago}, last {options.time_text(group.last_on, now)}{ago}",
                "$quiet",
            ),
        )

    @on(OptionList.OptionSelected)
    def choose_group(self, event: OptionList.OptionSelected) -> None:
        """Close the screen with the chosen group."""
        self.dismiss(self._groups[event.option_index])


def _key(group: CauseGroup) -> tuple[str, str, str]:
    return group.cause, group.storage_provider, group.uploader
