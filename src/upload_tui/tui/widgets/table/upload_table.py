"""The dashboard's table of uploads: columns, marks and highlights, with its query in the title."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import product
from typing import ClassVar

from msgspec.structs import replace
from textual import events, on
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from upload_tui.monitor import (
    Connection,
    ConnectionState,
    Funnel,
    ProjectRef,
    Row,
    SortKey,
    State,
    StateTerm,
    UploadKey,
    Where,
    all_of,
    text_terms,
)
from upload_tui.text import age_text, sanitize
from upload_tui.tui.appearance.columns import TITLES, Column, ColumnKey, ColumnSpec, ViewKind, default_columns
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bindings import TABLE_KEYS, key_of
from upload_tui.tui.fitting import FRAME_CELLS, TitlePart, join_parts, truncate_at_word
from upload_tui.tui.widgets.cursor_lines import CursorLines
from upload_tui.tui.widgets.table.query_text import FILTER_RANK, order_part, query_parts
from upload_tui.tui.widgets.table.row_list import RowList
from upload_tui.tui.widgets.table.row_painter import TABLE_CLASSES, Background, ColumnView, RowPainter
from upload_tui.tui.widgets.table.row_window import RowSource

__all__ = ["TitledTable", "UploadTable"]

_HIGHLIGHT_SECONDS = 1.5
_CURRENT_SECONDS = 15.0  # the title says how old an older picture is
_HIGHLIGHTED_FIELDS = ("", "name", "id")
"""Fields of a query whose matches are highlighted; the empty name is a word without a field."""


class UploadTable(RowList, can_focus=True):
    """The table. Set `rows_query`, `display_options`, `now` and `follow`; call `reload` after the source changed.

    Args:
        source: the source of rows; any picture is one.
        now: the time that ages are computed from; no row is painted without it.
        several_projects: whether to add a column with the project.

    >>> from upload_tui.testing import NOW, FrozenClock, sample_uploads
    >>> from upload_tui.widgets import InMemoryPicture, UploadTable
    >>> picture = InMemoryPicture(sample_uploads(), clock=FrozenClock())
    >>> table = UploadTable(picture, now=NOW)
    >>> picture.close()
    """

    HEADER_LINES = 1
    COMPONENT_CLASSES: ClassVar[set[str]] = set(TABLE_CLASSES)
    BINDINGS: ClassVar[list[BindingType]] = list(TABLE_KEYS)

    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, init=False)
    empty_text: reactive[str] = reactive("", repaint=False)
    """Shown when no upload matches the query."""
    rule_text: reactive[str] = reactive("", repaint=False)
    """Shown in the rule below the uploads in trouble."""
    marked: reactive[frozenset[UploadKey]] = reactive(frozenset, init=False)
    """Keys of the marked uploads."""
    several_projects: reactive[bool] = reactive(False, init=False)
    project_names: reactive[tuple[str, ...]] = reactive((), init=False)
    """The names of all projects in the table, which stay different when they are shortened; empty if they are not known."""

    class Opened(CursorLines.Opened):
        """The user opened this upload (Enter or a double click)."""

    class SortRequested(Message):
        """The user clicked the title of a column."""

        def __init__(self, sort: SortKey) -> None:
            super().__init__()
            self.sort = sort

    def __init__(
        self,
        source: RowSource,
        *,
        now: datetime | None = None,
        several_projects: bool = False,
        id: str | None = None,  # noqa: A002  # Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(source, id=id, classes=classes)
        self.set_reactive(UploadTable.now, now)
        self.set_reactive(UploadTable.several_projects, several_projects)
        self._painter = RowPainter(self.style_on)
        self._highlighted: frozenset[UploadKey] = frozenset()

    def highlight(self, keys: Iterable[UploadKey]) -> None:
        """Highlight the rows of uploads that just changed for a moment, unless animations are off."""
        changed = frozenset(keys)
        if not changed or self.app.animation_level == "none":
            return
        self._highlighted |= changed
        self.set_timer(_HIGHLIGHT_SECONDS, lambda: self._end_highlight(changed))

    def _end_highlight(self, changed: frozenset[UploadKey]) -> None:
        self._highlighted -= changed
        self.refresh_changed()

    def watch_display_options(self, before: DisplayOptions, after: DisplayOptions) -> None:
        """Repaint with the new display options."""
        if before.is_roomy != after.is_roomy:
            self.reload()
            self._scroll_to_row(self._cursor.row - self._visible_rows() // 2)
        self.refresh()

    def watch_marked(self) -> None:
        """Repaint the marks and the title."""
        self.refresh()
        self.post_message(self.TitleChanged())

    def notify_style_update(self) -> None:
        """Drop the cached styles and the lines that were painted with them."""
        super().notify_style_update()
        self._painter.strips.clear()

    def action_mark(self) -> None:
        """Mark or unmark the upload at the cursor."""
        if self.cursor_key is None:
            self.notify("No upload selected.", timeout=2)
        else:
            self.marked = self.marked ^ {self.cursor_key}
            self.action_move(1)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor, sort by a column, or open an upload on a double click."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self.HEADER_LINES:
            column = self._painter.column_at(offset.x)
            if column is not None:
                self.post_message(self.SortRequested(column.sort))
            return
        place = self._place_at(self._body_line(offset.y))
        if place is None:
            return
        self._move_cursor(place[0])
        if event.chain == 2:
            self.action_open()

    @property
    def _lines_per_row(self) -> int:
        return 2 if self.display_options.is_roomy else 1

    def line(self, y: int) -> Strip:
        """The header, a line of a row, or the text for an empty table."""
        if y < self.HEADER_LINES:
            return self._painter.header(self.rows_query)
        if y > self.HEADER_LINES and not self.total and self.empty_text:
            return self._painter.message(self.empty_text, y - self.HEADER_LINES - 1)
        place = self._place_at(self._body_line(y))
        if place is None:
            return self._painter.rule(self.rule_text)
        number, line = place
        row = self.window.row(number)
        if row is None or self.now is None:
            return Strip.blank(self.line_width, self.rich_style)
        background = self._background(row, is_cursor=number == self._cursor.row)
        return self._painter.row_line(row, line, self.now, background, is_marked=row.key in self.marked)

    # Columns

    @property
    def view_kind(self) -> ViewKind:
        """What the table has columns for."""
        if self.display_options.services:
            return ViewKind.SERVICES
        return ViewKind.PROJECTS if self.several_projects else ViewKind.PROJECT

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are shown."""
        self.prepare_lines()
        return self._painter.columns

    @property
    def column_specs(self) -> tuple[ColumnSpec, ...]:
        """The chosen columns, or else the default ones, whether they fit or not."""
        return self.display_options.columns_of(self.view_kind) or self.default_specs

    @property
    def _shows_several_projects(self) -> bool:
        """Whether rows of several projects may be shown."""
        return self.several_projects and len(self.rows_query.project_ids) != 1

    @property
    def default_specs(self) -> tuple[ColumnSpec, ...]:
        """The default columns."""
        return default_columns(
            several_projects=self._shows_several_projects, several_services=bool(self.display_options.services)
        )

    @property
    def left_out(self) -> tuple[ColumnKey, ...]:
        """The columns that do not fit."""
        shown = {column.key for column in self.columns}
        return tuple(spec.key for spec in self.column_specs if spec.key not in shown)

    def prepare_lines(self) -> None:
        """Fit the columns to the rows that are visible now."""
        self.window.ensure_loaded(self._top_row())
        view = ColumnView(
            self._shows_several_projects,
            self.project_names,
            self.display_options.columns_of(self.view_kind),
            tuple(text_terms(self.rows_query.where.tree, _HIGHLIGHTED_FIELDS)),
        )
        rows, first_rows = self.window.rows, self.window.first_rows()
        self._painter.fit(self.line_width or self.size.width, self.display_options, view, rows, first_rows)

    def _paint_ahead(self, rows: Sequence[Row], visible: Sequence[Row], now: datetime) -> None:
        self._painter.measure(rows, self.display_options)
        for row, line in product(visible, range(self._lines_per_row)):
            self._painter.row_line(row, line, now, "", is_marked=row.key in self.marked)

    def _background(self, row: Row, *, is_cursor: bool) -> Background:
        if is_cursor:
            return "uploads--cursor" if self.has_focus else "uploads--cursor-blurred"
        return "uploads--highlight" if row.key in self._highlighted else ""


