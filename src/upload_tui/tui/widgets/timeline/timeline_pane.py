"""A timeline in a pane of fixed size, scrolled by keys and mouse wheel.

A scrolling container would lay out the whole screen whenever the next timeline has another height.
"""

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.reactive import reactive

from upload_tui.tui.keys.bindings import TIMELINE_KEYS
from upload_tui.tui.widgets.timeline.timeline_view import TimelineView

__all__ = ["TimelinePane"]

_WHEEL_LINES = 3


class TimelinePane(TimelineView, can_focus=True):
    """The timeline of `detail` from line `top` on. Another upload resets `top` to 0."""

    BINDINGS: ClassVar[list[BindingType]] = list(TIMELINE_KEYS)

    top: reactive[int] = reactive(0, repaint=False, init=False)

    _hidden_lines = 0
    _shown_id: str | None = None

    def text(self) -> Content:
        """The lines that fit; if more follow, the last line says how many."""
        full_text, height = super().text(), self.content_size.height
        lines = full_text.wrap(self.content_size.width) if self.content_size.width else []
        self._hidden_lines = max(0, len(lines) - height)
        if not self._hidden_lines:
            return full_text
        top = min(self.top, self._hidden_lines)
        shown, below = lines[top : top + height], self._hidden_lines - top
        if below and shown:
            # This line replaces one of the timeline's own.
            shown[-1] = Content.styled(f"{self.display_options.glyphs.arrow_down} {below + 1} more lines", "$quiet")
        return Content("\n").join(shown)

    def refresh_changed(self) -> None:
        """Repaint what changed; scroll to the top for another upload."""
        upload_id = None if self.detail is None else self.detail.upload.id
        if upload_id != self._shown_id:
            self._shown_id = upload_id
            self.set_reactive(TimelinePane.top, 0)
        super().refresh_changed()

    def watch_detail(self) -> None:
        """Show the other upload from its first line, or the same one as it is now."""
        self.refresh_changed()

    def watch_top(self) -> None:
        """Repaint from the new first line."""
        self.refresh_changed()

    def on_resize(self) -> None:
        """Repaint at the new size."""
        self.refresh_changed()

    def action_scroll_by(self, lines: int) -> None:
        """Scroll by this many lines."""
        self.top = max(0, min(self.top + lines, self._hidden_lines))

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by this many pages."""
        self.action_scroll_by(pages * max(1, self.content_size.height - 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.action_scroll_by(_WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.action_scroll_by(-_WHEEL_LINES)
