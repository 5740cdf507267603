"""The base class of the dashboard that owns the query: search, filters and sort order."""

from collections.abc import Sequence

from msgspec.structs import replace
from textual import on
from textual.reactive import reactive

from upload_tui.monitor import CauseGroup, Change, Query, Session, SortKey
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.tui.appearance.columns import sort_keys
from upload_tui.tui.screens.session_screen import SessionScreen
from upload_tui.tui.screens.upload_actions import ExportScreen
from upload_tui.tui.widgets.activity.activity_pane import ChangeLogView
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.tui.widgets.search_bar import SearchBar, SearchTarget
from upload_tui.tui.widgets.table.row_window import next_matching
from upload_tui.tui.widgets.table.upload_table import UploadTable

__all__ = ["QueryScreen"]

_DESCENDING_KEYS = frozenset({SortKey.INITIATED, SortKey.SINCE, SortKey.SIZE, SortKey.TOOK, SortKey.CHUNKS})
"""Sorted from the newest, largest or longest; the others from A or from the least."""


class QueryScreen(SessionScreen, ExportScreen):
    """A screen with a table of uploads and a change log, which a search bar, keys and clicks filter and sort."""

    rows_query: reactive[Query] = reactive(Query, init=False, repaint=False)

    def visible_query(self) -> tuple[Session, Query]:
        """The session, and the query of the table."""
        return self._session, self.rows_query

    def visible_changes(self) -> Sequence[Change]:
        """The changes in the activity pane."""
        return self.query_one(ChangeLogView).shown_changes

    def marked_ids(self) -> Sequence[str]:
        """The marked uploads."""
        return sorted(self.query_one(UploadTable).marked)

    # Search

    def action_search(self) -> None:
        """Search the change log if it has the focus, else the table."""
        log = self.query_one(ChangeLogView)
        if log.has_focus:
            self.query_one(SearchBar).open(SearchTarget.CHANGES, log.change_filter.search)
        else:
            self.query_one(SearchBar).open(SearchTarget.UPLOADS, self.rows_query.search)

    @on(SearchBar.Changed)
    def search_as_typed(self, message: SearchBar.Changed) -> None:
        """Search as the text is typed."""
        if message.target is SearchTarget.CHANGES:
            log = self.query_one(ChangeLogView)
            log.change_filter = replace(log.change_filter, search=message.value)
        else:
            self.rows_query = replace(self.rows_query, search=message.value)

    @on(SearchBar.Closed)
    def close_search(self, message: SearchBar.Closed) -> None:
        """Return the focus to what was searched."""
        self.query_one(ChangeLogView if message.target is SearchTarget.CHANGES else UploadTable).focus()

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
        self.rows_query = replace(self.rows_query, stages=frozenset({message.stage}), late_only=True)

    def action_projects(self) -> None:
        """Choose a project in a menu."""
        from upload_tui.tui.screens.projects import ProjectScreen

        self.app.push_screen(ProjectScreen(self._session), self._show_project)

    def _show_project(self, project_id: str | None) -> None:
        if project_id is not None:
            self.rows_query = replace(self.rows_query, project_ids=frozenset({project_id} if project_id else ()))

    def action_failures(self) -> None:
        """Choose a group of failures in a dialog."""
        from upload_tui.tui.screens.failures import FailureScreen

        failures = FailureScreen(self._session, self.display_options, self.rows_query.project_ids)
        self.app.push_screen(failures, self._show_failures)

    def _show_failures(self, group: CauseGroup | None) -> None:
        """Filter for the failures of a group and select the last one."""
        if group is None:
            return
        query = self.rows_query
        self.rows_query = Query(
            cause=group.cause,
            storage_provider=group.storage_provider,
            uploader=group.uploader,
            project_ids=query.project_ids,
            sort=query.sort,
            descending=query.descending,
        )
        self.query_one(UploadTable).select(group.last_id)

    # Sort order

    def action_sort(self) -> None:
        """Sort by the next column of the table, and by initiation after the last."""
        keys = [*dict.fromkeys((SortKey.INITIATED, *sort_keys(self.query_one(UploadTable).columns)))]
        index = keys.index(self.rows_query.sort) if self.rows_query.sort in keys else -1
        self._sort_by(keys[(index + 1) % len(keys)])

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
        """Follow the newest upload, or end that."""
        self.query_one(UploadTable).toggle_follow()

    @on(UploadTable.Followed)
    def sort_newest_first(self) -> None:
        """Sort in the order in which the first row is the newest upload."""
        self.rows_query = replace(self.rows_query, sort=SortKey.INITIATED, descending=True)

    # Next failed, overdue or stuck upload

    def action_next_failed(self) -> None:
        """Go to the next failed upload."""
        self._go_to_next(replace(self.rows_query, stages=frozenset({Stage.ERROR})), "No failed uploads.")

    def action_next_late(self) -> None:
        """Go to the next overdue or stuck upload."""
        stages = (self.rows_query.stages or PENDING_STAGES) & PENDING_STAGES
        # A table of what is stuck or failed shows none that is only overdue.
        late = replace(self.rows_query, stages=stages, late_only=not self.rows_query.attention_only)
        if stages:
            self._go_to_next(late, "No overdue or stuck uploads.")
        else:
            self.notify("No overdue or stuck uploads.", timeout=2)

    def _go_to_next(self, narrower: Query, none_text: str) -> None:
        """Select the next row of a narrower query, or show a text if it has none."""
        table = self.query_one(UploadTable)
        upload_id = next_matching(self._session, self.rows_query, narrower, table.cursor_row)
        if upload_id is None:
            self.notify(none_text, timeout=2)
        else:
            table.select(upload_id)
