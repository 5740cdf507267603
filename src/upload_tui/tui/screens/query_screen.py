"""The base class of screens with a table of uploads and a change log: it owns their query."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace
from textual import on
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

from upload_tui.monitor import (
    Acknowledgement,
    CauseGroup,
    Change,
    Detail,
    Picture,
    Query,
    SortKey,
    UploadKey,
    Where,
    needs_marks,
)
from upload_tui.status import FINAL_STAGES, PENDING_STAGES, Stage
from upload_tui.text import parse_moment
from upload_tui.tui.preferences import DESCENDING_KEYS
from upload_tui.tui.screens.session_screen import AcknowledgeScreen, ExportScreen
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.footer import SearchBar, SearchTarget
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.tui.widgets.table.row_window import next_in_trouble, next_matching
from upload_tui.tui.widgets.table.upload_table import UploadTable

__all__ = ["QueryScreen"]


_REPORTING_TURNS = 2
"""Turns of the event loop until changed widgets have reported to the screen: it paints the letter and what it finds at once."""


class SearchScreen(AcknowledgeScreen, ExportScreen):
    """A screen with a table of uploads and a change log, which a search bar filters."""

    rows_query: reactive[Query] = reactive(Query, init=False, repaint=False)

    def visible_query(self) -> tuple[Picture, Query]:
        """The picture, and the query of the table."""
        return self._session.picture, self.rows_query

    def visible_changes(self) -> Sequence[Change]:
        """The changes in the activity pane."""
        return self.query_one(ChangeLogView).shown_changes

    def marked(self) -> frozenset[UploadKey]:
        """The marked uploads."""
        return self.query_one(UploadTable).marked

    def _acknowledge(self, details: Sequence[Detail], acknowledgement: Acknowledgement | None) -> None:
        self.query_one(UploadTable).keep_place()
        super()._acknowledge(details, acknowledgement)

    # Search

    def action_search(self) -> None:
        """Search the change log if it has the focus, else the table."""
        from upload_tui.monitor import field_values

        is_log = self.query_one(ChangeLogView).has_focus
        target = SearchTarget.CHANGES if is_log else SearchTarget.UPLOADS
        text = self._searched(target).text
        values_of = partial(field_values, self._session.picture, self.rows_query, self._session.projects)
        self.query_one(SearchBar).open(target, text, values_of)

    def _searched(self, target: SearchTarget) -> Where:
        """The query of what is searched."""
        is_log = target is SearchTarget.CHANGES
        return self.query_one(ChangeLogView).change_filter.where if is_log else self.rows_query.where

    @on(SearchBar.Changed)
    async def search_as_typed(self, message: SearchBar.Changed) -> None:
        """Search as the text is typed."""
        from upload_tui.monitor import parse_query_as_typed

        if message.target is SearchTarget.CHANGES:
            log = self.query_one(ChangeLogView)
            where = parse_query_as_typed(message.value, log.change_filter.where)
            log.change_filter = replace(log.change_filter, where=where)
        else:
            where = parse_query_as_typed(message.value, self.rows_query.where)
            self.rows_query = replace(self.rows_query, where=where, marked=self._marked_for(where))
        self._show_search_note(message.target)
        for _ in range(_REPORTING_TURNS):
            await asyncio.sleep(0)

    def _show_search_note(self, target: SearchTarget) -> None:
        """Show the number of matches, unless only a part of the text is in force, and the note of the query."""
        log, table = self.query_one(ChangeLogView), self.query_one(UploadTable)
        is_log = target is SearchTarget.CHANGES
        total, where = (log.total, log.change_filter.where) if is_log else (table.total, self.rows_query.where)
        more = "" if is_log or table.is_settled else " so far"
        matches = "1 match" if total == 1 else f"{total:,} matches"
        is_in_force = where.applied_text == where.text
        self.query_one(SearchBar).show_note(where.note, f"{matches}{more}" if is_in_force else "")

    @on(UploadTable.TitleChanged)
    def update_matches(self) -> None:
        """Show the number of matches that a search of many uploads found since."""
        bar = self.query_one(SearchBar)
        if bar.is_open and bar.target is SearchTarget.UPLOADS:
            self._show_search_note(bar.target)

    def _marked_for(self, where: Where) -> frozenset[UploadKey]:
        """The marked uploads if the query compares them."""
        return self.query_one(UploadTable).marked if needs_marks(where.tree) else frozenset()

    @on(UploadTable.TitleChanged)
    def compare_marks(self) -> None:
        """Select by the marks as they are now, if the query compares them."""
        marked = self._marked_for(self.rows_query.where)
        if marked != self.rows_query.marked:
            self.rows_query = replace(self.rows_query, marked=marked)

    @on(SearchBar.Closed)
    def close_search(self, message: SearchBar.Closed) -> None:
        """Return the focus to what was searched, unless another pane has it."""
        if isinstance(self.focused, Input):
            self.query_one(ChangeLogView if message.target is SearchTarget.CHANGES else UploadTable).focus()

    def watch_focused(self, before: Widget | None, after: Widget | None) -> None:
        """End the search when another pane gets the focus, as from a click: keys and footer are those of that pane."""
        if isinstance(before, Input) and after is not None and (bar := self.query_one(SearchBar)).is_open:
            bar.leave(self._searched(bar.target).applied_text)

    def action_clear(self) -> None:
        """Clear the search; if there is none, the filters; if there are none, the marks."""
        bar, query = self.query_one(SearchBar), self.rows_query
        if bar.is_open:
            bar.action_clear()
        elif query.where.text:
            self.rows_query = replace(query, where=Where())
        elif query.is_filtered:
            self.rows_query = Query(sort=query.sort, descending=query.descending)
        else:
            self.query_one(UploadTable).marked = frozenset()


class QueryScreen(SearchScreen):
    """A screen with a table of uploads and a change log, which keys and clicks also filter and sort."""

    _order_before_follow: tuple[SortKey, bool] | None = None
    """The sort key and whether it was descending, when the table last began to follow the newest upload."""

    # Filters

    def action_trouble(self) -> None:
        """Toggle the filter of uploads in trouble."""
        self.rows_query = replace(self.rows_query, trouble_only=not self.rows_query.trouble_only)

    def action_stage(self, stage: str) -> None:
        """Toggle the filter of a stage."""
        stages = frozenset({Stage(stage)})
        self.rows_query = replace(self.rows_query, stages=frozenset() if self.rows_query.stages == stages else stages)

    def action_recent(self, seconds: int) -> None:
        """Toggle the filter of what changed in the last seconds."""
        query = self.rows_query
        self.rows_query = replace(query, recent_seconds=None if query.recent_seconds == seconds else seconds)

    def action_go_to_time(self) -> None:
        """Go to a time in the change log, which the user types."""
        from upload_tui.tui.screens.prompts import time_prompt

        self.app.push_screen(time_prompt("Go to time in Activity", self._past_time), self._go_to_time)

    def _past_time(self, text: str) -> datetime | None:
        now = self._session.picture.clock.now()
        return parse_moment(text, now, self.display_options.zone, latest=now)

    def _go_to_time(self, text: str | None) -> None:
        if text and (on := self._past_time(text)) is not None:
            log = self.query_one(ChangeLogView)
            log.focus()
            log.go_to_time(on)

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

        project_ids = self.rows_query.project_ids
        current = next(iter(project_ids)) if len(project_ids) == 1 else ""
        self.app.push_screen(ProjectScreen(self._session, current), self._show_project)

    def _show_project(self, project_id: str | None) -> None:
        if project_id is not None:
            self.rows_query = replace(self.rows_query, project_ids=frozenset({project_id} if project_id else ()))

    def action_failures(self) -> None:
        """Choose a group of failures in a dialog."""
        from upload_tui.tui.screens.statistics import FailureScreen

        failures = FailureScreen(self._session, self.display_options, self.rows_query.project_ids)
        self.app.push_screen(failures, self._show_failures)

    def action_latencies(self) -> None:
        """Show the latencies."""
        from upload_tui.tui.screens.statistics import LatencyScreen

        self.app.push_screen(LatencyScreen(self._session, self.display_options, self.rows_query.project_ids))

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
        self._go_to(UploadKey(group.last_id, group.last_service))

    # Sort order

    def action_sort(self) -> None:
        """Sort by the next column of the table; after the last, trouble first, then by initiation."""
        columns = self.query_one(UploadTable).columns
        keys = [*dict.fromkeys((SortKey.TROUBLE, SortKey.INITIATED, *(column.sort for column in columns)))]
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
        self._set_order(sort, descending=sort in DESCENDING_KEYS)

    def action_reverse(self) -> None:
        """Reverse the order."""
        self._set_order(self.rows_query.sort, descending=not self.rows_query.descending)

    def _set_order(self, sort: SortKey, *, descending: bool) -> None:
        self._order_before_follow = None
        self.rows_query = replace(self.rows_query, sort=sort, descending=descending)

    def action_follow(self) -> None:
        """Follow the newest upload, or end that and return to the order before."""
        if not self._return_to_order():
            self.query_one(UploadTable).toggle_follow()

    def action_clear(self) -> None:
        """Clear the search or the filters; if there are none, return to the order before following; then clear the marks."""
        if self.query_one(SearchBar).is_open or self.rows_query.is_filtered or not self._return_to_order():
            super().action_clear()

    def _return_to_order(self) -> bool:
        """Return to the order before the table followed the newest upload; False if it has that order or another one was chosen."""
        query = self._query_before_follow
        if query == self.rows_query:
            return False
        self.query_one(UploadTable).end_follow()
        self.rows_query = query
        return True

    @property
    def _query_before_follow(self) -> Query:
        """The query with the order before the table followed the newest upload, if it still has the order of following."""
        if self._order_before_follow is None or not self.rows_query.is_newest_first:
            return self.rows_query
        sort, descending = self._order_before_follow
        return replace(self.rows_query, sort=sort, descending=descending)

    @on(UploadTable.Followed)
    def sort_newest_first(self) -> None:
        """Sort in the order in which the first row is the newest upload."""
        if not self.rows_query.is_newest_first:  # as it is if a moved cursor ended following
            self._order_before_follow = self.rows_query.sort, self.rows_query.descending
        self.rows_query = replace(self.rows_query, sort=SortKey.INITIATED, descending=True)

    # Next upload in trouble

    def action_next_failed(self) -> None:
        """Go to the next upload in trouble that failed or contradicts itself."""
        self._go_to_next(FINAL_STAGES, "Nothing failed or contradictory.")

    def action_next_stuck(self) -> None:
        """Go to the next overdue or stuck upload."""
        self._go_to_next(PENDING_STAGES, "No overdue or stuck uploads.")

    def _go_to_next(self, stages: frozenset[Stage], none_text: str) -> None:
        """Select the next upload in trouble in one of these stages; show `none_text` if there is none."""
        query, table = self.rows_query, self.query_one(UploadTable)
        narrower = replace(query, stages=(query.stages or stages) & stages, trouble_only=True)
        key = None
        if narrower.stages and query.sort is SortKey.TROUBLE:
            key = next_in_trouble(self._session.picture, narrower, table.cursor_key)
        elif narrower.stages:
            key = next_matching(self._session.picture, query, narrower, table.cursor_row)
        if key is None:
            self.notify(none_text, timeout=2)
        else:
            self._go_to(key)

    def _go_to(self, key: UploadKey) -> None:
        """Select an upload in the table, which takes the focus from the change log: Enter opens this upload then."""
        table = self.query_one(UploadTable)
        table.select(*key)
        if self.query_one(ChangeLogView).has_focus:
            table.focus()
