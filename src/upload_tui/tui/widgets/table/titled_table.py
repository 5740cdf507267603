"""The dashboard's table of uploads, with its query in the title and, on the lower border, what is wrong."""

import re

from msgspec.structs import replace
from textual import on
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor import Connection, ConnectionState, Funnel, ProjectRef, Query, SortKey
from upload_tui.status import Stage
from upload_tui.text import sanitize
from upload_tui.tui.appearance.columns import TITLES
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import cause_text, truncate_at_word, truncate_middle
from upload_tui.tui.widgets.table.upload_table import UploadTable

__all__ = ["TitledTable", "query_parts"]

_FRAME_CELLS = 4
"""The cells of a frame's line that its title cannot use: two corners and two spaces."""
_CAUSE_CELLS = 28
"""Cells for a cause, a storage provider or an uploader in the title."""
_URL_PATH = re.compile(r"(https?://[^\s/]+)/\S*")
"""The path of a URL. Without it, a long reason still fits in the frame."""
_SORT_LABELS = {SortKey.SINCE: "age", SortKey.TOOK: "duration"}
_UNKNOWN_TEXTS = {
    ConnectionState.OFFLINE: "No data yet. Retrying automatically; run `upload-tui doctor` to find the cause.",
    ConnectionState.RETRYING: "No data yet. Retrying automatically; press r to retry now.",
    ConnectionState.NOT_ALLOWED: "Credentials rejected. Run `upload-tui doctor` for details.",
    ConnectionState.PAUSED: "Paused before any data arrived. Press Space to resume.",
}
"""Shown in place of rows while nothing is known, by the state of the connection."""


def query_parts(query: Query, projects: tuple[ProjectRef, ...], ellipsis: str = "…") -> list[str]:
    """What a query selects and how it sorts, each part in a few words; empty for all uploads, newest first."""
    parts = []
    if query.stages:
        parts.append(" or ".join(stage for stage in Stage if stage in query.stages))
    if query.attention_only:
        parts.append("stuck or failed")
    if query.late_only:
        parts.append("overdue or stuck")
    if query.cause:
        parts.append(f"failed: {cause_text(query.cause, _CAUSE_CELLS, ellipsis)}")
    for label, value in (("storage", query.storage_provider), ("by", query.uploader)):
        if value:
            parts.append(f"{label} {truncate_middle(value, _CAUSE_CELLS, ellipsis)}")
    if query.search:
        parts.append(f'matching "{sanitize(query.search)}"')
    names = [project.name or project.id for project in projects if project.id in query.project_ids]
    parts.extend(f"in {sanitize(name)}" for name in names)
    if query.sort is not SortKey.INITIATED:
        parts.append(f"sorted by {_SORT_LABELS.get(query.sort, query.sort)}")
    return parts


class TitledTable(UploadTable):
    """A table that writes its title, the line on its lower border and the text for an empty table itself.

    The notice of `funnel` is about the picture as a whole. `is_known` is False until data of the service or of an earlier visit are
    available.
    """

    projects: reactive[tuple[ProjectRef, ...]] = reactive((), init=False, repaint=False)
    connection: reactive[Connection | None] = reactive(None, init=False, repaint=False)
    funnel: reactive[Funnel] = reactive(Funnel, init=False, repaint=False)
    is_known: reactive[bool] = reactive(False, init=False, repaint=False)

    _titles: tuple[Content, Content] = (Content(), Content())

    def watch_projects(self, projects: tuple[ProjectRef, ...]) -> None:
        """Fit the columns to the projects."""
        self.several_projects = len(projects) > 1
        self.project_names = tuple(project.name or project.id for project in projects)
        self.update_titles()

    def watch_connection(self) -> None:
        """Update the titles."""
        self.update_titles()

    def watch_funnel(self) -> None:
        """Update the titles."""
        self.update_titles()

    def watch_is_known(self) -> None:
        """Update the titles."""
        self.update_titles()

    def watch_display_options(self, before: DisplayOptions, after: DisplayOptions) -> None:
        """Show the new display options."""
        super().watch_display_options(before, after)
        self.update_titles()

    def _handle_reloaded(self) -> None:
        self.update_titles()

    @on(UploadTable.TitleChanged)
    def update_titles(self) -> None:
        """Write the titles; setting one repaints the whole widget, so only if it differs."""
        title, subtitle = self._title(), self._subtitle()
        self.empty_text = self._empty_text() if self.is_settled else "Searching…"
        if not (title.is_same(self._titles[0]) and subtitle.is_same(self._titles[1])):
            self._titles = title, subtitle
            self.border_title, self.border_subtitle = title, subtitle

    def _title(self) -> Content:
        parts = [f"Uploads {self.total:,}" if self.is_settled else f"Uploads {self.total:,} so far"]
        parts.extend(query_parts(self.rows_query, self.projects, self.display_options.glyphs.ellipsis))
        if self.marked:
            parts.append(f"{len(self.marked)} marked")
        if self.follow:
            parts.append("following newest")
        title = f" {self.display_options.glyphs.dot} ".join(parts)
        return Content.styled(title, "$accent") if self.rows_query.is_filtered else Content(title)

    def _subtitle(self) -> Content:
        """The reason why the picture is not live, or else the notice, or else the columns that do not fit."""
        glyphs, cells = self.display_options.glyphs, self.outer_size.width - _FRAME_CELLS
        reason = "" if self.connection is None else self.connection.reason
        if warning := _URL_PATH.sub(r"\1", sanitize(reason or self.funnel.notice)):
            line = f"{glyphs.warning} {warning}"
            if len(line) > cells:
                line = line.replace("verification worker", "worker")
        else:
            left_out = ", ".join(TITLES[key] for key in self.left_out)
            line = f"no room for {left_out}" if left_out else ""
        return Content(truncate_at_word(line, cells, glyphs.ellipsis))

    def _empty_text(self) -> str:
        query = self.rows_query
        if query.is_filtered:
            has_both = query.search and replace(query, search="").is_filtered
            return f"No matches. Esc {'clears the search' if has_both else 'shows all uploads'}."
        if self.is_known or self.connection is None:
            return "No uploads yet. New uploads appear here."
        return _UNKNOWN_TEXTS.get(self.connection.state, "Loading…")
