"""The dashboard: funnel, table, timeline and activity of one session, live."""

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

from upload_tui.monitor import CauseGroup, Change, ConnectionState, Detail, Session, UploadChange
from upload_tui.status import Stage
from upload_tui.tui.alerts import Alert
from upload_tui.tui.appearance.columns import ColumnSpec, default_columns
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.controls import DemoControls
from upload_tui.tui.keys.bindings import DASHBOARD_KEYS
from upload_tui.tui.messages import ColumnsChosen
from upload_tui.tui.screens.dashboard_painter import DashboardPainter
from upload_tui.tui.screens.query_screen import QueryScreen
from upload_tui.tui.widgets.activity.activity_pane import ActivityPane, ChangeLogView
from upload_tui.tui.widgets.activity.pending_list import PendingList
from upload_tui.tui.widgets.funnel import FunnelBar
from upload_tui.tui.widgets.key_footer import KeyFooter
from upload_tui.tui.widgets.search_bar import SearchBar
from upload_tui.tui.widgets.status_bar import StatusBar
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.tui.widgets.timeline.timeline_pane import TimelinePane

__all__ = ["DashboardScreen"]


_ALERT_SECONDS = 20.0
_TIMELINE_DELAY_SECONDS = 0.08
"""Longer than the interval at which a held key repeats."""


class _Middle(Horizontal):
    BLANK = True  # shows only its background, which Textual then paints faster


