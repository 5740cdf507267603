"""The dashboard: funnel, table, timeline and activity of one session, live."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.reactive import Reactive, reactive
from textual.timer import Timer
from textual.widget import Widget

from upload_tui.monitor import (
    Change,
    Connection,
    ConnectionState,
    Detail,
    Funnel,
    Query,
    Session,
    Trouble,
    UploadChange,
    UploadKey,
)
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bindings import DASHBOARD_KEYS
from upload_tui.tui.controls import PlaybackControls
from upload_tui.tui.preferences import Preferences
from upload_tui.tui.screens.session_screen import has_data
from upload_tui.tui.screens.views import ViewScreen
from upload_tui.tui.widgets.activity_pane import ActivityPane, ChangeLogView
from upload_tui.tui.widgets.alarm_bar import AlarmBar
from upload_tui.tui.widgets.footer import KeyFooter
from upload_tui.tui.widgets.funnel import FunnelBar
from upload_tui.tui.widgets.pending_list import PendingList
from upload_tui.tui.widgets.table.upload_table import TitledTable, UploadTable
from upload_tui.tui.widgets.timeline_view import TimelinePane

__all__ = ["DashboardScreen"]


_TIMELINE_DELAY_SECONDS = 0.08
"""Longer than the interval at which a held key repeats."""
_JUST_REFRESHED_SECONDS = 0.75
"""A tick this soon after a refresh has nothing to update."""
_REFRESH_SECONDS = 5
"""Without changes, ages are updated every second, everything else this often."""
_MIN_PENDING_ROWS = 24
"""Fetched even while the pending list has no space, so that it is filled when it gets some."""


class _TableAndTimeline(Horizontal):
    BLANK = True  # shows only its background, which Textual then paints faster


class DashboardScreen(ViewScreen):
    """One session on one screen.

    Args:
        session: the session to show.
        display_options: how to show it.
        preferences: the views, and how the dashboard was left.
        controls: the controls of a demo or a replay; None for a service.
    """

    AUTO_FOCUS = "UploadTable"
    BLANK = True

    BINDINGS: ClassVar[list[BindingType]] = list(DASHBOARD_KEYS)

    selected: reactive[UploadKey | None] = reactive(None, init=False, repaint=False)
    detail: reactive[Detail | None] = reactive(None, init=False, repaint=False)
    funnel: reactive[Funnel] = reactive(Funnel, init=False, repaint=False)
    rows_connection: reactive[Connection | None] = reactive(None, init=False, repaint=False)
    """The connection of the projects that the query selects."""
    is_known: reactive[bool] = reactive(False, init=False, repaint=False)
    """False until data from the service or from an earlier session are available."""
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(
        self,
        session: Session,
        display_options: DisplayOptions,
        preferences: Preferences,
        controls: PlaybackControls | None = None,
    ) -> None:
        super().__init__(session, display_options, preferences)
        self._controls = controls
        self._refreshed_on: datetime | None = None
        self._timeline_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        cls = DashboardScreen
        yield self.status_bar()
        yield FunnelBar()
        yield AlarmBar().data_bind(cls.connection, cls.funnel, cls.now, cls.display_options)
        with _TableAndTimeline(id="middle"):
            yield TitledTable(self._session.picture, id="uploads").data_bind(
                cls.rows_query,
                cls.projects,
                cls.is_known,
                cls.display_options,
                cls.now,
                cls.funnel,
                cls.view,
                connection=cls.rows_connection,
            )
            yield TimelinePane(id="timeline", classes="-aside").data_bind(cls.detail, cls.display_options, cls.now)
        with ActivityPane(id="activity", classes="-aside"):
            yield PendingList().data_bind(cls.is_known, cls.display_options, cls.now, cls.projects)
            log = ChangeLogView(lambda key: self._session.picture.row(*key))
            yield log.data_bind(cls.display_options, cls.now, cls.projects)
        yield self._search_bar
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show what is known, and start the clock of the screen."""
        self.query_one("#timeline").border_title = "Timeline"
        self.query_one(ChangeLogView).add(self._session.changes.history(1000))
        # The first frame shows what is known. What depends on the layout is read after it.
        self._refresh_picture()
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self._refresh_picture)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """On a small terminal, show only the pane with the focus."""
        self.show_one_pane(self.query("#middle, #uploads, #timeline, #activity"), event.widget)

    # The picture

    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show a batch of changes."""
        self.query_one(ChangeLogView).add(changes)
        self._refresh_picture()
        self.query_one(UploadTable).highlight(
            change.upload.key for change in changes if isinstance(change, UploadChange)
        )

    def _refresh_picture(self) -> None:
        """Read everything from the session."""
        picture = self._session.picture
        self._refreshed_on = now = picture.clock.now()
        # Set directly first: the bound values are then equal, and nothing is drawn twice.
        self.query_one(UploadTable).reload(now, picture)
        self._read_aggregates(now)
        self.read_status(now)
        self._show_funnel()
        self._show_selected()

    def read_status(self, now: datetime) -> None:
        """Read what the status bar and the title of the table show."""
        self.rows_connection = self._session.connection(self.rows_query.project_ids)
        super().read_status(now)

    def _read_aggregates(self, now: datetime) -> None:
        """Read what is not a row of the table, of the projects that the query selects."""
        picture, project_ids = self._session.picture, self.rows_query.project_ids
        funnel, pending = picture.funnel(project_ids), self.query_one(PendingList)
        is_known = has_data(self._session.connection(project_ids), funnel)
        rows = tuple(picture.pending(max(_MIN_PENDING_ROWS, pending.max_rows), project_ids))
        pending.set_reactives(
            rows=rows,
            total=funnel.pending,
            stuck_count=funnel.stuck,
            overdue_count=funnel.troubles.get(Trouble.OVERDUE, 0),
            is_known=is_known,
            now=now,
        )
        longest_stuck = next((row for row in rows[:1] if row.lateness.is_stuck), None)
        self.query_one(AlarmBar).set_reactives(
            connection=self._session.connection(), funnel=funnel, now=now, longest_stuck=longest_stuck
        )
        self.funnel, self.is_known = funnel, is_known

    def _tick(self) -> None:
        """Update what changes every second: ages, lateness, the countdown of the connection."""
        now = self._session.picture.clock.now()
        age = None if self._refreshed_on is None else (now - self._refreshed_on).total_seconds()
        if age is not None and 0 <= age < _JUST_REFRESHED_SECONDS:
            return
        if age is not None and 0 <= age < _REFRESH_SECONDS:
            self.read_status(now)
            self.query_one(FunnelBar).set_now(now)
        else:
            self._refresh_picture()

    def _show_funnel(self) -> None:
        stages = self.rows_query.stages
        funnel = self.funnel if self.is_known else None
        self.query_one(FunnelBar).show(funnel, self.now, self.display_options, stages)

    def watch_rows_query(self, before: Query, after: Query) -> None:
        """Show the query in the widgets that are not bound to it."""
        if before.project_ids != after.project_ids:
            self.query_one(ChangeLogView).project_ids = after.project_ids
            now = self._session.picture.clock.now()
            self._read_aggregates(now)
            self.read_status(now)
        self._show_funnel()

    # Selection

    @on(UploadTable.Selected)
    def select_upload(self, message: UploadTable.Selected) -> None:
        """Select the upload at the cursor."""
        self.selected = message.key

    def watch_selected(self) -> None:
        """Show the timeline of the selected upload once the cursor rests: while a key is held, the table comes first."""
        if self._timeline_timer is not None:
            self._timeline_timer.stop()
        self._timeline_timer = self.set_timer(_TIMELINE_DELAY_SECONDS, self._show_selected)

    @property
    def is_behind(self) -> bool:
        """True while the timeline waits for the cursor to rest, or the table for a search."""
        return self._timeline_timer is not None or not self.query_one(UploadTable).is_settled

    def _show_selected(self) -> None:
        if self._timeline_timer is not None:
            self._timeline_timer.stop()
            self._timeline_timer = None
        self.detail = self.read_detail(self.selected)
        self.follow_origin(self.detail)

    def selection(self) -> Sequence[Detail]:
        """The upload of the change log's cursor if the log has the focus; else the marked uploads, or else the selected one."""
        marked = () if self.query_one(ChangeLogView).has_focus else sorted(self.query_one(UploadTable).marked)
        keys = marked or filter(None, [self.selected_key()])
        return [detail for key in keys if (detail := self._session.picture.detail(*key)) is not None]

    def selected_key(self) -> UploadKey | None:
        """The selected upload of the pane that has the focus; None, and a notification, if there is none."""
        log = self.query_one(ChangeLogView)
        key = log.cursor_key if log.has_focus else self.selected
        if key is None:
            self.notify("No upload selected.", timeout=2)
        return key

    # Screens and dialogs

    @on(UploadTable.Opened)
    @on(ChangeLogView.Opened)
    def open_upload(self, message: UploadTable.Opened | ChangeLogView.Opened) -> None:
        """Open the screen of an upload."""
        self.show_upload(message.key)

    # Session

    def action_pause(self) -> None:
        """Pause or resume refreshing."""
        self._session.set_paused(is_paused=self._session.connection().state is not ConnectionState.PAUSED)
        self._refresh_picture()

    # Display options

    def watch_display_options(self) -> None:
        """Show the new display options."""
        self._show_funnel()
