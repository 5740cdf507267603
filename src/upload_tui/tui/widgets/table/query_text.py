"""A query in words, for the title of the table. Pure."""

from collections.abc import Iterator

from upload_tui.monitor import ProjectRef, Query, SortKey
from upload_tui.status import Stage
from upload_tui.text import sanitize, span_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bindings import RECENT_SPANS
from upload_tui.tui.fitting import cause_text, truncate_middle

__all__ = ["SHORT_TROUBLE_ORDER", "TROUBLE_ORDER", "query_parts"]

SHORT_TROUBLE_ORDER = "trouble first"
TROUBLE_ORDER = f"{SHORT_TROUBLE_ORDER}, then last started"
_CAUSE_CELLS = 28
"""Cells for a cause, a storage provider or an uploader."""


def query_parts(query: Query, projects: tuple[ProjectRef, ...], options: DisplayOptions) -> list[str]:
    """What a query selects and how it sorts, each part in a few words."""
    parts = []
    if query.stages:
        parts.append(" or ".join(stage for stage in Stage if stage in query.stages))
    if query.attention_only:
        parts.append("in trouble")
    if query.late_only:
        parts.append("overdue or stuck")
    if query.recent_seconds is not None:
        parts.append(f"last {RECENT_SPANS.get(query.recent_seconds) or span_text(query.recent_seconds)}")
    if query.cause:
        parts.append(f"failed: {cause_text(query.cause, _CAUSE_CELLS, options.glyphs.ellipsis)}")
    for label, value in (("storage", query.storage_provider), ("by", query.uploader)):
        if value:
            parts.append(f"{label} {truncate_middle(value, _CAUSE_CELLS, options.glyphs.ellipsis)}")
    if text := query.where.applied_text:
        parts.append(f'matching "{sanitize(text)}"')
    names = [project.name or project.id for project in projects if project.id in query.project_ids]
    parts.extend(f"in {sanitize(name)}" for name in names)
    parts.extend(_order_part(query, options))
    return parts


def _order_part(query: Query, options: DisplayOptions) -> Iterator[str]:
    """Yield the order in words; nothing if all rows are in trouble anyway."""
    match query.sort:
        case SortKey.TROUBLE:
            if not (query.attention_only or query.late_only):
                yield TROUBLE_ORDER
        case SortKey.INITIATED:
            yield "newest first" if query.descending else "oldest first"
        case sort:
            labels = {SortKey.TOOK: "duration", SortKey.SINCE: "since" if options.absolute_times else "age"}
            yield f"sorted by {labels.get(sort, sort)}"
