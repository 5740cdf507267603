"""The base classes of screens and dialogs that show a session: they stay current, copy and export, and own the query."""

import asyncio
import io
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace
from textual import on
from textual.reactive import reactive
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from upload_tui.monitor import (
    CauseGroup,
    Change,
    Connection,
    ConnectionState,
    Detail,
    Picture,
    ProjectRef,
    Query,
    Session,
    SortKey,
)
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.text import escape_invisible, plural, sanitize
from upload_tui.tui.appearance.columns import sort_keys
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bridge import ExportReady, OrderChosen
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.footer import SearchBar, SearchTarget
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.tui.widgets.status_bar import StatusBar
from upload_tui.tui.widgets.table.row_window import next_in_trouble, next_matching
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.wire import curl_command

__all__ = ["CopyScreen", "ExportScreen", "LiveDialog", "QueryScreen", "SessionScreen"]


class CopyScreen(Screen[None]):
    """A screen that shows uploads and copies the selected ones."""

    @abstractmethod
    def selection(self) -> Sequence[Detail]:
        """The uploads that the copy keys apply to."""

    @abstractmethod
    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show the picture as it is now. `changes` are those of uploads since the last call."""

    def show_one_pane(self, panes: Iterable[Widget], focused: Widget) -> None:
        """Give the other panes the class `-aside`, which hides them on a small screen.

        Nothing changes if no pane has or contains the focus, for example during a search.
        """
        active, panes = {*focused.ancestors_with_self}, [*panes]
        if not active.isdisjoint(panes):
            for pane in panes:
                pane.set_class(pane not in active, "-aside")

    def action_copy_id(self) -> None:
        """Copy the id of the selection."""
        self._copy("id", lambda detail: sanitize(detail.upload.id))

    def action_copy_json(self) -> None:
        """Copy the raw response of the selection."""
        self._copy("response", lambda detail: escape_invisible(detail.raw))

    def action_copy_curl(self) -> None:
        """Copy the request as a curl command."""
        self._copy("request", lambda detail: curl_command(detail.row.service, detail.upload.id))

    def _copy(self, noun: str, text_of: Callable[[Detail], str]) -> None:
        texts = [text_of(detail) for detail in self.selection()]
        if texts:
            self.app.copy_to_clipboard("\n".join(texts))
            self.notify(f"Copied {plural(len(texts), noun)}", timeout=2)


class SessionScreen(CopyScreen):
    """A screen that reads a session into reactives, which its widgets are bound to.

    Args:
        session: the session to show.
        display_options: how to show it.
    """

    # A reactive of a screen would repaint all of it. The widgets that are bound to it repaint themselves.
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, init=False, repaint=False)
    now: reactive[datetime | None] = reactive(None, init=False, repaint=False)
    connection: reactive[Connection | None] = reactive(None, init=False, repaint=False)
    session_title: reactive[str] = reactive("", init=False, repaint=False)
    projects: reactive[tuple[ProjectRef, ...]] = reactive((), init=False, repaint=False)
    speed: reactive[float | None] = reactive(None, init=False, repaint=False)
    active_faults: reactive[Mapping[str, int | None]] = reactive(dict, init=False, repaint=False)

    def __init__(self, session: Session, display_options: DisplayOptions) -> None:
        super().__init__()
        self._session = session
        self.set_reactive(SessionScreen.display_options, display_options)

    @abstractmethod
    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show the picture as it is now. `changes` are those of uploads since the last call."""

    def status_bar(self) -> StatusBar:
        """A status bar that is bound to this screen; for `compose`."""
        cls = SessionScreen
        return StatusBar().data_bind(
            cls.projects,
            cls.connection,
            cls.now,
            cls.display_options,
            cls.speed,
            cls.active_faults,
            title=cls.session_title,
        )

    def read_status(self) -> None:
        """Read what the status bar shows."""
        self.session_title = self._session.title
        self.projects = tuple(self._session.projects)
        self.connection = self._session.connection()
        self.now = self._session.picture.now()

    def action_pause(self) -> None:
        """Pause or resume refreshing."""
        if self._session.connection().state is ConnectionState.PAUSED:
            self._session.resume()
        else:
            self._session.pause()
        self.apply_changes(())

    def action_refresh(self) -> None:
        """Refresh now."""
        self._session.refresh()

    def action_times(self) -> None:
        """Toggle relative and absolute times."""
        self.display_options = replace(self.display_options, absolute_times=not self.display_options.absolute_times)

    def action_density(self) -> None:
        """Toggle one and two lines for each upload."""
        self.display_options = replace(self.display_options, is_roomy=not self.display_options.is_roomy)


Result = TypeVar("Result")


