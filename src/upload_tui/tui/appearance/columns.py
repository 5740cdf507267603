"""The columns of the uploads table: all columns, the configured ones, and those that fit a width. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.errors import SettingsError, did_you_mean
from upload_tui.monitor import SortKey
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import fit_to_width

__all__ = [
    "STAGE_WORD_WIDTH",
    "TITLES",
    "TRACK_WIDTH",
    "Column",
    "ColumnKey",
    "ColumnSpec",
    "ViewKind",
    "default_columns",
    "fit_columns",
    "parse_columns",
    "sort_keys",
    "title_text",
    "width_of",
]


class ColumnKey(StrEnum):
    """All columns, in their default order; the values are names in the settings, and so are titles in lower case."""

    STAGE = "stage"
    NAME = "name"
    SIZE = "size"
    SINCE = "since"
    STARTED = "started"
    TOOK = "took"
    CHUNKS = "chunks"
    PROJECT = "project"
    SERVICE = "service"
    NOTE = "note"
    ID = "id"


class ViewKind(StrEnum):
    """A kind of view; each has its own columns."""

    PROJECT = "project"
    PROJECTS = "projects"
    """Several projects of one service."""
    SERVICES = "services"


class Column(Struct, frozen=True):
    """A column of the table.

    Attributes:
        width: width in cells; 0 for a column that shares the remaining cells.
        sort: the sort key of the column.
        names: what the column may show; shortened names stay different. Empty if that is not known.
    """

    key: ColumnKey
    title: str
    width: int
    sort: SortKey
    is_right_aligned: bool = False
    names: tuple[str, ...] = ()


class ColumnSpec(Struct, frozen=True):
    """A configured column; `width` in cells, None for the default."""

    key: ColumnKey
    width: int | None = None

    def __str__(self) -> str:
        """The form used in the settings."""
        return self.key if self.width is None else f"{self.key}:{self.width}"


STAGE_WORD_WIDTH = 15
"""Width of a stage column with a track of the stages and the stage's name."""
TRACK_WIDTH = 5
"""A stage column narrower than this shows only signs: the stage's, and a warning if there is a problem."""

_SIGNS_WIDTH = 2
_STAGE_WORD_FROM_WIDTH = 104
"""Width of the table from which on the stage column has track and name: beside the timeline, in a terminal of 160 columns."""

_COLUMNS = {
    column.key: column
    for column in (
        Column(ColumnKey.STAGE, "Stage", STAGE_WORD_WIDTH, SortKey.STAGE),
        Column(ColumnKey.NAME, "Name", 0, SortKey.NAME),
        Column(ColumnKey.SIZE, "Size", 8, SortKey.SIZE, is_right_aligned=True),
        Column(ColumnKey.SINCE, "Age", 7, SortKey.SINCE, is_right_aligned=True),
        Column(ColumnKey.STARTED, "Started", 8, SortKey.INITIATED, is_right_aligned=True),
        Column(ColumnKey.TOOK, "Took", 8, SortKey.TOOK, is_right_aligned=True),
        Column(ColumnKey.CHUNKS, "Chunks", 7, SortKey.CHUNKS, is_right_aligned=True),
        Column(ColumnKey.PROJECT, "Project", 14, SortKey.PROJECT),
        Column(ColumnKey.SERVICE, "Service", 14, SortKey.SERVICE),
        Column(ColumnKey.NOTE, "Details", 0, SortKey.PROGRESS),
        Column(ColumnKey.ID, "Id", 36, SortKey.ID),
    )
}
_KEYS_BY_TITLE = {column.title.casefold(): key for key, column in _COLUMNS.items()}
TITLES = {key: column.title for key, column in _COLUMNS.items()}
"""The titles of the columns."""

_TIME_COLUMNS = frozenset({ColumnKey.SINCE, ColumnKey.STARTED})
_CLOCK_WIDTH = 8
_LONG_CLOCK_WIDTH = 12
"""For dates with a time of day."""
_LONG_CLOCK_FROM_WIDTH = 84
"""Width of the table from which on dates have a time of day."""

