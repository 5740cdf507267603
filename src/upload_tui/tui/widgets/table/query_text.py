"""A query in words, for the title of the table. Pure."""

from collections.abc import Iterator

from upload_tui.monitor import ProjectRef, Query, SortKey
from upload_tui.status import Stage
from upload_tui.text import cause_words, sanitize, span_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bindings import RECENT_SPANS
from upload_tui.tui.fitting import TitlePart, cause_text, truncate_at_word, truncate_middle

__all__ = ["FILTER_RANK", "order_part", "query_parts"]

FILTER_RANK, _ORDER_RANK = 2, 9
_TROUBLE_ORDER = "trouble first"
_CAUSE_CELLS = 28
"""Cells for a cause, a storage provider or an uploader."""
_SEARCH_CELLS = 20
"""Cells for a search if the whole one has no room."""


def query_parts(query: Query, projects: tuple[ProjectRef, ...], options: DisplayOptions) -> Iterator[TitlePart]:
    """Yield what a query selects, each part in a few words."""
    yield from (TitlePart((text, ""), FILTER_RANK) for text in _filter_texts(query, options))
    if text := sanitize(query.where.applied_text):
        short = truncate_at_word(text, _SEARCH_CELLS, options.glyphs.ellipsis)
        yield TitlePart((f'matching "{text}"', f'matching "{short}"', ""), FILTER_RANK)
    for name in (project.name or project.id for project in projects if project.id in query.project_ids):
        yield TitlePart((f"in {sanitize(name)}", ""), FILTER_RANK)


def _filter_texts(query: Query, options: DisplayOptions) -> Iterator[str]:
    if query.stages:
        yield " or ".join(stage for stage in Stage if stage in query.stages)
    if query.trouble_only:
        yield "in trouble"
    if query.late_only:
        yield "overdue or stuck"
    if query.recent_seconds is not None:
        yield f"last {RECENT_SPANS.get(query.recent_seconds) or span_text(query.recent_seconds)}"
    if query.cause:
        yield f"failed: {cause_text(cause_words(query.cause), _CAUSE_CELLS, options.glyphs.ellipsis)}"
    for label, value in (("storage", query.storage_provider), ("by", query.uploader)):
        if value:
            yield f"{label} {truncate_middle(value, _CAUSE_CELLS, options.glyphs.ellipsis)}"


def order_part(query: Query, options: DisplayOptions, *, is_all_in_trouble: bool) -> TitlePart:
    """The order in words; without a text if all rows are in trouble anyway."""
    match query.sort:
        case SortKey.TROUBLE if is_all_in_trouble or query.trouble_only or query.late_only:
            texts = [""]
        case SortKey.TROUBLE:
            texts = [f"{_TROUBLE_ORDER}, then last started", _TROUBLE_ORDER, ""]
        case SortKey.INITIATED:
            texts = ["newest first" if query.descending else "oldest first", ""]
        case sort:
            labels = {SortKey.TOOK: "duration", SortKey.SINCE: "since" if options.absolute_times else "age"}
            texts = [f"sorted by {labels.get(sort, sort)}", ""]
    return TitlePart(tuple(texts), _ORDER_RANK)
