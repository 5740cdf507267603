"""The base class of the dashboard that owns the table's query: search, filters and sort order."""

from abc import abstractmethod
from collections.abc import Sequence

from msgspec.structs import replace
from textual import on
from textual.reactive import reactive

from upload_tui.monitor import Change, Query, Session, SortKey
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.tui.screens.upload_actions import ExportScreen
from upload_tui.tui.widgets.activity.activity_pane import ChangeLogView
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.tui.widgets.search_bar import SearchBar
from upload_tui.tui.widgets.table.row_window import next_matching
from upload_tui.tui.widgets.table.upload_table import UploadTable

__all__ = ["QueryScreen"]

_DESCENDING_KEYS = frozenset({SortKey.INITIATED, SortKey.SINCE, SortKey.SIZE})
"""Sorted from the newest or largest; the others from A."""


class QueryScreen(ExportScreen):
    """A screen with a table of uploads and a change log, which a search bar, keys and clicks filter and sort.

    Args:
        session: the session to show.
    """

    # A reactive of the screen would repaint all of it. The widgets that get the query repaint themselves.
    rows_query: reactive[Query] = reactive(Query, init=False, repaint=False)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._is_activity_searched = False

    @abstractmethod
    def update_table_title(self) -> None:
        """Show the query in the title of the table."""

    def visible_query(self) -> tuple[Session, Query]:
        """The session, and the query of the table."""
        return self._session, self.rows_query

    def visible_changes(self) -> Sequence[Change]:
        """The changes in the activity pane."""
        return self.query_one(ChangeLogView).shown_changes

    def watch_rows_query(self, query: Query) -> None:
        """Show the rows of the new query."""
        table = self.query_one(UploadTable)
        # The newest upload is the first row only in the service's own order.
        table.follow = table.follow and query.sort is SortKey.INITIATED and query.descending
        table.rows_query = query
        self.update_table_title()

    # Search

    def action_search(self) -> None:
        """Search the change log if it has the focus, else the table."""
        log = self.query_one(ChangeLogView)
        self._is_activity_searched = log.has_focus
        text = log.change_filter.search if self._is_activity_searched else self.rows_query.search
        self.query_one(SearchBar).open(text)

    @on(SearchBar.Changed)
    def search_as_typed(self, message: SearchBar.Changed) -> None:
        """Search as the text is typed."""
        if self._is_activity_searched:
            log = self.query_one(ChangeLogView)
            log.change_filter = replace(log.change_filter, search=message.value)
        else:
            self.rows_query = replace(self.rows_query, search=message.value)

    @on(SearchBar.Closed)
    def close_search(self) -> None:
        """Return the focus to what was searched."""
        self.query_one(ChangeLogView if self._is_activity_searched else UploadTable).focus()

    def action_clear(self) -> None:
        """Clear the search; if there is none, the filters; if there are none, the marks."""
        bar, query = self.query_one(SearchBar), self.rows_query
        if bar.is_open:
            bar.action_clear()
        elif query.search:
            self.rows_query = replace(query, search="")
        elif query.is_filtered:
            self.rows_query = Query(sort=query.sort, descending=query.descending)
        else:
            self.query_one(UploadTable).marked = frozenset()

    # Filters

    def action_trouble(self) -> None:
        """Toggle the filter of stuck and failed uploads."""
        self.rows_query = replace(self.rows_query, attention_only=not self.rows_query.attention_only)

    def action_stage(self, stage: str) -> None:
        """Toggle the filter of a stage."""
        stages = frozenset({Stage(stage)})
        self.rows_query = replace(self.rows_query, stages=frozenset() if self.rows_query.stages == stages else stages)

    @on(StageCell.Picked)
    def filter_by_stage(self, message: StageCell.Picked) -> None:
        """Toggle the filter of the stage that was clicked."""
        self.action_stage(message.stage)

    @on(StageCell.LatePicked)
    def show_late(self, message: StageCell.LatePicked) -> None:
        """Show only the stuck and overdue uploads of a stage."""
        self.rows_query = replace(self.rows_query, stages=frozenset({message.stage}), attention_only=True)

    def action_projects(self) -> None:
        """Choose a project in a menu."""
        from upload_tui.tui.screens.menu import project_menu

        self.app.push_screen(project_menu(self._session.projects), self._show_project)

    def _show_project(self, project_id: str | None) -> None:
        if project_id is not None:
            self.rows_query = replace(self.rows_query, project_ids=frozenset({project_id} if project_id else ()))

    # Sort order

    def action_sort(self) -> None:
        """Sort by the next column."""
        keys = [key for key in SortKey if key is not SortKey.PROJECT or len(self._session.projects) > 1]
        self._sort_by(keys[(keys.index(self.rows_query.sort) + 1) % len(keys)])

    @on(UploadTable.SortRequested)
    def sort_by_column(self, message: UploadTable.SortRequested) -> None:
        """Sort by the column that was clicked; reverse the order if it is the sort column."""
        if self.rows_query.sort is message.sort:
            self.action_reverse()
        else:
            self._sort_by(message.sort)

    def _sort_by(self, sort: SortKey) -> None:
        self.rows_query = replace(self.rows_query, sort=sort, descending=sort in _DESCENDING_KEYS)

    def action_reverse(self) -> None:
        """Reverse the order."""
        self.rows_query = replace(self.rows_query, descending=not self.rows_query.descending)

    def action_follow(self) -> None:
        """Follow the newest upload, or stop following."""
        table = self.query_one(UploadTable)
        if not table.follow:
            self.rows_query = replace(self.rows_query, sort=SortKey.INITIATED, descending=True)
        table.follow = not table.follow

    # Next failed or stuck upload

    def action_next_failed(self) -> None:
        """Go to the next failed upload."""
        self._go_to_next(replace(self.rows_query, stages=frozenset({Stage.ERROR})), "No failed uploads.")

    def action_next_stuck(self) -> None:
        """Go to the next stuck upload."""
        stuck = replace(self.rows_query, stages=PENDING_STAGES, attention_only=True)
        self._go_to_next(stuck, "No stuck uploads.")

    def _go_to_next(self, narrower: Query, none_text: str) -> None:
        """Select the next row of a narrower query, or show a text if it has none."""
        table = self.query_one(UploadTable)
        upload_id = next_matching(self._session, self.rows_query, narrower, table.cursor_row)
        if upload_id is None:
            self.notify(none_text, timeout=2)
        else:
            table.select(upload_id)