_ORDER = tuple(ColumnKey)
_DROP_ORDER = (ColumnKey.SIZE, ColumnKey.PROJECT, ColumnKey.SERVICE, ColumnKey.NOTE, ColumnKey.SINCE)
"""Default columns in the order in which they are dropped."""
_MIN_NAME_WIDTH = 16
_PREFERRED_NAME_WIDTH = 28
"""The name gets this width before the note gets more than its minimum."""
_GOOD_NAME_WIDTH = 24
"""The size, if it is a default column, is dropped to give the name this width."""
_MIN_NOTE_WIDTH = 14
_PLACE_COLUMNS = (ColumnKey.SERVICE, ColumnKey.PROJECT)
_SHORT_PLACE_WIDTH = 8
"""Width of a default project or service column with shortened names."""
_WIDTHS = range(1, 201)


def parse_columns(texts: Sequence[str]) -> tuple[ColumnSpec, ...]:
    """Parse columns as written in the settings: `name`, or `name:30` with a width in cells.

    Raises:
        SettingsError: a column does not exist or is listed twice, or a width is invalid.
    """
    specs = tuple(_parse_column(text) for text in texts)
    keys = [spec.key for spec in specs]
    repeated = next((key for key in keys if keys.count(key) > 1), None)
    if repeated is not None:
        raise SettingsError(f"columns: {repeated} is listed twice", "List each column once.")
    return specs


def _parse_column(text: str) -> ColumnSpec:
    name, colon, width = text.strip().partition(":")
    name = _KEYS_BY_TITLE.get(name.casefold(), name)
    if name not in _ORDER:
        hint = did_you_mean(name, _ORDER, otherwise=f"Known columns: {', '.join(_ORDER)}.")
        raise SettingsError(f"columns: there is no column {name!r}", hint)
    if colon and not (width.isascii() and width.isdigit() and int(width) in _WIDTHS):
        raise SettingsError(f"columns: invalid width {width!r}", f"Give {name} a width from 1 to 200 cells.")
    return ColumnSpec(ColumnKey(name), int(width) if colon else None)


def width_of(key: ColumnKey) -> int:
    """A column's default width in cells; 0 for a column that shares the remaining cells."""
    return _COLUMNS[key].width


def default_columns(*, several_projects: bool, several_services: bool = False) -> tuple[ColumnSpec, ...]:
    """The columns of a table without configured ones, if they fit."""
    keys = [ColumnKey.STAGE, ColumnKey.NAME, ColumnKey.SIZE, ColumnKey.SINCE, ColumnKey.NOTE]
    if several_projects:
        keys.insert(4, ColumnKey.PROJECT)
    if several_services:
        keys.insert(-1, ColumnKey.SERVICE)
    return tuple(map(ColumnSpec, keys))


def fit_columns(
    width: int,
    *,
    absolute_times: bool = False,
    several_projects: bool = False,
    several_services: bool = False,
    specs: Sequence[ColumnSpec] = (),
) -> tuple[Column, ...]:
    """The columns that fit into `width` cells, separated by a blank. Name and note share the cells that the others leave.

    If the space is short, the stage becomes a sign and names of projects and services become short, and then columns are dropped:
    configured ones from the last, default ones in a fixed order.

    Args:
        width: width of a row in cells.
        absolute_times: whether times are shown instead of ages.
        several_projects: whether the defaults include the project.
        several_services: whether the defaults include the service.
        specs: the configured columns; empty for the defaults.
    """
    defaults = default_columns(several_projects=several_projects, several_services=several_services)
    columns = [_column(spec, width, absolute_times) for spec in specs or defaults]
    if not specs and _min_width(columns) > width:
        columns = [_short(column) for column in columns]
    droppable = columns[::-1] if specs else [column for key in _DROP_ORDER for column in columns if column.key is key]
    for column in droppable:
        is_extra = not specs and column.key is ColumnKey.SIZE
        if len(columns) > 1 and (_good_width(columns) if is_extra else _min_width(columns)) > width:
            columns.remove(column)
    return tuple(_distribute(columns, width))


