"""The screen of one upload: its timeline and the service's raw response, live."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from upload_tui.monitor import Change, Detail, Session, UploadKey
from upload_tui.text import sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bindings import COPY_KEYS, HISTORY_KEY
from upload_tui.tui.controls import PlaybackControls
from upload_tui.tui.fitting import json_line
from upload_tui.tui.screens.session_screen import AcknowledgeScreen
from upload_tui.tui.widgets.footer import KeyFooter
from upload_tui.tui.widgets.timeline_view import TimelinePane

__all__ = ["UploadScreen"]

_MAX_RAW_LINES = 2000


class UploadScreen(AcknowledgeScreen):
    """The upload with this key.

    Args:
        session: the session that knows the upload.
        key: its key.
        display_options: how to show it.
        first_pane: the id of the pane that has the focus at first.
        controls: the controls of a demo or a replay; None for a service.
    """

    AUTO_FOCUS = ""
    """Textual would give the focus to the timeline before `on_mount` gives it to the first pane."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "app.leave", "Back", id="upload.back", tooltip="Back to the dashboard"),
        Binding("w", "shapes", "Formats", id="shapes", tooltip="Status in three formats: Option A, Option B, deployed"),
        *(replace(key, show=True) for key in (HISTORY_KEY, *COPY_KEYS)),
        Binding(
            "a",
            "acknowledge",
            "Acknowledge",
            show=False,
            id="acknowledge",
            tooltip="Acknowledge what is wrong, with a note; again: take it back",
        ),
        Binding("r", "refresh", "Refresh", id="refresh", tooltip="Refresh now"),
    ]

    detail: reactive[Detail | None] = reactive(None, init=False, repaint=False)

    def __init__(
        self,
        session: Session,
        key: UploadKey,
        display_options: DisplayOptions,
        first_pane: str = "upload-timeline",
        controls: PlaybackControls | None = None,
    ) -> None:
        super().__init__(session, display_options)
        self._controls = controls
        self._first_pane = first_pane
        self._key = key
        self._raw: str | None = None

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        yield self.status_bar()
        with Horizontal(id="upload"):
            timeline = TimelinePane(id="upload-timeline").data_bind(
                UploadScreen.detail, UploadScreen.now, UploadScreen.display_options
            )
            timeline.border_title = "Timeline"
            yield timeline
            with VerticalScroll(id="upload-raw") as raw:
                raw.border_title = "Raw response"
                yield Static(id="raw")
            for pane in (timeline, raw):
                pane.set_class(pane.id != self._first_pane, "-aside")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show what is known."""
        self.query_one(f"#{self._first_pane}").focus()
        self.set_interval(1.0, self._paint)
        self._paint()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """On a small terminal, show only the pane with the focus."""
        self.show_one_pane(self.query("#upload-timeline, #upload-raw"), event.widget)

    def selection(self) -> Sequence[Detail]:
        """The upload, if the session knows it."""
        detail = self._session.picture.detail(*self._key)
        return [] if detail is None else [detail]

    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Repaint."""
        self._paint()

    def _paint(self) -> None:
        self.detail = self.read_detail(self._key)
        self.follow_origin(self.detail)
        self.read_status(self._session.picture.clock.now())
        self._show_raw(self.detail.raw if self.detail else "")

    def _show_raw(self, raw: str) -> None:
        if raw == self._raw:
            return
        self._raw = raw
        lines = [json_line(sanitize(line)) for line in raw.splitlines()[:_MAX_RAW_LINES]]
        self.query_one("#raw", Static).update(Content("\n").join(lines) if lines else Content("No raw response stored"))

    def selected_key(self) -> UploadKey:
        """The upload."""
        return self._key