class LiveDialog(ModalScreen[Result]):
    """A dialog over a session, painted again with each change of the picture, and every second for its ages."""

    def on_mount(self) -> None:
        """Show what is known."""
        self.set_interval(1.0, self.refresh_picture)
        self.call_after_refresh(self.refresh_picture)

    @abstractmethod
    def refresh_picture(self) -> None:
        """Show the picture as it is now."""

    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show the picture as it is now; `changes` are those of uploads since the last call."""
        self.refresh_picture()


class ExportScreen(CopyScreen):
    """A screen with a table of uploads and a log of changes, which it exports."""

    @abstractmethod
    def visible_query(self) -> tuple[Picture, Query]:
        """The picture and the query of the table."""

    @abstractmethod
    def marked_ids(self) -> Sequence[str]:
        """The marked uploads, which are exported instead of all; empty if none is."""

    @abstractmethod
    def visible_changes(self) -> Sequence[Change]:
        """The changes that the log shows."""

    def action_export(self) -> None:
        """Choose what to export in a menu."""
        from upload_tui.tui.screens.menu import export_menu

        self.app.push_screen(export_menu(len(self.marked_ids())), self._export)

    def _export(self, kind: str | None) -> None:
        if kind is not None:
            self.run_worker(self._compose_file(kind), exclusive=True, group="export")

    async def _compose_file(self, name: str) -> None:
        """Compose the text in parts, so that keys still work meanwhile, then post it."""
        from upload_tui.tui.exports import ExportKind, changes_text, file_name, upload_texts

        kind = ExportKind(name)
        picture, query = self.visible_query()
        file = io.StringIO()
        match kind:
            case ExportKind.SVG:
                file.write(self.app.export_screenshot())
            case ExportKind.JSONL:
                file.write(changes_text(self.visible_changes()))
            case _:
                for text in upload_texts(picture, query, kind, frozenset(self.marked_ids())):
                    file.write(text)
                    await asyncio.sleep(0)
        file.seek(0)
        self.post_message(ExportReady(file, file_name(kind, picture.now())))


_DESCENDING_KEYS = frozenset(
    {SortKey.TROUBLE, SortKey.INITIATED, SortKey.SINCE, SortKey.SIZE, SortKey.TOOK, SortKey.CHUNKS}
)
"""Sorted from the newest, largest or longest; the others from A or from the least."""


_ENDED_STAGES = frozenset({Stage.VERIFIED, Stage.ERROR})


class QueryScreen(SessionScreen, ExportScreen):
    """A screen with a table of uploads and a change log, which a search bar, keys and clicks filter and sort."""

    rows_query: reactive[Query] = reactive(Query, init=False, repaint=False)

    def visible_query(self) -> tuple[Picture, Query]:
        """The picture, and the query of the table."""
        return self._session.picture, self.rows_query

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
        """Toggle the filter of uploads in trouble."""
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
        from upload_tui.tui.screens.menu import ProjectScreen

        self.app.push_screen(ProjectScreen(self._session), self._show_project)

    def _show_project(self, project_id: str | None) -> None:
        if project_id is not None:
            self.rows_query = replace(self.rows_query, project_ids=frozenset({project_id} if project_id else ()))

    def action_failures(self) -> None:
        """Choose a group of failures in a dialog."""
        from upload_tui.tui.screens.statistics import FailureScreen

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
        """Sort by the next column of the table; after the last, trouble first, then by initiation."""
        columns = sort_keys(self.query_one(UploadTable).columns)
        keys = [*dict.fromkeys((SortKey.TROUBLE, SortKey.INITIATED, *columns))]
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
        self._set_order(sort, descending=sort in _DESCENDING_KEYS)

    def action_reverse(self) -> None:
        """Reverse the order."""
        self._set_order(self.rows_query.sort, descending=not self.rows_query.descending)

    def _set_order(self, sort: SortKey, *, descending: bool) -> None:
        """Sort, also the next time."""
        self.rows_query = replace(self.rows_query, sort=sort, descending=descending)
        self.post_message(OrderChosen(sort, descending=descending))

    def action_follow(self) -> None:
        """Follow the newest upload, or end that."""
        self.query_one(UploadTable).toggle_follow()

    @on(UploadTable.Followed)
    def sort_newest_first(self) -> None:
        """Sort in the order in which the first row is the newest upload."""
        self.rows_query = replace(self.rows_query, sort=SortKey.INITIATED, descending=True)

    # Next upload in trouble

    def action_next_failed(self) -> None:
        """Go to the next upload in trouble that failed or contradicts itself."""
        self._go_to_next(_ENDED_STAGES, "Nothing failed or contradictory.")

    def action_next_late(self) -> None:
        """Go to the next overdue or stuck upload."""
        self._go_to_next(PENDING_STAGES, "No overdue or stuck uploads.")

    def _go_to_next(self, stages: frozenset[Stage], none_text: str) -> None:
        """Select the next upload in trouble in some stages, or show a text if there is none."""
        query, table = self.rows_query, self.query_one(UploadTable)
        narrower = replace(query, stages=(query.stages or stages) & stages, attention_only=True)
        upload_id = None
        if narrower.stages and query.sort is SortKey.TROUBLE:
            upload_id = next_in_trouble(self._session.picture, narrower, table.cursor_id)
        elif narrower.stages:
            upload_id = next_matching(self._session.picture, query, narrower, table.cursor_row)
        if upload_id is None:
            self.notify(none_text, timeout=2)
        else:
            table.select(upload_id)
