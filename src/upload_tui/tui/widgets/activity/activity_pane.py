"""The tail: pending uploads on top with what they wait for, below them every change as it happened."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from msgspec.structs import replace
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from upload_tui.monitor import Change, Row, UploadChange, UploadSeen
from upload_tui.status import Stage
from upload_tui.text import age_text, duration_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import fit_to_width, truncate_at_word, truncate_middle
from upload_tui.tui.keys.bindings import TAIL_KEYS
from upload_tui.tui.widgets.activity.change_filter import ChangeFilter
from upload_tui.tui.widgets.activity.change_text import change_pieces
from upload_tui.tui.widgets.base.cached_lines import CachedLines
from upload_tui.tui.widgets.base.diffed_text import DiffedText

__all__ = ["ChangeLogView", "PendingList", "ActivityPane"]

_MAX_CHANGES = 10_000
_MIN_NAME_CELLS, _MAX_NAME_CELLS, _NAME_STEP_CELLS = 12, 40, 4
_AGE_CELLS = 7
_FIXED_CELLS = _AGE_CELLS + 5
"""Of a pending upload's line: the sign, the age and the blanks between."""
_WAIT_CELLS = 20
"""Room for `stuck, verification`; the name gives way to it."""


class PendingList(DiffedText):
    """The pending uploads that have waited longest, a line each, and on its lower edge how many more of `total` there are.

    `room` is how many lines there is room for; `is_known` is False until anything is known.
    """

    rows: reactive[Sequence[Row]] = reactive((), repaint=False)
    total: reactive[int] = reactive(0, repaint=False)
    max_rows: reactive[int] = reactive(1, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)

    is_known: reactive[bool] = reactive(True, repaint=False)

    _hidden_count = 0

    def refresh_changed(self) -> None:
        more = max(0, self.total - len(self._shown)) if self._shown else 0
        if more != self._hidden_count:  # setting it repaints the whole list
            self._hidden_count = more
            self.border_subtitle = f" +{more:,} more pending " if more else ""
        super().refresh_changed()

    watch_rows = watch_total = watch_max_rows = watch_now = watch_display_options = watch_is_known = refresh_changed

    @property
    def _shown(self) -> Sequence[Row]:
        return self.rows[: self.max_rows]

    def text(self) -> Content:
        """A line for each."""
        if self.now is None:
            return Content("")
        if not self.rows:
            return Content.styled("Nothing is pending." if self.is_known else "Not known yet.", "$quiet")
        width = self.size.width
        most = min(_MAX_NAME_CELLS, width * 2 // 5, max(_MIN_NAME_CELLS, width - _FIXED_CELLS - _WAIT_CELLS))
        names = [truncate_middle(row.name or row.id, most, self.display_options.glyphs.ellipsis) for row in self._shown]
        # In steps, so that not every name that comes or goes moves the rest.
        longest = -(-max(map(cell_len, names)) // _NAME_STEP_CELLS) * _NAME_STEP_CELLS
        cells = min(most, longest)
        lines = [
            self._line(row, fit_to_width(name, cells), self.now) for row, name in zip(self._shown, names, strict=True)
        ]
        return Content("\n").join(lines)

    def _line(self, row: Row, name: str, now: datetime) -> Content:
        glyphs = self.display_options.glyphs
        late = row.lateness.is_stuck or row.lateness.is_overdue
        age = fit_to_width(self._age_text(row, now), _AGE_CELLS, align_right=True)
        wait = self._wait_text(row, now, self.size.width - cell_len(name) - _FIXED_CELLS)
        return Content.assemble(
            (f"{glyphs.stages[row.stage]} ", f"$stage-{row.stage}"),
            (name, ""),
            (f" {age}", "$warning bold" if late else "$quiet"),
            (f"  {wait}", "$warning" if late else "$quiet"),
        )

    def _age_text(self, row: Row, now: datetime) -> str:
        return "?" if row.stage_since is None else age_text((now - row.stage_since).total_seconds())

    def _wait_text(self, row: Row, now: datetime, width: int) -> str:
        """As many phrases, the most telling first, as fit whole."""
        first, *others = filter(None, _wait_phrases(row, now))
        text = truncate_at_word(first, width, self.display_options.glyphs.ellipsis)
        for phrase in others:
            if len(text) + 2 + len(phrase) > width:
                break
            text = f"{text}, {phrase}"
        return text


def _wait_phrases(row: Row, now: datetime) -> Iterator[str]:
    """What is amiss, what it waits for and why, how far it is, what is usual, when it ends, who else waits; any may be empty."""
    judgement = row.lateness
    waits_for, _, queue = judgement.waits_for.removeprefix("waits for ").partition(", ")
    thing, _, why = waits_for.partition(": ")
    yield "stuck" if judgement.is_stuck else "overdue" if judgement.is_overdue else ""
    yield "its client" if thing.startswith("the client") else thing or row.stage
    yield why
    if row.stage is Stage.INITIATED and row.chunk_bytes and row.size_bytes:
        yield f"{min(1.0, row.chunk_bytes / row.size_bytes):.0%} here"
    if judgement.p50_seconds is not None:
        yield f"usually {duration_text(judgement.p50_seconds)}"
    if not judgement.is_overdue and judgement.expected_on is not None and judgement.expected_on > now:
        yield f"done in about {age_text((judgement.expected_on - now).total_seconds())}"
    yield queue


class ChangeLogView(CachedLines, can_focus=True):
    """Every change, newest at the bottom. It stays with the newest unless a person went up; then it stays where it is."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "tail--cursor",
        "tail--quiet",
        "tail--warning",
        "tail--initiated",
        "tail--completed",
        "tail--verified",
        "tail--error",
    }
    BINDINGS: ClassVar[list[BindingType]] = list(TAIL_KEYS)

    now: reactive[datetime | None] = reactive(None, init=False, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, init=False)

    watch_now = CachedLines.refresh_changed
    change_filter: reactive[ChangeFilter] = reactive(ChangeFilter, init=False)
    is_scrolled_back: reactive[bool] = reactive(False, init=False, repaint=False)
    """True while the cursor is on an older change than the newest."""

    class TitleChanged(Message):
        """What a title says of the tail has changed: which changes are shown, and whether it stays with the newest."""

    class Opened(Message):
        """A person wants to see the upload of a change alone."""

        def __init__(self, upload_id: str) -> None:
            super().__init__()
            self.upload_id = upload_id

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  # Textual's own name
        super().__init__(id=id)
        self._all_changes: deque[UploadChange] = deque(maxlen=_MAX_CHANGES)
        self._shown_changes: deque[UploadChange] = deque(maxlen=_MAX_CHANGES)
        self._styles: dict[tuple[str, bool], Style] = {}
        self._cursor = 0

    def add(self, changes: Iterable[Change]) -> None:
        """Append changes of uploads, oldest first; that an upload was seen goes without saying, its stages say it."""
        fresh = [
            change for change in changes if isinstance(change, UploadChange) and not isinstance(change, UploadSeen)
        ]
        self._all_changes.extend(fresh)
        shown = [change for change in fresh if self.change_filter.matches(change)]
        if shown:
            lost = max(0, len(self._shown_changes) + len(shown) - _MAX_CHANGES)
            self._shown_changes.extend(shown)
            self._update_lines(lost)

    @property
    def cursor_upload_id(self) -> str | None:
        """The upload of the change under the cursor; None if no change is shown."""
        return self._shown_changes[self._cursor].upload.id if self._shown_changes else None

    @property
    def shown_changes(self) -> Sequence[UploadChange]:
        """The changes that the filter lets through, oldest first."""
        return tuple(self._shown_changes)

    def watch_change_filter(self, change_filter: ChangeFilter) -> None:
        # What is left out now is kept: another filter may want it.
        self._shown_changes = deque(filter(change_filter.matches, self._all_changes), maxlen=_MAX_CHANGES)
        self.is_scrolled_back = False
        self._update_lines()
        self.post_message(self.TitleChanged())

    def watch_is_scrolled_back(self) -> None:
        self.post_message(self.TitleChanged())

    # Keys and mouse

    def action_move(self, lines: int) -> None:
        self._go_to(self._cursor + lines)

    def action_match(self, lines: int) -> None:
        # A search leaves only matches, so the next match is the next line.
        self.action_move(lines)

    def action_page(self, pages: float) -> None:
        self.action_move(int(pages * max(1, self.size.height - 1)))

    def action_first(self) -> None:
        self._go_to(0)

    def action_last(self) -> None:
        self._go_to(len(self._shown_changes) - 1)

    def action_open(self) -> None:
        if self.cursor_upload_id is None:
            self.notify("No upload is chosen.", timeout=2)
        else:
            self.post_message(self.Opened(self.cursor_upload_id))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        number = int(self.scroll_offset.y) + offset.y if offset else len(self._shown_changes)
        if number < len(self._shown_changes):
            self._go_to(number)
            if event.chain == 2:
                self.action_open()

    def action_only(self, stage: str) -> None:
        wanted = None if self.change_filter.stage == stage else Stage(stage)
        self.change_filter = replace(self.change_filter, stage=wanted)

    def action_clear(self) -> None:
        if not self.change_filter:
            raise SkipAction  # Escape then means what it means on the dashboard
        self.change_filter = (
            replace(self.change_filter, search="") if self.change_filter.search.strip() else ChangeFilter()
        )

    # The cursor

    def _go_to(self, line: int) -> None:
        self._put_cursor(line)
        self._bring_into_view()
        self.refresh_changed()

    def _put_cursor(self, line: int) -> None:
        last = len(self._shown_changes) - 1
        self._cursor = max(0, min(line, last))
        self.is_scrolled_back = self._cursor < last

    def _bring_into_view(self) -> None:
        top, height = int(self.scroll_offset.y), self.size.height
        if height and not top <= self._cursor < top + height:
            self._scroll_to_line(self._cursor if self._cursor < top else self._cursor - height + 1)

    def _keep_in_view(self) -> None:
        # A cursor that is not seen comes along: the view that a person reads stays where it is.
        if self.has_focus:
            self._bring_into_view()
        else:
            self._clamp_cursor(int(self.scroll_offset.y))

    def _clamp_cursor(self, top: int) -> None:
        """The cursor is no further than the edge of the view that begins with line `top`."""
        if self.size.height:
            self._put_cursor(max(top, min(self._cursor, top + self.size.height - 1)))

    def _scroll_to_line(self, line: int) -> None:
        self.scroll_to(y=line, animate=False, force=True, immediate=True)

    def _update_lines(self, dropped: int = 0) -> None:
        """The changes are as many lines, after the `dropped` oldest went; whoever was at the end stays there, others on their line."""
        was_looking_back = self.is_scrolled_back
        self.set_line_count(len(self._shown_changes))
        if was_looking_back:
            self._put_cursor(self._cursor - dropped)
            if dropped:
                self._scroll_to_line(int(self.scroll_offset.y) - dropped)
            self._keep_in_view()
        else:
            self._scroll_to_line(self.max_scroll_y)
            self._put_cursor(len(self._shown_changes) - 1)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < self.max_scroll_y:
            self._clamp_cursor(round(new_value))
        elif new_value > old_value:
            self._put_cursor(len(self._shown_changes) - 1)  # who scrolled to the end stays with the newest

    def watch_display_options(self) -> None:
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def on_resize(self, event: events.Resize) -> None:
        # What a new height makes of the scroll position is no wish of anybody's.
        self._update_lines()

    def line(self, y: int) -> Strip:
        """A change, or what there is to say while there is none."""
        width = self.size.width
        number = int(self.scroll_offset.y) + y
        if number >= len(self._shown_changes):
            text = self._empty_text() if y == 0 and not self._shown_changes else ""
            return Strip([Segment(text, self._style("tail--quiet"))]).adjust_cell_length(width, self.rich_style)
        is_cursor = number == self._cursor and self.has_focus
        pieces = change_pieces(self._shown_changes[number], self.now, self.display_options, width)
        segments = [Segment(text, self._style(tone, is_cursor=is_cursor)) for text, tone in pieces]
        return Strip(segments).adjust_cell_length(width, self._style("", is_cursor=is_cursor))

    def _empty_text(self) -> str:
        if self.change_filter and not self._all_changes:
            return "No change yet that could match."
        if self.change_filter:
            has_both = self.change_filter.search.strip() and self.change_filter.stage is not None
            return f"No change matches. Esc {'clears the search' if has_both else 'shows all'}."
        return "Changes appear here as they happen."

    def _style(self, component_class: str, *, is_cursor: bool = False) -> Style:
        style = self._styles.get((component_class, is_cursor))
        if style is None:
            below = self.get_component_rich_style("tail--cursor") if is_cursor else self.rich_style
            ink = self.get_component_rich_style(component_class, partial=True) if component_class else Style.null()
            style = self._styles[component_class, is_cursor] = below + ink
        return style


class ActivityPane(Vertical):
    """Pending uploads, then the changes."""

    def compose(self) -> ComposeResult:
        yield PendingList()
        yield ChangeLogView()

    def on_resize(self) -> None:
        # As the sheet has it: at most half of the lines, the one that parts them from the changes among these.
        self.query_one(PendingList).max_rows = max(1, self.content_size.height // 2 - 1)