class DashboardScreen(QueryScreen):
    """One session on one screen.

    Args:
        session: the session to show.
        display_options: how to show it.
        controls: the controls of a demo or a replay; None for a service.
    """

    AUTO_FOCUS = "UploadTable"
    BLANK = True

    BINDINGS: ClassVar[list[BindingType]] = list(DASHBOARD_KEYS)

    # A reactive of the screen would repaint all of it. The widgets that get these values repaint themselves.
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, init=False, repaint=False)
    selected_id: reactive[str | None] = reactive(None, init=False, repaint=False)
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self, session: Session, display_options: DisplayOptions, controls: DemoControls | None = None) -> None:
        super().__init__(session)
        self._painter = DashboardPainter(self, session, controls)
        self._alert_timer: Timer | None = None
        self._timeline_timer: Timer | None = None
        self.set_reactive(DashboardScreen.display_options, display_options)

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        yield StatusBar()
        yield FunnelBar()
        with _Middle(id="middle"):
            yield UploadTable(self._session, id="uploads")
            yield TimelinePane(id="timeline", classes="-aside")
        yield ActivityPane(id="activity", classes="-aside")
        yield SearchBar()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show what is known, and start the clock of the screen."""
        self.query_one("#timeline").border_title = "Timeline"
        self._painter.paint_activity_title(self.display_options)
        self.query_one(ChangeLogView).add(self._session.history(1000))
        self._apply_display_options()
        # The first frame shows what is known. What depends on the layout is painted after it.
        self._painter.paint(self.rows_query, self.display_options)
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self._paint)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """On a small terminal, show only the pane with the focus."""
        self.show_one_pane(self.query("#middle, #uploads, #timeline, #activity"), event.widget)

    # Painting

    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show a batch of changes."""
        self.query_one(ChangeLogView).add(changes)
        if not changes and self._painter.is_up_to_date:
            return  # only the age of the picture changed, which the next tick paints
        self._paint()
        self.query_one(UploadTable).highlight(
            change.upload.id for change in changes if isinstance(change, UploadChange)
        )

    def show_alert(self, alert: Alert) -> None:
        """Show an alert in the status bar until the next one, for at most 20 seconds."""
        self.query_one(StatusBar).alert = alert.text
        if self._alert_timer is not None:
            self._alert_timer.stop()
        self._alert_timer = self.set_timer(_ALERT_SECONDS, self._clear_alert)

    def _clear_alert(self) -> None:
        self.query_one(StatusBar).alert = ""

    def _tick(self) -> None:
        """Update what changes every second: ages, lateness, the countdown of the connection."""
        if self._painter.can_age():
            self._painter.age()
        else:
            self._paint()

    def _paint(self) -> None:
        self._painter.paint(self.rows_query, self.display_options)
        self._painter.paint_timeline(self.selected_id)

    @on(UploadTable.TitleChanged)
    def update_table_title(self) -> None:
        """Update the title of the table."""
        self._painter.paint_query(self.rows_query, self.display_options)

    @on(ChangeLogView.TitleChanged)
    def update_activity_title(self) -> None:
        """Update the title of the activity pane."""
        self._painter.paint_activity_title(self.display_options)

    # Selection

    @on(UploadTable.Selected)
    def select_upload(self, message: UploadTable.Selected) -> None:
        """Select the upload at the cursor."""
        self.selected_id = message.upload_id

    def watch_selected_id(self) -> None:
        """Show the timeline of the selected upload once the cursor rests."""
        # While a key is held, the table comes first. The timeline follows once the cursor rests.
        if self._timeline_timer is not None:
            self._timeline_timer.stop()
        self._timeline_timer = self.set_timer(_TIMELINE_DELAY_SECONDS, self._show_selected)

    def _show_selected(self) -> None:
        self._painter.paint_timeline(self.selected_id)

    def selection(self) -> Sequence[Detail]:
        """The upload of the change log's cursor if the log has the focus; else the marked uploads, or else the selected one."""
        marked = () if self.query_one(ChangeLogView).has_focus else sorted(self.query_one(UploadTable).marked)
        ids = marked or [self._selected_upload_id() or ""]
        return [detail for upload_id in ids if (detail := self._session.detail(upload_id)) is not None]

    def _selected_upload_id(self) -> str | None:
        """The selected upload of the pane that has the focus; None, and a notification, if there is none."""
        log = self.query_one(ChangeLogView)
        upload_id = log.cursor_id if log.has_focus else self.selected_id
        if upload_id is None:
            self.notify("No upload selected.", timeout=2)
        return upload_id

    # Screens and dialogs

    @on(UploadTable.Opened)
    @on(ChangeLogView.Opened)
    def open_upload(self, message: UploadTable.Opened | ChangeLogView.Opened) -> None:
        """Open the screen of an upload."""
        self._open_upload(message.upload_id)

    def action_raw(self) -> None:
        """Show the raw response."""
        if upload_id := self._selected_upload_id():
            self._open_upload(upload_id, first_pane="upload-raw")

    def _open_upload(self, upload_id: str, first_pane: str = "upload-timeline") -> None:
        from upload_tui.tui.screens.upload import UploadScreen

        self.app.push_screen(UploadScreen(self._session, upload_id, self.display_options, first_pane))

    def action_shapes(self) -> None:
        """Show the status in three formats."""
        from upload_tui.tui.screens.shapes import ShapesScreen

        if upload_id := self._selected_upload_id():
            self.app.push_screen(ShapesScreen(self._session, upload_id, self.display_options))

    def action_failures(self) -> None:
        """Show the failures by cause."""
        from upload_tui.tui.screens.failures import FailureScreen

        self.app.push_screen(FailureScreen(self._session, self.display_options), self._show_failures)

    def _show_failures(self, group: CauseGroup | None) -> None:
        """Filter for failed uploads and select the last one of a group."""
        if group is not None:
            self.rows_query = replace(self.rows_query, stages=frozenset({Stage.ERROR}), search="")
            self.query_one(UploadTable).select(group.last_id)

    def action_latencies(self) -> None:
        """Show the latencies."""
        from upload_tui.tui.screens.latencies import LatencyScreen

        self.app.push_screen(LatencyScreen(self._session, self.display_options))

    # Session

    def action_pause(self) -> None:
        """Pause or resume refreshing."""
        if self._session.connection().state is ConnectionState.PAUSED:
            self._session.resume()
        else:
            self._session.pause()
        self._paint()

    def action_refresh(self) -> None:
        """Refresh now."""
        self._session.refresh()

    # Display options

    def action_times(self) -> None:
        """Toggle relative and absolute times."""
        self.display_options = replace(self.display_options, absolute_times=not self.display_options.absolute_times)

    def action_density(self) -> None:
        """Toggle one and two lines for each upload."""
        self.display_options = replace(self.display_options, is_roomy=not self.display_options.is_roomy)

    def action_columns(self) -> None:
        """Choose columns."""
        from upload_tui.tui.screens.columns import ColumnScreen

        columns = self.display_options.columns or default_columns(
            several_projects=len(self._session.projects) > 1, several_services=bool(self.display_options.services)
        )
        self.app.push_screen(ColumnScreen(columns), self._apply_columns)

    def _apply_columns(self, columns: tuple[ColumnSpec, ...] | None) -> None:
        if columns is not None:
            self.display_options = replace(self.display_options, columns=columns)
            self.post_message(ColumnsChosen(columns))

    def watch_display_options(self) -> None:
        """Repaint with the new display options."""
        self._apply_display_options()
        self._paint()

    def _apply_display_options(self) -> None:
        self.query_one(StatusBar).display_options = self.display_options
        self.query_one(UploadTable).display_options = self.display_options
        self.query_one(TimelinePane).display_options = self.display_options
        self.query_one(PendingList).display_options = self.display_options
        self.query_one(ChangeLogView).display_options = self.display_options
