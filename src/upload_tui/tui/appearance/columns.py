"""The columns of the uploads table: all columns, the configured ones, and those that fit a width. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.errors import SettingsError, did_you_mean
from upload_tui.monitor import SortKey
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import fit_to_width, widest

__all__ = [
    "STAGE_WORD_WIDTH",
    "TITLES",
    "TRACK_WIDTH",
    "Column",
    "ColumnKey",
    "ColumnSpec",
    "TextWidths",
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


class TextWidths(Struct, frozen=True):
    """Widths in cells of the longest name, and of the longest reason of an upload that failed or is late; 0 for none."""

    name: int = 0
    note: int = 0


_NO_TEXTS = TextWidths()
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
_DROP_ORDER = (ColumnKey.PROJECT, ColumnKey.SERVICE, ColumnKey.NOTE, ColumnKey.SINCE)
"""Default columns in the order in which they are dropped, after the size."""
_MIN_NAME_WIDTH = 16
_PREFERRED_NAME_WIDTH = 28
"""The name gets this width before the note gets more than its minimum."""
_GOOD_NAME_WIDTH = 24
_MIN_NOTE_WIDTH = 14
_REASON_WIDTH = len("bad chunk hash: chunk 3")
"""A long name leaves this width to a reason."""
_GOOD_WIDTH = max(_GOOD_NAME_WIDTH + 1 + _MIN_NOTE_WIDTH, 20 + 1 + _REASON_WIDTH)
"""Name and note can be read well in this width: other default columns get narrower for it, and the size is dropped."""
_NAME_STEP = 4
"""The name's width is a multiple of this if reasons need its room, so that columns rarely move when other uploads are shown."""
_PLACE_COLUMNS = (ColumnKey.SERVICE, ColumnKey.PROJECT)
_MIN_PLACE_WIDTH = 11
_SHORT_PLACE_WIDTH = 8
"""Width of a default project or service column with shortened names if the space is short."""
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
    names: Mapping[ColumnKey, tuple[str, ...]] = MappingProxyType({}),
    texts: TextWidths = _NO_TEXTS,
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
        names: all names of the projects and of the services, by column; a default column is not wider than they are.
        texts: what names and notes need; the note gets cells of the name that names do not need.
    """
    defaults = default_columns(several_projects=several_projects, several_services=several_services)
    columns = [
        replace(_column(spec, width, absolute_times), names=names.get(spec.key, ())) for spec in specs or defaults
    ]
    if not specs:
        columns = _narrow(columns, width)
    droppable = columns[::-1] if specs else [column for key in _DROP_ORDER for column in columns if column.key is key]
    for column in droppable:
        if len(columns) > 1 and _min_width(columns) > width:
            columns.remove(column)
    return tuple(_distribute(columns, width, texts))


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


def _narrow(columns: Sequence[Column], width: int) -> list[Column]:
    """Default columns without the cells that names of places do not need, and narrower as far as `width` requires.

    The size is dropped if name and notes could not be read well with it.
    """
    wide = [_limit_place(column, widest(column.names) or column.width) for column in columns]
    fitted = _narrow_places(wide, width)
    if _good_width(fitted) > width:
        fitted = _narrow_places([column for column in wide if column.key is not ColumnKey.SIZE], width)
    if _min_width(fitted) <= width:
        return fitted
    short = (_limit_place(column, _SHORT_PLACE_WIDTH) for column in fitted)
    return [
        replace(column, title="", width=_SIGNS_WIDTH) if column.key is ColumnKey.STAGE else column for column in short
    ]


def _narrow_places(columns: Sequence[Column], width: int) -> list[Column]:
    narrow = [*columns]
    for index, column in enumerate(columns):
        missing = max(0, _good_width(narrow) - width)
        narrow[index] = _limit_place(column, max(column.width - missing, _MIN_PLACE_WIDTH))
    return narrow


def _limit_place(column: Column, width: int) -> Column:
    """A project or service column of at most `width` cells that still has room for its title; other columns as they are."""
    if column.key not in _PLACE_COLUMNS or column.width <= width:
        return column
    return replace(column, width=max(width, len(column.title) + 1))


def _min_width(columns: Sequence[Column]) -> int:
    """The least width of the columns."""
    least = {ColumnKey.NAME: _MIN_NAME_WIDTH, ColumnKey.NOTE: _MIN_NOTE_WIDTH}
    return sum(column.width or least[column.key] for column in columns) + len(columns) - 1


def sort_keys(columns: Sequence[Column]) -> tuple[SortKey, ...]:
    """The sort keys of the columns, in their order."""
    return tuple(column.sort for column in columns)


def _good_width(columns: Sequence[Column]) -> int:
    """The width at which names and notes can be read well."""
    return _min_width(columns) + _GOOD_WIDTH - _MIN_NAME_WIDTH - 1 - _MIN_NOTE_WIDTH


def _distribute(columns: Sequence[Column], width: int, texts: TextWidths) -> Sequence[Column]:
    """Give the remaining cells to name and note; drop a note that would get too few."""
    variable = {column.key for column in columns if not column.width}
    fixed = [column.width for column in columns if column.width]
    name_width, note_width = _split_remainder(width - sum(fixed) - len(fixed), variable, texts)
    widths = {ColumnKey.NAME: name_width, ColumnKey.NOTE: note_width}
    distributed = [column if column.width else replace(column, width=widths[column.key]) for column in columns]
    return [column for column in distributed if column.width > 0]


def _split_remainder(cells: int, variable: set[ColumnKey], texts: TextWidths) -> tuple[int, int]:
    """The widths of name and note out of the remaining cells."""
    if ColumnKey.NAME not in variable:
        return 0, max(cells, 0)
    if ColumnKey.NOTE not in variable or cells < _MIN_NAME_WIDTH + 1 + _MIN_NOTE_WIDTH:
        return max(cells, 0), 0
    name_width = min(cells - 1 - _MIN_NOTE_WIDTH, max(_PREFERRED_NAME_WIDTH, cells * 11 // 20))
    if texts.note > cells - 1 - name_width:
        needed = -(-texts.name // _NAME_STEP) * _NAME_STEP
        beside_reason = cells - 1 - min(texts.note, _REASON_WIDTH)
        name_width = max(_MIN_NAME_WIDTH, min(name_width, needed, beside_reason))
    return name_width, cells - name_width - 1


def title_text(column: Column, sort: SortKey, descending: bool, glyphs: Glyphs, *, absolute_times: bool = False) -> str:
    """A column's title, with an arrow if the table is sorted by it: down if the values shown descend.

    Ages descend where times ascend.
    """
    is_descending = descending if absolute_times or column.key not in _TIME_COLUMNS else not descending
    arrow = (glyphs.arrow_down if is_descending else glyphs.arrow_up) if column.sort is sort else ""
    title = fit_to_width(column.title, min(len(column.title), column.width - len(arrow)))  # the arrow stays
    return fit_to_width(f"{title}{arrow}", column.width, align_right=column.is_right_aligned)
