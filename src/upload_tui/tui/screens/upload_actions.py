"""The base classes of screens that show uploads: what their keys copy and export."""

import asyncio
import io
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence

from textual.screen import Screen
from textual.widget import Widget

from upload_tui.monitor import Change, Detail, Query, Session
from upload_tui.text import plural, sanitize
from upload_tui.tui.messages import ExportReady
from upload_tui.wire import curl_command

__all__ = ["CopyScreen", "ExportScreen"]


class CopyScreen(Screen[None]):
    """A screen that shows uploads and copies the selected ones."""

    @abstractmethod
    def selection(self) -> Sequence[Detail]:
        """The uploads that the copy keys apply to."""

    @abstractmethod
    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show the picture as it is now. `changes` are those of uploads since the last call."""

    def show_one_pane(self, panes: Iterable[Widget], focused: Widget) -> None:
        """Give the other panes the class `-aside`, which hides them on a small screen.

        Nothing changes if no pane has or contains the focus, for example during a search.
        """
        active, panes = {*focused.ancestors_with_self}, [*panes]
        if not active.isdisjoint(panes):
            for pane in panes:
                pane.set_class(pane not in active, "-aside")

    def action_copy_id(self) -> None:
        """Copy the id of the selection."""
        self._copy("id", lambda detail: sanitize(detail.upload.id))

    def action_copy_json(self) -> None:
        """Copy the raw response of the selection."""
        self._copy("response", lambda detail: detail.raw)

    def action_copy_curl(self) -> None:
        """Copy the request as a curl command."""
        self._copy("request", lambda detail: curl_command(detail.row.service, detail.upload.id))

    def _copy(self, noun: str, text_of: Callable[[Detail], str]) -> None:
        texts = [text_of(detail) for detail in self.selection()]
        if texts:
            self.app.copy_to_clipboard("\n".join(texts))
            self.notify(f"Copied {plural(len(texts), noun)}", timeout=2)


class ExportScreen(CopyScreen):
    """A screen with a table of uploads and a log of changes, which it exports."""

    @abstractmethod
    def visible_query(self) -> tuple[Session, Query]:
        """The session and the query of the table."""

    @abstractmethod
    def marked_ids(self) -> Sequence[str]:
        """The marked uploads, which are exported instead of all; empty if none is."""

    @abstractmethod
    def visible_changes(self) -> Sequence[Change]:
        """The changes that the log shows."""

    def action_export(self) -> None:
        """Choose what to export in a menu."""
        from upload_tui.tui.screens.menu import export_menu

        self.app.push_screen(export_menu(len(self.marked_ids())), self._export)

    def _export(self, kind: str | None) -> None:
        if kind is not None:
            self.run_worker(self._compose_file(kind), exclusive=True, group="export")

    async def _compose_file(self, name: str) -> None:
        """Compose the text in parts, so that keys still work meanwhile, then post it."""
        from upload_tui.tui.exports import ExportKind, changes_text, file_name, upload_texts

        kind = ExportKind(name)
        session, query = self.visible_query()
        file = io.StringIO()
        match kind:
            case ExportKind.SVG:
                file.write(self.app.export_screenshot())
            case ExportKind.JSONL:
                file.write(changes_text(self.visible_changes()))
            case _:
                for text in upload_texts(session, query, kind, frozenset(self.marked_ids())):
                    file.write(text)
                    await asyncio.sleep(0)
        file.seek(0)
        self.post_message(ExportReady(file, file_name(kind, session.now())))