_STATE_RANK, _COUNT_RANK = FILTER_RANK + 1, FILTER_RANK + 2
"""Parts of the title with a higher rank are left out first."""
_UNKNOWN_TEXTS = {
    ConnectionState.OFFLINE: "No data yet. Retrying automatically; `upload-tui doctor` finds the cause.",
    ConnectionState.RETRYING: "No data yet. Retrying automatically; press r to retry now.",
    ConnectionState.DELETED: "The service has no such project. Run `upload-tui doctor` for details.",
    ConnectionState.DENIED: "Access denied. Run `upload-tui doctor` for details.",
    ConnectionState.NOT_ALLOWED: "Credentials rejected. Run `upload-tui doctor` for details.",
    ConnectionState.PAUSED: "Paused before any data arrived. Press Space to resume.",
}
"""Shown in place of rows while nothing is known, by the state of the connection."""


class TitledTable(UploadTable):
    """A table that writes its title, the line on its lower border and the text for an empty table itself.

    `connection` is that of the projects that the query selects; `is_known` is False until data of the service or of an earlier
    session are available.
    """

    projects: reactive[tuple[ProjectRef, ...]] = reactive((), init=False, repaint=False)
    connection: reactive[Connection | None] = reactive(None, init=False, repaint=False)
    is_known: reactive[bool] = reactive(False, init=False, repaint=False)
    funnel: reactive[Funnel] = reactive(Funnel, init=False, repaint=False)
    view: reactive[str] = reactive("", init=False, repaint=False)
    """The name of the view that is shown; empty if none is."""

    _titles: tuple[Content, Content] = (Content(), Content())
    _acknowledged = 0

    def watch_projects(self, projects: tuple[ProjectRef, ...]) -> None:
        """Fit the columns to the projects."""
        self.several_projects = len(projects) > 1
        self.project_names = tuple(project.name or project.id for project in projects)
        self.update_titles()

    def watch_now(self, before: datetime | None, after: datetime | None) -> None:
        """Repaint what depends on the time, and update the titles."""
        super().watch_now(before, after)
        self.update_titles()

    def watch_is_known(self) -> None:
        """Update the titles."""
        self.update_titles()

    watch_view = watch_connection = watch_is_known

    def watch_funnel(self, before: Funnel, after: Funnel) -> None:
        """Update the titles, which show the numbers of uploads that are in no stage."""
        if (before.gone, before.others) != (after.gone, after.others):
            self.update_titles()

    def watch_display_options(self, before: DisplayOptions, after: DisplayOptions) -> None:
        """Show the new display options."""
        super().watch_display_options(before, after)
        self.update_titles()

    def _handle_reloaded(self) -> None:
        self._acknowledged = self._count_acknowledged()
        self.update_titles()

    def _count_acknowledged(self) -> int:
        """How many of the rows are acknowledged."""
        query = self.rows_query
        if query.trouble_only or query.late_only:  # without acknowledged ones
            return 0
        where = Where(tree=all_of(query.where.tree, StateTerm(frozenset({State.ACKNOWLEDGED}))))
        return self.window.count(replace(query, where=where, sort=SortKey.INITIATED))

    @on(UploadTable.TitleChanged)
    def update_titles(self) -> None:
        """Write the titles if they differ."""
        title, subtitle = self._title(), self._subtitle()
        self.empty_text = self._empty_text() if self.is_settled else "Searching…"
        self._write_rule()
        if not (title.is_same(self._titles[0]) and subtitle.is_same(self._titles[1])):
            self._titles = title, subtitle
            self.write_border(title, subtitle)

    def _write_rule(self) -> None:
        more = self.window.total_in_trouble - self.window.in_trouble
        text = f"+{more:,} more in trouble" if more > 0 else ""
        if text and (key := key_of(self.screen, "trouble")):
            text = f"{text}, {key} shows them"
        if text != self.rule_text:
            self.rule_text = text
            self.refresh_changed()

    @property
    def _is_everything(self) -> bool:
        """Whether no filter but that of the projects leaves rows out."""
        return not replace(self.rows_query, project_ids=frozenset()).is_filtered

    def _title(self) -> Content:
        title = join_parts([*self._title_parts()], f" {self.display_options.glyphs.dot} ", self._title_cells)
        title = truncate_at_word(title, self._title_cells, self.display_options.glyphs.ellipsis)
        return Content.styled(title, "$accent") if self.rows_query.is_filtered else Content(title)

    def _title_parts(self) -> Iterator[TitlePart]:
        """Yield the parts of the title. In a narrow one, what the query selects and how old the rows are stay longest."""
        count = f"{self.total:,}{'' if self.is_settled else ' so far'}"
        yield TitlePart((f"Uploads {count}" if self.is_known or self.total else "Uploads",))
        gone, others = (self.funnel.gone, self.funnel.others) if self._is_everything else (0, 0)
        for number, word in ((min(gone, self.total), "gone"), (others, "other"), (self._acknowledged, "acknowledged")):
            if number:
                yield TitlePart((f"{number:,} {word}", ""), _COUNT_RANK)
        if self.view:
            yield TitlePart((f"view {sanitize(self.view)}", ""), FILTER_RANK)
        yield from query_parts(self.rows_query, self.projects, self.display_options)
        yield order_part(self.rows_query, self.display_options, is_all_in_trouble=self.is_all_in_trouble)
        if self.marked:
            yield TitlePart((f"{len(self.marked)} marked", ""), _STATE_RANK)
        if self.follow:
            yield TitlePart(("following newest", "following", ""), _STATE_RANK)
        yield from self._age_part()

    def _age_part(self) -> Iterator[TitlePart]:
        """Yield the age of the rows if not all are current. Those of a deleted project, which is over, have none beside others."""
        connection = self.connection
        if connection is None or connection.is_live or connection.read_on is None or self.now is None:
            return
        seconds = (self.now - connection.read_on).total_seconds()
        if seconds < _CURRENT_SECONDS or connection.playback is not None:
            return
        age = age_text(seconds)
        if not connection.is_partly_live:
            yield TitlePart((f"updated {age} ago", f"{age} ago"))
        elif connection.state is not ConnectionState.DELETED:
            yield TitlePart((f"some {age} old", ""))

    def _subtitle(self) -> Content:
        """The columns that the user chose and that do not fit."""
        is_chosen = bool(self.display_options.columns_of(self.view_kind))
        left_out = ", ".join(TITLES[key] for key in self.left_out) if is_chosen and self.total else ""
        line = f"no room for {left_out}" if left_out else ""
        return Content(truncate_at_word(line, self._title_cells, self.display_options.glyphs.ellipsis))

    @property
    def _title_cells(self) -> int:
        width = (
            self.outer_size.width or self.app.size.width
        )  # before the first layout, so that the first frame has a title
        return width - FRAME_CELLS

    def _empty_text(self) -> str:
        query = self.rows_query
        if query.project_ids and not replace(query, project_ids=frozenset()).is_filtered:
            what = "No uploads in this project." if self.is_known else "No data of this project yet."
            return f"{what} Esc shows all projects."
        if query.is_filtered:
            has_both = query.where.text and replace(query, where=Where()).is_filtered
            return f"No matches. Esc {'clears the search' if has_both else 'shows all uploads'}."
        if self.is_known or self.connection is None:
            return "No uploads yet. New uploads appear here."
        return _UNKNOWN_TEXTS.get(self.connection.state, "Loading…")
