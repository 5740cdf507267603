"""The dashboard: funnel, table, timeline and tail of one session, live."""

from collections.abc import Sequence
from typing import ClassVar

from msgspec.structs import replace
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.reactive import Reactive, reactive
from textual.timer import Timer
from textual.widget import Widget

from upload_tui.monitor import CauseGroup, Change, Detail, Query, Session, SortKey, UploadChange
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.tui.alerts import Alert
from upload_tui.tui.appearance.columns import ColumnSpec, default_columns
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.controls import DemoControls
from upload_tui.tui.keys.bindings import DASHBOARD_KEYS
from upload_tui.tui.messages import ColumnsChosen
from upload_tui.tui.screens.aside import show_one_pane
from upload_tui.tui.screens.dashboard_painter import DashboardPainter
from upload_tui.tui.screens.upload_actions import ExportScreen
from upload_tui.tui.widgets.activity.activity_pane import ActivityPane, ChangeLogView
from upload_tui.tui.widgets.activity.pending_list import PendingList
from upload_tui.tui.widgets.funnel import FunnelBar, StageCell
from upload_tui.tui.widgets.key_footer import KeyFooter
from upload_tui.tui.widgets.search_bar import SearchBar
from upload_tui.tui.widgets.status_bar import StatusBar
from upload_tui.tui.widgets.table.row_window import next_matching
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.tui.widgets.timeline.timeline_pane import TimelinePane

__all__ = ["DashboardScreen"]


_ALERT_SECONDS = 20.0
_TIMELINE_DELAY_SECONDS = 0.08
"""Longer than a held key takes to repeat."""


class _Middle(Horizontal):
    BLANK = True  # nothing but ground


