"""What can be taken away from a screen that shows uploads: ids, answers and requests on the clipboard."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

from textual.screen import Screen

from upload_tui.monitor.picture import Detail
from upload_tui.tui.formatting import curl_text, plural

__all__ = ["TakingScreen"]


class TakingScreen(Screen[None]):
    """A screen with uploads that the copying keys mean."""

    @abstractmethod
    def meant(self) -> Sequence[Detail]:
        """The uploads that a key would take now."""

    def action_copy_id(self) -> None:
        self._copy("id", lambda detail: detail.upload.id)

    def action_copy_json(self) -> None:
        self._copy("answer", lambda detail: detail.raw)

    def action_copy_curl(self) -> None:
        self._copy("request", lambda detail: curl_text(detail.row.service, detail.upload.id))

    def _copy(self, thing: str, text_of: Callable[[Detail], str]) -> None:
        texts = [text_of(detail) for detail in self.meant()]
        if texts:
            self.app.copy_to_clipboard("\n".join(texts))
            self.notify(f"Copied {plural(len(texts), thing)}", timeout=2)