def _column(spec: ColumnSpec, width: int, absolute_times: bool) -> Column:
    column = _COLUMNS[spec.key]
    if spec.key is ColumnKey.STAGE and width < _STAGE_WORD_FROM_WIDTH:
        column = replace(column, title="", width=_SIGNS_WIDTH)
    if spec.key in _TIME_COLUMNS and absolute_times:
        title = "Since" if spec.key is ColumnKey.SINCE else column.title
        clock_width = _LONG_CLOCK_WIDTH if width >= _LONG_CLOCK_FROM_WIDTH else _CLOCK_WIDTH
        column = replace(column, title=title, width=clock_width)
    if spec.width is None:
        return column
    return replace(column, title=column.title or _COLUMNS[spec.key].title, width=spec.width)


def _short(column: Column) -> Column:
    if column.key is ColumnKey.STAGE:
        return replace(column, title="", width=_SIGNS_WIDTH)
    return replace(column, width=_SHORT_PLACE_WIDTH) if column.key in _PLACE_COLUMNS else column


def _min_width(columns: Sequence[Column]) -> int:
    """The least width of the columns."""
    least = {ColumnKey.NAME: _MIN_NAME_WIDTH, ColumnKey.NOTE: _MIN_NOTE_WIDTH}
    return sum(column.width or least[column.key] for column in columns) + len(columns) - 1


def sort_keys(columns: Sequence[Column]) -> tuple[SortKey, ...]:
    """The sort keys of the columns, in their order."""
    return tuple(column.sort for column in columns)


def _good_width(columns: Sequence[Column]) -> int:
    """The width at which names can be read well."""
    return _min_width(columns) + _GOOD_NAME_WIDTH - _MIN_NAME_WIDTH


def _distribute(columns: Sequence[Column], width: int) -> Sequence[Column]:
    """Give the remaining cells to name and note; drop a note that would get too few."""
    variable = {column.key for column in columns if not column.width}
    fixed = [column.width for column in columns if column.width]
    name_width, note_width = _split_remainder(width - sum(fixed) - len(fixed), variable)
    widths = {ColumnKey.NAME: name_width, ColumnKey.NOTE: note_width}
    distributed = [column if column.width else replace(column, width=widths[column.key]) for column in columns]
    return [column for column in distributed if column.width > 0]


def _split_remainder(cells: int, variable: set[ColumnKey]) -> tuple[int, int]:
    """The widths of name and note out of the remaining cells."""
    if ColumnKey.NAME not in variable:
        return 0, max(cells, 0)
    if ColumnKey.NOTE not in variable or cells < _MIN_NAME_WIDTH + 1 + _MIN_NOTE_WIDTH:
        return max(cells, 0), 0
    name_width = min(cells - 1 - _MIN_NOTE_WIDTH, max(_PREFERRED_NAME_WIDTH, cells * 11 // 20))
    return name_width, cells - name_width - 1


def title_text(column: Column, sort: SortKey, descending: bool, glyphs: Glyphs, *, absolute_times: bool = False) -> str:
    """A column's title, with an arrow if the table is sorted by it: down if the values shown descend.

    Ages descend where times ascend.
    """
    is_descending = descending if absolute_times or column.key not in _TIME_COLUMNS else not descending
    arrow = (glyphs.arrow_down if is_descending else glyphs.arrow_up) if column.sort is sort else ""
    title = fit_to_width(column.title, min(len(column.title), column.width - len(arrow)))  # the arrow stays
    return fit_to_width(f"{title}{arrow}", column.width, align_right=column.is_right_aligned)
