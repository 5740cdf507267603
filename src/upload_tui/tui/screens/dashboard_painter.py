"""Passes the session's picture to the dashboard's widgets, and writes their titles."""

import re
from collections.abc import Mapping
from datetime import datetime
from math import isfinite

from msgspec.structs import replace
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from upload_tui.monitor import ConnectionState, Funnel, Query, Session, SortKey
from upload_tui.status import Stage
from upload_tui.text import sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.controls import DemoControls
from upload_tui.tui.fitting import truncate_at_word
from upload_tui.tui.widgets.activity.activity_pane import ChangeLogView
from upload_tui.tui.widgets.activity.pending_list import PendingList
from upload_tui.tui.widgets.funnel import FunnelBar
from upload_tui.tui.widgets.status_bar import StatusBar
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.tui.widgets.timeline.timeline_view import TimelineView

__all__ = ["DashboardPainter"]

_REPAINT_SECONDS = 5
"""Without changes, ages are updated every second, everything else this often."""
_FRAME_CELLS = 4
"""The cells of a frame's line that its title cannot use: two corners and two spaces."""
_URL_PATH = re.compile(r"(https?://[^\s/]+)/\S*")
"""The path of a URL. Without it, a long reason still fits in the frame."""
_MIN_PENDING_ROWS = 24
"""Fetched even while the pending list has no space, so that it is filled when it gets some."""

_NO_CONTENT = Content()
_SORT_LABELS = {SortKey.SINCE: "age"}
_UNKNOWN_TEXTS = {
    ConnectionState.OFFLINE: "No data yet. Retrying automatically; run `upload-tui doctor` to find the cause.",
    ConnectionState.RETRYING: "No data yet. Retrying automatically; press r to retry now.",
    ConnectionState.NOT_ALLOWED: "Credentials rejected. Run `upload-tui doctor` for details.",
    ConnectionState.PAUSED: "Paused before any data arrived. Press Space to resume.",
}
"""Shown in place of rows while nothing is known, by the state of the connection."""