class DashboardScreen(ExportScreen):
    """One session on one screen.

    Args:
        session: whom to ask.
        display_options: how to write facts.
        controls: the demo that is being told; None outside of it.
    """

    AUTO_FOCUS = "UploadTable"
    BLANK = True  # nothing of the screen itself is seen but its ground

    BINDINGS: ClassVar[list[BindingType]] = list(DASHBOARD_KEYS)

    # A reactive of the screen would repaint all of it; the widgets that these are handed to repaint themselves.
    rows_query: reactive[Query] = reactive(Query, init=False, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, init=False, repaint=False)
    selected_id: reactive[str | None] = reactive(None, init=False, repaint=False)
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self, session: Session, display_options: DisplayOptions, controls: DemoControls | None = None) -> None:
        super().__init__()
        self._session = session
        self._painter = DashboardPainter(self, session, controls)
        self._is_activity_searched = False
        self._alert_timer: Timer | None = None
        self._timeline_timer: Timer | None = None
        self.set_reactive(DashboardScreen.display_options, display_options)

    def compose(self) -> ComposeResult:
        yield StatusBar()
        yield FunnelBar()
        with _Middle(id="middle"):
            yield UploadTable(self._session, id="uploads")
            yield TimelinePane(id="timeline", classes="-aside")
        yield ActivityPane(id="activity", classes="-aside")
        yield SearchBar()
        yield KeyFooter()

    def on_mount(self) -> None:
        self.query_one("#timeline").border_title = "Timeline"
        self._painter.paint_activity_title(self.display_options)
        self.query_one(ChangeLogView).add(self._session.history(1000))
        self._apply_display_options()
        # What is known already is on the first frame; what depends on the room there is follows.
        self._painter.paint(self.rows_query, self.display_options)
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self._paint)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        show_one_pane(self.query("#middle, #uploads, #timeline, #activity"), event.widget)

    # The picture moves

    def take(self, changes: Sequence[Change]) -> None:
        """Paint the picture as it is now; `changes` are the changes of uploads since the last time."""
        self.query_one(ChangeLogView).add(changes)
        if not changes and self._painter.is_up_to_date:
            return  # only the age of the picture is another, and the next second tells that
        self._paint()
        self.query_one(UploadTable).highlight(
            change.upload.id for change in changes if isinstance(change, UploadChange)
        )

    def show_alert(self, alert: Alert) -> None:
        """Say it at the top until the next one, or for a while."""
        bar = self.query_one(StatusBar)
        bar.alert = alert.text
        if self._alert_timer is not None:
            self._alert_timer.stop()
        self._alert_timer = self.set_timer(_ALERT_SECONDS, self._clear_alert)

    def _clear_alert(self) -> None:
        self.query_one(StatusBar).alert = ""

    def _tick(self) -> None:
        """A second has passed: ages, judgements and the connection's countdown move on."""
        if self._painter.can_age():
            self._painter.age()
        else:
            self._paint()

    def _paint(self) -> None:
        self._painter.paint(self.rows_query, self.display_options)
        self._painter.paint_timeline(self.selected_id)

    # What a person did

    @on(UploadTable.Selected)
    def select_upload(self, message: UploadTable.Selected) -> None:
        self.selected_id = message.upload_id

    @on(UploadTable.Opened)
    @on(ChangeLogView.Opened)
    def open_upload(self, message: UploadTable.Opened | ChangeLogView.Opened) -> None:
        from upload_tui.tui.screens.upload import UploadScreen

        self.app.push_screen(UploadScreen(self._session, message.upload_id, self.display_options))

    @on(UploadTable.TitleChanged)
    def update_table_title(self) -> None:
        self._painter.paint_query(self.rows_query, self.display_options)

    @on(UploadTable.SortRequested)
    def sort_by_column(self, message: UploadTable.SortRequested) -> None:
        if self.rows_query.sort is message.sort:
            self.action_reverse()
        else:
            self._sort_by(message.sort)

    @on(StageCell.Picked)
    def filter_by_stage(self, message: StageCell.Picked) -> None:
        self.action_stage(message.stage)

    @on(SearchBar.Changed)
    def search_as_typed(self, message: SearchBar.Changed) -> None:
        if self._is_activity_searched:
            log = self.query_one(ChangeLogView)
            log.change_filter = replace(log.change_filter, search=message.value)
        else:
            self.rows_query = replace(self.rows_query, search=message.value)

    @on(SearchBar.Closed)
    def close_search(self) -> None:
        self.query_one(ChangeLogView if self._is_activity_searched else UploadTable).focus()

    @on(ChangeLogView.TitleChanged)
    def update_activity_title(self) -> None:
        self._painter.paint_activity_title(self.display_options)

    def action_search(self) -> None:
        """Search in the pane that has the focus: the tail, or else the table."""
        log = self.query_one(ChangeLogView)
        self._is_activity_searched = log.has_focus
        self.query_one(SearchBar).open(
            log.change_filter.search if self._is_activity_searched else self.rows_query.search
        )

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

    def action_reverse(self) -> None:
        self.rows_query = replace(self.rows_query, descending=not self.rows_query.descending)

    def action_follow(self) -> None:
        table = self.query_one(UploadTable)
        if not table.follow:
            self.rows_query = replace(self.rows_query, sort=SortKey.INITIATED, descending=True)
        table.follow = not table.follow

    def action_next_failed(self) -> None:
        self._go_to_next(replace(self.rows_query, stages=frozenset({Stage.ERROR})), "No upload has failed.")

    def action_next_stuck(self) -> None:
        stuck = replace(self.rows_query, stages=PENDING_STAGES, attention_only=True)
        self._go_to_next(stuck, "No upload looks stuck.")

    def _go_to_next(self, narrower: Query, none_text: str) -> None:
        table = self.query_one(UploadTable)
        upload_id = next_matching(self._session, self.rows_query, narrower, table.cursor_row)
        if upload_id is None:
            self.notify(none_text, timeout=2)
        else:
            table.select(upload_id)

    def action_failures(self) -> None:
        from upload_tui.tui.screens.failures import FailureScreen

        self.app.push_screen(FailureScreen(self._session, self.display_options), self._show_failures)

    def _show_failures(self, group: CauseGroup | None) -> None:
        """Only the failed, and the cursor on one of the group."""
        if group is not None:
            self.rows_query = replace(self.rows_query, stages=frozenset({Stage.ERROR}), search="")
            self.query_one(UploadTable).select(group.last_id)

    def action_latencies(self) -> None:
        from upload_tui.tui.screens.latencies import LatencyScreen

        self.app.push_screen(LatencyScreen(self._session, self.display_options))

    def action_projects(self) -> None:
        from upload_tui.tui.screens.menu import project_menu

        self.app.push_screen(project_menu(self._session.projects), self._show_project)

    def _show_project(self, project_id: str | None) -> None:
        if project_id is not None:
            wanted = frozenset({project_id}) if project_id else frozenset[str]()
            self.rows_query = replace(self.rows_query, project_ids=wanted)

    def action_raw(self) -> None:
        from upload_tui.tui.screens.upload import UploadScreen

        if upload_id := self._selected_upload_id():
            self.app.push_screen(UploadScreen(self._session, upload_id, self.display_options, first_pane="upload-raw"))

    def action_shapes(self) -> None:
        from upload_tui.tui.screens.shapes import ShapesScreen

        if upload_id := self._selected_upload_id():
            self.app.push_screen(ShapesScreen(self._session, upload_id, self.display_options))

    def action_pause(self) -> None:
        if self._session.connection().state == "paused":
            self._session.resume()
        else:
            self._session.pause()
        self._paint()

    def action_refresh(self) -> None:
        self._session.refresh()

    def action_times(self) -> None:
        self.display_options = replace(self.display_options, absolute_times=not self.display_options.absolute_times)

    def action_density(self) -> None:
        self.display_options = replace(self.display_options, is_roomy=not self.display_options.is_roomy)

    def action_columns(self) -> None:
        from upload_tui.tui.screens.columns import ColumnScreen

        services = bool(self.display_options.services)
        usual = default_columns(several_projects=len(self._session.projects) > 1, several_services=services)
        self.app.push_screen(ColumnScreen(self.display_options.columns or usual), self._apply_columns)

    def _apply_columns(self, columns: tuple[ColumnSpec, ...] | None) -> None:
        if columns is not None:
            self.display_options = replace(self.display_options, columns=columns)
            self.post_message(ColumnsChosen(columns))

    def selection(self) -> Sequence[Detail]:
        """The upload of the tail's line if the tail has the focus; or else the marked, or the one under the table's cursor."""
        marked = () if self.query_one(ChangeLogView).has_focus else sorted(self.query_one(UploadTable).marked)
        wanted = marked or [self._selected_upload_id() or ""]
        return [detail for upload_id in wanted if (detail := self._session.detail(upload_id)) is not None]

    def _selected_upload_id(self) -> str | None:
        """The chosen upload of the pane that has the focus; None, and a word, if there is none."""
        log = self.query_one(ChangeLogView)
        upload_id = log.cursor_id if log.has_focus else self.selected_id
        if upload_id is None:
            self.notify("No upload selected.", timeout=2)
        return upload_id

    def visible_query(self) -> tuple[Session, Query]:
        return self._session, self.rows_query

    def visible_changes(self) -> Sequence[Change]:
        return self.query_one(ChangeLogView).shown_changes

    def action_clear(self) -> None:
        """Take one layer off: the search, or else the filters, or else the marks."""
        bar, query = self.query_one(SearchBar), self.rows_query
        if bar.is_open:
            bar.action_clear()
        elif query.search:
            self.rows_query = replace(query, search="")
        elif query.is_filtered:
            self.rows_query = Query(sort=query.sort, descending=query.descending)
        else:
            self.query_one(UploadTable).marked = frozenset()

    # What follows from it

    def watch_rows_query(self, query: Query) -> None:
        table = self.query_one(UploadTable)
        # The newest is on top only in the service's own order.
        table.follow = table.follow and query.sort is SortKey.INITIATED and query.descending
        table.rows_query = query
        self._painter.paint_query(query, self.display_options)

    def watch_selected_id(self) -> None:
        # A key that is held runs over many uploads: its frames come first, the timeline when it rests.
        if self._timeline_timer is not None:
            self._timeline_timer.stop()
        self._timeline_timer = self.set_timer(_TIMELINE_DELAY_SECONDS, self._show_selected)

    def _show_selected(self) -> None:
        self._painter.paint_timeline(self.selected_id)

    def watch_display_options(self) -> None:
        self._apply_display_options()
        self._paint()

    def _apply_display_options(self) -> None:
        self.query_one(StatusBar).display_options = self.display_options
        self.query_one(UploadTable).display_options = self.display_options
        self.query_one(TimelinePane).display_options = self.display_options
        self.query_one(PendingList).display_options = self.display_options
        self.query_one(ChangeLogView).display_options = self.display_options
