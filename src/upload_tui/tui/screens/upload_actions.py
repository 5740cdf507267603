"""What can be taken away from a screen that shows uploads: ids, answers and requests on the clipboard; files."""

import asyncio
import io
from abc import abstractmethod
from collections.abc import Callable, Sequence

from textual.screen import Screen

from upload_tui.monitor import Change, Detail, Query, Session
from upload_tui.text import plural
from upload_tui.tui.messages import ExportReady
from upload_tui.wire import curl_command

__all__ = ["ExportScreen", "CopyScreen"]


class CopyScreen(Screen[None]):
    """A screen with uploads that the copying keys mean."""

    @abstractmethod
    def selection(self) -> Sequence[Detail]:
        """The uploads that a key would take now."""

    def action_copy_id(self) -> None:
        self._copy("id", lambda detail: detail.upload.id)

    def action_copy_json(self) -> None:
        self._copy("answer", lambda detail: detail.raw)

    def action_copy_curl(self) -> None:
        self._copy("request", lambda detail: curl_command(detail.row.service, detail.upload.id))

    def _copy(self, noun: str, text_of: Callable[[Detail], str]) -> None:
        texts = [text_of(detail) for detail in self.selection()]
        if texts:
            self.app.copy_to_clipboard("\n".join(texts))
            self.notify(f"Copied {plural(len(texts), noun)}", timeout=2)


class ExportScreen(CopyScreen):
    """A screen that shows a table of uploads and a tail of changes."""

    @abstractmethod
    def visible_query(self) -> tuple[Session, Query]:
        """The table: whose uploads, and which of them."""

    @abstractmethod
    def visible_changes(self) -> Sequence[Change]:
        """The changes that the tail shows."""

    def action_export(self) -> None:
        from upload_tui.tui.screens.menu import export_menu

        self.app.push_screen(export_menu(), self._export)

    def _export(self, kind: str | None) -> None:
        if kind is not None:
            self.run_worker(self._compose_file(kind), exclusive=True, group="export")

    async def _compose_file(self, name: str) -> None:
        """Compose the file a piece at a time, so that keys are answered meanwhile, and hand it over."""
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
                for text in upload_texts(session, query, kind):
                    file.write(text)
                    await asyncio.sleep(0)
        file.seek(0)
        self.post_message(ExportReady(file, file_name(kind, session.now())))
