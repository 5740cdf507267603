"""Hands the session's picture to the dashboard's widgets; decides nothing, and remembers only what it wrote on frames."""

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
"""While the session tells nothing new, ages move on each second, but judgements and the other numbers are looked at this often."""
_FRAME_CELLS = 4
"""What a frame keeps of a line for its corners and a blank beside each."""
_URL_PATH = re.compile(r"(https?://[^\s/]+)/\S*")
"""In a reason; which host it is matters, the path only cuts off what comes after it."""
_MIN_PENDING_ROWS = 8
"""So many pending uploads are looked for also where the tail has no room now: it has some as soon as a person goes there."""

_NO_CONTENT = Content()
_UNKNOWN_TEXTS = {
    ConnectionState.OFFLINE: "Not reached yet. It is tried again by itself; `upload-tui doctor` looks for the cause.",
    ConnectionState.RETRYING: "Not reached yet. It is tried again by itself; r tries now.",
    ConnectionState.NOT_ALLOWED: "The service lets nobody in with these credentials; `upload-tui doctor` says more.",
    ConnectionState.PAUSED: "Paused before anything was read. The space bar goes on.",
}
"""What to do while nothing is known."""


class DashboardPainter:
    """Paints one screen from one session.

    Args:
        screen: whose widgets are painted.
        session: whom to ask.
        controls: whose pace is shown; None outside of a demo.
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
        """True if the connection and the pace are as they were painted; what else there is, the next second tells."""
        return self._facts() == self._painted_facts

    def _facts(self) -> tuple[object, ...]:
        connection = self._session.connection()
        story = () if self._controls is None else (self._controls.speed, *self._controls.active_faults)
        return replace(connection, read_on=None), story

    def can_age(self) -> bool:
        """True if it is enough to `age` what was painted, unless the session told something since."""
        if self._painted_on is None:
            return False
        return 0 <= (self._session.now() - self._painted_on).total_seconds() < _REPAINT_SECONDS

    def age(self) -> None:
        """A second has passed: what was painted is older."""
        now = self._session.now()
        self._screen.query_one(UploadTable).now = now
        self._paint_status(now)
        self._screen.query_one(PendingList).now = now
        self._screen.query_one(ChangeLogView).now = now
        self._screen.query_one(FunnelBar).set_now(now)
        self._screen.query_one(TimelineView).now = now

    def paint(self, query: Query, display_options: DisplayOptions) -> None:
        """Everything but the timeline, as it is now."""
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
        """What is asked for, and how much of that there is; the table fetches its rows by itself."""
        now = self._session.now()
        self._screen.query_one(FunnelBar).show(self._funnel, now, display_options, query.stages)
        self._paint_table_title(self._screen.query_one(UploadTable), query, display_options, self._funnel.notice)

    def paint_timeline(self, upload_id: str | None) -> None:
        """The chosen upload's timeline; None if none is chosen."""
        view = self._screen.query_one(TimelineView)
        detail = None if upload_id is None else self._session.detail(upload_id)
        view.set_reactives(now=self._session.now(), detail=detail)

    def paint_activity_title(self, display_options: DisplayOptions) -> None:
        """What the tail shows of the changes."""
        log = self._screen.query_one(ChangeLogView)
        wanted, parts = log.change_filter, ["Tail"]
        if wanted.stage is not None:
            parts.append(wanted.stage)
        if wanted.search:
            parts.append(f'with "{sanitize(wanted.search)}"')
        if log.is_scrolled_back:
            parts.append("looking back")
        self._set_titles(
            self._screen.query_one("#activity"), title=Content(f" {display_options.glyphs.dot} ".join(parts))
        )

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
        """What a person broke of the demo's service, with the seconds that it lasts still; None for until it is ended."""
        broken = {} if self._controls is None else self._controls.active_faults
        return {name: round(left) if isfinite(left) else None for name, left in broken.items()}

    def _paint_activity(self, now: datetime) -> None:
        pending = self._screen.query_one(PendingList)
        rows = tuple(self._session.pending(max(_MIN_PENDING_ROWS, pending.max_rows)))
        pending.set_reactives(now=now, rows=rows, total=self._funnel.pending, is_known=self._is_known)
        self._screen.query_one(ChangeLogView).now = now

    def _paint_table_title(
        self, table: UploadTable, query: Query, display_options: DisplayOptions, notice: str
    ) -> None:
        # Why the picture is not live, or else what only the whole of it tells.
        warning = _URL_PATH.sub(r"\1", sanitize(self._session.connection().reason or notice))
        line = f"{display_options.glyphs.warning} {warning}" if warning else ""
        room = table.outer_size.width - _FRAME_CELLS
        if len(line) > room:
            line = line.replace("the verification worker", "worker")
        title = f" {display_options.glyphs.dot} ".join(self._title_parts(table, query))
        self._set_titles(
            table,
            title=Content.styled(title, "$stage-completed") if query.is_filtered else Content(title),
            subtitle=Content(truncate_at_word(line, room, display_options.glyphs.ellipsis)),
        )
        table.empty_text = self._empty_text(query) if table.is_settled else "Looking for them."

    def _set_titles(self, widget: Widget, title: Content, subtitle: Content = _NO_CONTENT) -> None:
        """Setting a title repaints the whole widget, also if it is the same."""
        before = self._titles.get(widget)
        if before is None or not (title.is_same(before[0]) and subtitle.is_same(before[1])):
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
            parts.append(f'with "{sanitize(query.search)}"')
        names = [project.name or project.id for project in self._session.projects if project.id in query.project_ids]
        parts.extend(f"in {sanitize(name)}" for name in names)
        if query.sort is not SortKey.INITIATED:
            parts.append(f"by {query.sort}")
        if table.marked:
            parts.append(f"{len(table.marked)} marked")
        if table.follow:
            parts.append("following the newest")
        return parts

    def _empty_text(self, query: Query) -> str:
        if query.is_filtered:
            has_both = query.search and replace(query, search="").is_filtered
            return f"Nothing matches. Esc {'clears the search' if has_both else 'shows all uploads'}."
        if self._is_known:
            return "No uploads yet. They appear here as clients begin them."
        return _UNKNOWN_TEXTS.get(
            self._session.connection().state, "Uploads appear here as soon as the service answers."
        )

    @property
    def _is_known(self) -> bool:
        """False as long as the service has told nothing, neither in this visit nor in one before."""
        return self._session.connection().read_on is not None or self._session.funnel().total > 0
