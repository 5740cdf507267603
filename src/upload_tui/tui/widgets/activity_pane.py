"""The activity pane: the pending uploads, and below them the changes as they happen."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from functools import cache
from typing import ClassVar

from msgspec.structs import replace
from rich.segment import Segment
from textual import events, on
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from upload_tui.monitor import (
    EVERYTHING,
    Change,
    ProjectRef,
    Rewound,
    Row,
    UploadChange,
    UploadKey,
    UploadRef,
    UploadSeen,
    Where,
    project_key,
)
from upload_tui.status import Stage
from upload_tui.text import sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.project_names import project_names_of
from upload_tui.tui.bindings import RECENT_SPANS, TAIL_KEYS
from upload_tui.tui.fitting import truncate_at_word
from upload_tui.tui.widgets.change_text import (
    CHANGE_CLASSES,
    ChangeFilter,
    change_pieces,
    fold_changes,
    unfolded,
)
from upload_tui.tui.widgets.cursor_lines import CursorLines
from upload_tui.tui.widgets.pending_list import PendingList

__all__ = ["ActivityPane", "ChangeLogView"]

_MAX_CHANGES = 10_000
_MIN_LOG_LINES = 1
_TITLE = "Activity"


class ChangeLogView(CursorLines, can_focus=True):
    """The changes of uploads, the newest at the bottom.

    While the cursor is on the newest change, it moves on to each new one. On an older change it stays.

    Args:
        row_of: looks up an upload as it is now, for queries that need more than a change has; None if it is not known.
        max_changes: number of changes to keep; older ones are dropped.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = set(CHANGE_CLASSES)
    BINDINGS: ClassVar[list[BindingType]] = list(TAIL_KEYS)

    now: reactive[datetime | None] = reactive(None, init=False, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, init=False)
    change_filter: reactive[ChangeFilter] = reactive(ChangeFilter, init=False)
    projects: reactive[tuple[ProjectRef, ...]] = reactive((), init=False)
    project_ids: reactive[frozenset[str]] = reactive(frozenset, init=False, repaint=False)
    """The projects whose changes are shown; empty means all."""
    is_scrolled_back: reactive[bool] = reactive(False, init=False, repaint=False)
    """True while the cursor is on an older change than the newest."""

    class TitleChanged(Message):
        """The filter or `is_scrolled_back` changed, which a title may show."""

    class Grown(Message):
        """The log has more or fewer lines than before."""

    class Opened(CursorLines.Opened):
        """The user opened the upload of a change (Enter or a double click)."""

    def __init__(
        self,
        row_of: Callable[[UploadKey], Row | None] = lambda _: None,
        *,
        max_changes: int = _MAX_CHANGES,
        id: str | None = None,  # noqa: A002  # Textual's own name
    ) -> None:
        super().__init__(id=id)
        self.border_title = _TITLE
        self._row_of = row_of
        self._all_changes: deque[UploadChange] = deque(maxlen=max_changes)
        self._shown_changes: deque[UploadChange] = deque(maxlen=max_changes)
        self._max_changes = max_changes
        self._cursor = 0
        self._day: date | None = None

    def add(self, changes: Iterable[Change]) -> None:
        """Append changes of uploads, oldest first. `UploadSeen` is left out: the stages that follow it show the same.

        `Rewound` removes all changes before it.
        """
        changes = list(changes)
        rewound = max((index for index, change in enumerate(changes) if isinstance(change, Rewound)), default=None)
        if rewound is not None:
            changes = changes[rewound + 1 :]
            self._all_changes.clear()
            self._show_matching()
        new = fold_changes(
            change for change in changes if isinstance(change, UploadChange) and not isinstance(change, UploadSeen)
        )
        self._all_changes.extend(new)
        shown = self._matching(new)
        if shown:
            dropped = max(0, len(self._shown_changes) + len(shown) - self._max_changes)
            self._shown_changes.extend(shown)
            self._update_lines(dropped)

    @property
    def cursor_row(self) -> int:
        """The line of the cursor, from 0."""
        return self._cursor

    @property
    def cursor_key(self) -> UploadKey | None:
        """The upload of the change under the cursor; None if no change is shown."""
        return self._shown_changes[self._cursor].upload.key if self._shown_changes else None

    @property
    def total(self) -> int:
        """Number of changes that match the filter."""
        return len(self._shown_changes)

    @property
    def shown_changes(self) -> Sequence[UploadChange]:
        """The changes that match the filter, oldest first; those that are folded into one follow it."""
        return tuple(one for change in self._shown_changes for one in unfolded(change))

    def _matching(self, changes: Iterable[UploadChange]) -> Sequence[UploadChange]:
        row_of = cache(self._row_of)  # an upload has several changes
        return [
            change
            for change in changes
            if (not self.project_ids or self._is_of_projects(change.upload))
            and self.change_filter.matches(change, self.now or change.at, row_of)
        ]

    def _is_of_projects(self, upload: UploadRef) -> bool:
        return not self.project_ids.isdisjoint({upload.project_id, project_key(upload.project_id, upload.service)})

    def watch_now(self, now: datetime | None) -> None:
        """Remove the changes that are no longer recent enough; repaint on another day, as the lines show today's times only."""
        if now is not None and self.change_filter.recent_seconds is not None:
            recent = [change for change in self._shown_changes if self.change_filter.is_recent(change, now)]
            if dropped := len(self._shown_changes) - len(recent):
                self._shown_changes = deque(recent, maxlen=self._max_changes)
                self._update_lines(dropped)
        day = None if now is None else now.astimezone(self.display_options.zone).date()
        if day != self._day:
            self._day = day
            self.refresh_changed()

    def _show_matching(self) -> None:
        self._shown_changes = deque(self._matching(self._all_changes), maxlen=self._max_changes)
        self.is_scrolled_back = False
        self._update_lines()
        self.post_message(self.TitleChanged())

    watch_project_ids = watch_change_filter = _show_matching

    def watch_is_scrolled_back(self) -> None:
        """Post that the title changed."""
        self.post_message(self.TitleChanged())

    # Keys and mouse

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the change; open its upload on a double click."""
        offset = event.get_content_offset(self)
        number = self._body_line(offset.y) if offset else self.total
        if number < self.total:
            self._move_cursor(number)
            if event.chain == 2:
                self.action_open()

    def action_only(self, stage: str) -> None:
        """Toggle the filter of a stage."""
        new_stage = None if self.change_filter.stage == stage else Stage(stage)
        self.change_filter = replace(self.change_filter, stage=new_stage)

    def action_recent(self, seconds: int) -> None:
        """Toggle the filter of the changes of the last seconds."""
        is_off = self.change_filter.recent_seconds == seconds
        self.change_filter = replace(self.change_filter, recent_seconds=None if is_off else seconds)

    def go_to_time(self, on: datetime) -> None:
        """Move the cursor to the first change at a time or after it; to the newest if there is none."""
        rows = (row for row, change in enumerate(self._shown_changes) if change.happened_on >= on)
        self._move_cursor(next(rows, self.total - 1))

    def action_clear(self) -> None:
        """Clear the search; if there is none, the filter."""
        if not self.change_filter:
            raise SkipAction  # the dashboard's Escape applies
        has_search = self.change_filter.where.tree != EVERYTHING
        self.change_filter = replace(self.change_filter, where=Where()) if has_search else ChangeFilter()

    # The cursor

    def action_match(self, rows: int) -> None:
        """Go to the next match, or to the previous one."""
        self._go_to_match(rows, is_filtered=bool(self.change_filter))

    def _move_cursor(self, row: int) -> None:
        self._put_cursor(row)
        self._bring_into_view(self._cursor)
        self.refresh_changed()

    def _put_cursor(self, line: int) -> None:
        last = self.total - 1
        self._cursor = max(0, min(line, last))
        self.is_scrolled_back = self._cursor < last

    def _clamp_cursor(self, top: int) -> None:
        """Move the cursor to the nearest line that is visible when `top` is the first line."""
        if self.size.height:
            self._put_cursor(max(top, min(self._cursor, top + self.size.height - 1)))

    def _update_lines(self, dropped: int = 0) -> None:
        """Adjust scrolling and cursor to the changed number of lines.

        Args:
            dropped: number of oldest lines that were dropped.
        """
        was_scrolled_back = self.is_scrolled_back
        self.set_line_count(self.total)
        self.post_message(self.Grown())
        if was_scrolled_back:
            self._put_cursor(self._cursor - dropped)
            if dropped:
                self._scroll_to_row(self._top_row() - dropped)
            if self.has_focus:
                self._bring_into_view(self._cursor)
            else:  # do not scroll away from what the user reads
                self._clamp_cursor(self._top_row())
        else:
            self._scroll_to_row(self.max_scroll_y)
            self._put_cursor(self.total - 1)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Keep the cursor visible."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < self.max_scroll_y:
            self._clamp_cursor(round(new_value))
        elif new_value > old_value:
            self._put_cursor(self.total - 1)  # scrolling to the end follows the newest change again

    def on_resize(self, event: events.Resize) -> None:
        """Update the lines, and keep the cursor at the newest change."""
        self._update_lines()  # a new height alone must not move the cursor from the newest change

    # Painting

    def line(self, y: int) -> Strip:
        """A change, or a text while there is none."""
        width, number = self.line_width or self.size.width, self._body_line(y)
        if number >= self.total:
            text = self._empty_text() if y == 0 and not self.total else ""
            text = truncate_at_word(text, width, self.display_options.glyphs.ellipsis)
            return Strip([Segment(text, self.style_on("changes--quiet"))]).adjust_cell_length(width, self.rich_style)
        has_cursor = number == self._cursor and self.has_focus
        background = "changes--cursor" if has_cursor else ""
        bar = (self.display_options.glyphs.cursor, "changes--bar") if has_cursor else (" ", "")
        change, places = self._shown_changes[number], project_names_of(self.projects)
        pieces = change_pieces(change, self.now, self.display_options, width - 1, places)
        segments = [Segment(text, self.style_on(name, background)) for text, name in (bar, *pieces)]
        return Strip(segments).adjust_cell_length(width, self.style_on("", background))

    def _empty_text(self) -> str:
        if not self._all_changes:
            return "No changes yet." if self.change_filter else "Changes appear here as they happen."
        if not self.change_filter:
            return "No changes in this project yet."
        has_both = self.change_filter.where.tree != EVERYTHING and bool(replace(self.change_filter, where=Where()))
        return f"No matching changes. Esc {'clears the search' if has_both else 'shows all'}."


class ActivityPane(Vertical):
    """A `PendingList` and a `ChangeLogView`, the log with its filter in the title: side by side, or else below each other.

    Below each other, the list gets half of the height, and what the log does not need yet.
    """

    def on_mount(self) -> None:
        """Show what is known."""
        self.update_title()

    @on(ChangeLogView.TitleChanged)
    def update_title(self) -> None:
        """Write the filter of the change log into its title."""
        log = self.query_one(ChangeLogView)
        parts = [_TITLE]
        if log.change_filter.stage is not None:
            parts.append(log.change_filter.stage)
        if log.change_filter.recent_seconds is not None:
            parts.append(f"last {RECENT_SPANS[log.change_filter.recent_seconds]}")
        if text := log.change_filter.where.applied_text:
            parts.append(f'matching "{sanitize(text)}"')
        if log.is_scrolled_back:
            parts.append("scrolled back")
        log.border_title = Content(f" {log.display_options.glyphs.dot} ".join(parts))

    def on_resize(self) -> None:
        """Let the list fill the new height."""
        self.fit_pending_list()

    @on(ChangeLogView.Grown)
    def fit_pending_list(self) -> None:
        """Set the number of lines that the list has space for."""
        pending, log = self.query_one(PendingList), self.query_one(ChangeLogView)
        frames = pending.gutter.height + log.gutter.height
        if self.styles.layout is not None and self.styles.layout.name == "horizontal":
            pending.max_rows = max(1, self.content_size.height - pending.gutter.height)
        else:
            lines = self.content_size.height - frames
            pending.max_rows = max(1, lines // 2, lines - max(_MIN_LOG_LINES, log.total))
