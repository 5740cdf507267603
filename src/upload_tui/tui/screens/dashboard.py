"""The dashboard: funnel, table, timeline and tail of one session, live."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Footer

from upload_tui.monitor.changes import Change, StageReached, UploadChange
from upload_tui.monitor.picture import Query, SortKey
from upload_tui.monitor.session import Session
from upload_tui.status import Stage
from upload_tui.tui.formatting import cut_at_word, harmless
from upload_tui.tui.look import Look
from upload_tui.tui.story import Story
from upload_tui.tui.widgets.funnel import FunnelBar, StageCell
from upload_tui.tui.widgets.search_bar import SearchBar
from upload_tui.tui.widgets.status_bar import StatusBar
from upload_tui.tui.widgets.tail import ChangeLog, PendingList, TailPane
from upload_tui.tui.widgets.timeline import TimelineView
from upload_tui.tui.widgets.upload_table import UploadTable

__all__ = ["DashboardScreen"]

_PENDING_SHARE = 2
"""The pending uploads take at most one in this many lines of the tail."""


class DashboardScreen(Screen[None]):
    """One session on one screen.

    Args:
        session: whom to ask.
        look: how to write facts.
        story: the demo that is being told; None outside of it.
    """

    AUTO_FOCUS = "UploadTable"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "search",
            "Search",
            key_display="/",
            id="search",
            tooltip="Search names, ids and messages as you type",
        ),
        Binding(
            "exclamation_mark",
            "attention",
            "Trouble",
            key_display="!",
            id="trouble",
            tooltip="Only the stuck and the failed; again: all",
        ),
        Binding(
            "1",
            "stage('initiated')",
            "Initiated",
            show=False,
            id="stage.initiated",
            tooltip="Only initiated; again: all",
        ),
        Binding(
            "2",
            "stage('completed')",
            "Completed",
            show=False,
            id="stage.completed",
            tooltip="Only completed; again: all",
        ),
        Binding(
            "3", "stage('verified')", "Verified", show=False, id="stage.verified", tooltip="Only verified; again: all"
        ),
        Binding("4", "stage('error')", "Error", show=False, id="stage.error", tooltip="Only errors; again: all"),
        Binding("s", "sort", "Sort", id="sort", tooltip="Sort by the next column"),
        Binding("S", "reverse", "Reverse", show=False, id="reverse", tooltip="Reverse the order"),
        Binding("f", "follow", "Follow", id="follow", tooltip="Stick to the newest upload"),
        Binding("w", "shapes", "Shapes", id="shapes", tooltip="The status as Option A, Option B and deployed JSON"),
        Binding("space", "pause", "Pause", id="pause", tooltip="Pause and resume refreshing"),
        Binding("r", "refresh", "Refresh", show=False, id="refresh", tooltip="Ask the service now"),
        Binding("t", "times", "Times", show=False, id="times", tooltip="Relative or absolute times"),
        Binding("y", "copy_id", "Copy id", show=False, id="copy.id", tooltip="Copy the upload's id"),
        Binding("tab", "app.focus_next", "Pane", show=False, id="pane.next", tooltip="Go to the next pane"),
        Binding("escape", "clear", "Clear", show=False, id="clear", tooltip="Clear the search and the filters"),
    ]

    rows_query: reactive[Query] = reactive(Query, init=False)
    look: reactive[Look] = reactive(Look, init=False)
    chosen_id: reactive[str | None] = reactive(None, init=False)

    def __init__(self, session: Session, look: Look, story: Story | None = None) -> None:
        super().__init__()
        self._session = session
        self._story = story
        self.set_reactive(DashboardScreen.look, look)

    def compose(self) -> ComposeResult:
        yield StatusBar()
        yield FunnelBar()
        with Horizontal(id="middle"):
            yield UploadTable(self._session, several_projects=len(self._session.projects) > 1, id="uploads")
            with VerticalScroll(id="timeline", can_focus=True):
                yield TimelineView()
        yield TailPane(id="tail")
        yield SearchBar()
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#timeline").border_title = "Timeline"
        self.query_one("#tail").border_title = "Tail"
        self.query_one(ChangeLog).add(self._session.history(1000))
        self._hand_out_look()
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self._tick)

    # The picture moves

    def take(self, changes: Sequence[Change]) -> None:
        """Paint the picture as it is now; `changes` are the changes of uploads since the last time."""
        self.query_one(ChangeLog).add(changes)
        self._paint()
        moved = [change.upload.id for change in changes if isinstance(change, UploadChange)]
        self.query_one(UploadTable).glow(moved)
        if any(isinstance(change, StageReached) and change.after is Stage.ERROR for change in changes):
            self.app.bell()

    def _tick(self) -> None:
        """A second has passed: ages, judgements and the connection's countdown move on."""
        if self.is_current or self.app.screen_stack[0] is self:
            self._paint()

    def _paint(self) -> None:
        now = self._session.now()
        table = self.query_one(UploadTable)
        table.now = now
        table.reload()
        self._paint_edges(now)
        self._paint_timeline(now)

    def _paint_edges(self, now: datetime) -> None:
        bar = self.query_one(StatusBar)
        bar.title = self._session.title
        bar.projects = tuple(self._session.projects)
        bar.connection = self._session.connection()
        bar.now = now
        bar.pace = None if self._story is None else self._story.pace
        funnel = self._session.funnel()
        self.query_one(FunnelBar).show(funnel, now, self.look, self.rows_query.stages)
        pending = self.query_one(PendingList)
        pending.now = now
        pending.rows = tuple(self._session.pending(self._pending_lines()))
        pending.pending_count = funnel.pending
        self.query_one(ChangeLog).now = now
        self._title_table(funnel.remark)

    def _pending_lines(self) -> int:
        inside = self.query_one("#tail").content_size.height
        return max(1, inside // _PENDING_SHARE)

    def _title_table(self, remark: str) -> None:
        table, query = self.query_one(UploadTable), self.rows_query
        parts = [f"Uploads {table.total:,}"]
        if query.stages:
            parts.append(" or ".join(stage for stage in Stage if stage in query.stages))
        if query.attention_only:
            parts.append("stuck or failed")
        if query.search:
            parts.append(f'with "{harmless(query.search)}"')
        if table.follow:
            parts.append("following the newest")
        table.border_title = Content(f" {self.look.glyphs.dot} ".join(parts))
        table.border_subtitle = Content(self._warning(remark, table.size.width - 4))
        table.empty_text = self._empty_text()
        table.set_class(query != replace(Query(), sort=query.sort, descending=query.descending), "-filtered")

    def _warning(self, remark: str, width: int) -> str:
        """Why the picture is not live, or else what only the whole of it tells."""
        text = self._session.connection().reason or remark
        if not text:
            return ""
        return cut_at_word(f"{self.look.glyphs.warning} {harmless(text)}", width, self.look.glyphs.ellipsis)

    def _empty_text(self) -> str:
        query, connection = self.rows_query, self._session.connection()
        if query.stages or query.search or query.attention_only:
            return "Nothing matches. Esc shows all uploads."
        if connection.read_on is None:
            return "Nothing is known yet."
        return "No uploads yet. They appear here as clients begin them."

    def _paint_timeline(self, now: datetime) -> None:
        view = self.query_one(TimelineView)
        view.now = now
        view.detail = None if self.chosen_id is None else self._session.detail(self.chosen_id)

    # What a person did

    @on(UploadTable.Chosen)
    def choose_upload(self, message: UploadTable.Chosen) -> None:
        self.chosen_id = message.upload_id

    @on(UploadTable.Opened)
    def open_upload(self, message: UploadTable.Opened) -> None:
        from upload_tui.tui.screens.upload import UploadScreen

        self.app.push_screen(UploadScreen(self._session, message.upload_id, self.look))

    @on(UploadTable.FollowEnded)
    def stop_following(self) -> None:
        self.query_one(UploadTable).follow = False

    @on(UploadTable.SortRequested)
    def sort_by_column(self, message: UploadTable.SortRequested) -> None:
        if self.rows_query.sort is message.sort:
            self.action_reverse()
        else:
            self._sort_by(message.sort)

    @on(StageCell.Picked)
    def filter_by_cell(self, message: StageCell.Picked) -> None:
        self.action_stage(message.stage)

    @on(SearchBar.Changed)
    def search_as_typed(self, message: SearchBar.Changed) -> None:
        self.rows_query = replace(self.rows_query, search=message.value)

    @on(SearchBar.Closed)
    def leave_search(self) -> None:
        self.query_one(UploadTable).focus()

    def action_search(self) -> None:
        self.query_one(SearchBar).open(self.rows_query.search)

    def action_attention(self) -> None:
        self.rows_query = replace(self.rows_query, attention_only=not self.rows_query.attention_only)

    def action_stage(self, stage: str) -> None:
        wanted = frozenset({Stage(stage)})
        self.rows_query = replace(self.rows_query, stages=frozenset() if self.rows_query.stages == wanted else wanted)

    def action_sort(self) -> None:
        keys = [key for key in SortKey if key is not SortKey.PROJECT or len(self._session.projects) > 1]
        self._sort_by(keys[(keys.index(self.rows_query.sort) + 1) % len(keys)])

    def _sort_by(self, sort: SortKey) -> None:
        # Times and sizes are most telling from the top; words read from A.
        descending = sort in {SortKey.INITIATED, SortKey.SINCE, SortKey.SIZE}
        self.rows_query = replace(self.rows_query, sort=sort, descending=descending)
        self.notify(f"Sorted by {sort}", timeout=2)

    def action_reverse(self) -> None:
        self.rows_query = replace(self.rows_query, descending=not self.rows_query.descending)

    def action_follow(self) -> None:
        table = self.query_one(UploadTable)
        table.follow = not table.follow
        self._paint()

    def action_shapes(self) -> None:
        from upload_tui.tui.screens.shapes import ShapesScreen

        if self.chosen_id is not None:
            self.app.push_screen(ShapesScreen(self._session, self.chosen_id, self.look))

    def action_pause(self) -> None:
        if self._session.connection().state == "paused":
            self._session.resume()
        else:
            self._session.pause()
        self._paint()

    def action_refresh(self) -> None:
        self._session.refresh()

    def action_times(self) -> None:
        self.look = replace(self.look, absolute_times=not self.look.absolute_times)

    def action_copy_id(self) -> None:
        if self.chosen_id is not None:
            self.app.copy_to_clipboard(self.chosen_id)
            self.notify("Copied the id", timeout=2)

    def action_clear(self) -> None:
        self.query_one(SearchBar).close()
        self.rows_query = replace(Query(), sort=self.rows_query.sort, descending=self.rows_query.descending)

    # What follows from it

    def watch_rows_query(self, query: Query) -> None:
        self.query_one(UploadTable).rows_query = query
        self._paint()

    def watch_chosen_id(self) -> None:
        self.query_one("#timeline").scroll_home(animate=False)
        self._paint_timeline(self._session.now())

    def watch_look(self) -> None:
        self._hand_out_look()
        self._paint()

    def _hand_out_look(self) -> None:
        self.query_one(StatusBar).look = self.look
        self.query_one(UploadTable).look = self.look
        self.query_one(TimelineView).look = self.look
        self.query_one(PendingList).look = self.look
        self.query_one(ChangeLog).look = self.look