class DashboardPainter:
    """Updates the widgets of one screen from one session.

    Args:
        screen: the screen with the widgets.
        session: the session to show.
        controls: the controls of a demo or a replay, for its speed and faults; None for a service.
    """

    def __init__(self, screen: Screen[None], session: Session, controls: DemoControls | None) -> None:
        self._screen = screen
        self._session = session
        self._controls = controls
        self._painted_facts: tuple[object, ...] = ()
        self._painted_on: datetime | None = None
        self._funnel = Funnel()
        self._titles: dict[Widget, tuple[Content, Content]] = {}

    @property
    def is_up_to_date(self) -> bool:
        """True if the connection, the speed and the faults are as they were painted."""
        return self._facts() == self._painted_facts

    def _facts(self) -> tuple[object, ...]:
        connection = self._session.connection()
        playback = () if self._controls is None else (self._controls.speed, *self._controls.active_faults)
        return replace(connection, read_on=None), playback

    def can_age(self) -> bool:
        """True if the last `paint` is recent enough for `age` to be sufficient."""
        if self._painted_on is None:
            return False
        return 0 <= (self._session.now() - self._painted_on).total_seconds() < _REPAINT_SECONDS

    def age(self) -> None:
        """Update the ages of what was painted."""
        now = self._session.now()
        self._screen.query_one(UploadTable).now = now
        self._paint_status(now)
        self._screen.query_one(PendingList).now = now
        self._screen.query_one(ChangeLogView).now = now
        self._screen.query_one(FunnelBar).set_now(now)
        self._screen.query_one(TimelineView).now = now

    def paint(self, query: Query, display_options: DisplayOptions) -> None:
        """Paint everything but the timeline."""
        self._painted_facts = self._facts()
        now = self._painted_on = self._session.now()
        table = self._screen.query_one(UploadTable)
        table.several_projects = len(self._session.projects) > 1
        table.reload(now)
        self._paint_status(now)
        self._funnel = self._session.funnel()
        self._paint_activity(now)
        self.paint_query(query, display_options)

    def paint_query(self, query: Query, display_options: DisplayOptions) -> None:
        """Paint the funnel and the table's title for a query; the table fetches its rows itself."""
        now = self._session.now()
        self._screen.query_one(FunnelBar).show(self._funnel, now, display_options, query.stages)
        self._paint_table_title(self._screen.query_one(UploadTable), query, display_options, self._funnel.notice)

    def paint_timeline(self, upload_id: str | None) -> None:
        """Paint the timeline of an upload; None paints none."""
        view = self._screen.query_one(TimelineView)
        detail = None if upload_id is None else self._session.detail(upload_id)
        view.set_reactives(now=self._session.now(), detail=detail)

    def paint_activity_title(self, display_options: DisplayOptions) -> None:
        """Write the filter of the change log into the title of its pane."""
        log = self._screen.query_one(ChangeLogView)
        change_filter, parts = log.change_filter, ["Activity"]
        if change_filter.stage is not None:
            parts.append(change_filter.stage)
        if change_filter.search:
            parts.append(f'matching "{sanitize(change_filter.search)}"')
        if log.is_scrolled_back:
            parts.append("paused")
        self._set_titles(log, title=Content(f" {display_options.glyphs.dot} ".join(parts)))

    def _paint_status(self, now: datetime) -> None:
        bar = self._screen.query_one(StatusBar)
        bar.set_reactives(
            title=self._session.title,
            projects=tuple(self._session.projects),
            connection=self._session.connection(),
            now=now,
            speed=None if self._controls is None else self._controls.speed,
            active_faults=self._active_faults(),
        )

    def _active_faults(self) -> Mapping[str, int | None]:
        """The active faults with the seconds until they end; None means until they are ended."""
        broken = {} if self._controls is None else self._controls.active_faults
        return {name: round(left) if isfinite(left) else None for name, left in broken.items()}

    def _paint_activity(self, now: datetime) -> None:
        pending = self._screen.query_one(PendingList)
        rows = tuple(self._session.pending(max(_MIN_PENDING_ROWS, pending.max_rows)))
        pending.set_reactives(
            now=now,
            rows=rows,
            total=self._funnel.pending,
            stuck_count=self._funnel.stuck,
            is_known=self._is_known,
        )
        self._screen.query_one(ChangeLogView).now = now

    def _paint_table_title(
        self, table: UploadTable, query: Query, display_options: DisplayOptions, notice: str
    ) -> None:
        # The reason why the picture is not live has priority over the funnel's notice.
        warning = _URL_PATH.sub(r"\1", sanitize(self._session.connection().reason or notice))
        line = f"{display_options.glyphs.warning} {warning}" if warning else ""
        cells = table.outer_size.width - _FRAME_CELLS
        if len(line) > cells:
            line = line.replace("verification worker", "worker")
        title = f" {display_options.glyphs.dot} ".join(self._title_parts(table, query))
        self._set_titles(
            table,
            title=Content.styled(title, "$accent") if query.is_filtered else Content(title),
            subtitle=Content(truncate_at_word(line, cells, display_options.glyphs.ellipsis)),
        )
        table.empty_text = self._empty_text(query) if table.is_settled else "Searching…"

    def _set_titles(self, widget: Widget, title: Content, subtitle: Content = _NO_CONTENT) -> None:
        """Set titles that differ; setting one repaints the whole widget, even if it is the same."""
        previous = self._titles.get(widget)
        if previous is None or not (title.is_same(previous[0]) and subtitle.is_same(previous[1])):
            self._titles[widget] = title, subtitle
            widget.border_title = title
            widget.border_subtitle = subtitle

    def _title_parts(self, table: UploadTable, query: Query) -> list[str]:
        parts = [f"Uploads {table.total:,}" if table.is_settled else f"Uploads {table.total:,} so far"]
        if query.stages:
            parts.append(" or ".join(stage for stage in Stage if stage in query.stages))
        if query.attention_only:
            parts.append("stuck or failed")
        if query.search:
            parts.append(f'matching "{sanitize(query.search)}"')
        names = [project.name or project.id for project in self._session.projects if project.id in query.project_ids]
        parts.extend(f"in {sanitize(name)}" for name in names)
        if query.sort is not SortKey.INITIATED:
            parts.append(f"sorted by {_SORT_LABELS.get(query.sort, query.sort)}")
        if table.marked:
            parts.append(f"{len(table.marked)} marked")
        if table.follow:
            parts.append("following newest")
        return parts

    def _empty_text(self, query: Query) -> str:
        if query.is_filtered:
            has_both = query.search and replace(query, search="").is_filtered
            return f"No matches. Esc {'clears the search' if has_both else 'shows all uploads'}."
        if self._is_known:
            return "No uploads yet. New uploads appear here."
        return _UNKNOWN_TEXTS.get(self._session.connection().state, "Loading…")

    @property
    def _is_known(self) -> bool:
        """False until data from the service or from an earlier visit is available."""
        return self._session.connection().read_on is not None or self._session.funnel().total > 0
