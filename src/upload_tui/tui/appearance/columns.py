"""The columns of the uploads table: which there are, which a person wishes for, and which fit a width. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.errors import SettingsError
from upload_tui.monitor import SortKey
from upload_tui.text import did_you_mean
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import fit_to_width

__all__ = [
    "STAGE_WORD_WIDTH",
    "TITLES",
    "Column",
    "ColumnKey",
    "ColumnSpec",
    "fit_columns",
    "parse_columns",
    "title_text",
    "default_columns",
    "width_of",
]


class ColumnKey(StrEnum):
    """The columns there are, in their usual order."""

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


class Column(Struct, frozen=True):
    """A column: its width in cells, its title, whether it stands right, and what sorting by it means (None: cannot)."""

    key: ColumnKey
    title: str
    width: int
    is_right_aligned: bool = False
    sort: SortKey | None = None


class ColumnSpec(Struct, frozen=True):
    """A column that a person wants; `width` None leaves its width to the table."""

    key: ColumnKey
    width: int | None = None

    def __str__(self) -> str:
        """As the settings have it."""
        return self.key if self.width is None else f"{self.key}:{self.width}"


STAGE_WORD_WIDTH = 15
"""A column of stages that is narrower than this shows the stage's sign alone, and a second one if something is amiss."""

_SIGNS_WIDTH = 2

_COLUMNS = {
    column.key: column
    for column in (
        Column(ColumnKey.STAGE, "Stage", STAGE_WORD_WIDTH, sort=SortKey.STAGE),
        Column(ColumnKey.NAME, "Name", 0, sort=SortKey.NAME),
        Column(ColumnKey.SIZE, "Size", 8, is_right_aligned=True, sort=SortKey.SIZE),
        Column(ColumnKey.SINCE, "Since", 7, is_right_aligned=True, sort=SortKey.SINCE),
        Column(ColumnKey.STARTED, "Started", 8, is_right_aligned=True, sort=SortKey.INITIATED),
        Column(ColumnKey.TOOK, "Took", 8, is_right_aligned=True),
        Column(ColumnKey.CHUNKS, "Chunks", 6, is_right_aligned=True),
        Column(ColumnKey.PROJECT, "Project", 14, sort=SortKey.PROJECT),
        Column(ColumnKey.SERVICE, "Service", 14),
        Column(ColumnKey.NOTE, "Progress", 0),
        Column(ColumnKey.ID, "Id", 36),
    )
}
TITLES = {key: column.title for key, column in _COLUMNS.items()}
"""What people call the columns."""

_TIME_COLUMNS = frozenset({ColumnKey.SINCE, ColumnKey.STARTED})
_CLOCK_WIDTH = 8
_LONG_CLOCK_WIDTH = 12
"""With the hour of another day than today; only where it costs nothing."""
_LONG_CLOCK_FROM_WIDTH = 84

_ORDER = tuple(ColumnKey)
_MIN_NAME_WIDTH = 16
_PREFERRED_NAME_WIDTH = 28
"""Up to here the name comes first; beyond, the note gets a share as well."""
_MAX_NAME_WIDTH = 44
_MIN_NOTE_WIDTH = 14
_WIDTHS = range(1, 201)


def parse_columns(texts: Sequence[str]) -> tuple[ColumnSpec, ...]:
    """Columns as the settings have them: `name`, or `name:30` with a width in cells.

    Raises:
        SettingsError: there is no such column, it is named twice, or the width is none.
    """
    wishes = tuple(_parse_column(text) for text in texts)
    keys = [wish.key for wish in wishes]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise SettingsError(f"columns: {twice} is there twice", "Name each column once.")
    return wishes


def _parse_column(text: str) -> ColumnSpec:
    word, colon, width = text.strip().partition(":")
    if word not in _ORDER:
        hint = did_you_mean(word, _ORDER, otherwise=f"Known columns: {', '.join(_ORDER)}.")
        raise SettingsError(f"columns: there is no column {word!r}", hint)
    if colon and not (width.isascii() and width.isdigit() and int(width) in _WIDTHS):
        raise SettingsError(f"columns: {width!r} is no width", f"Give {word} a number of cells from 1 to 200.")
    return ColumnSpec(ColumnKey(word), int(width) if colon else None)


def width_of(key: ColumnKey) -> int:
    """A column's own width in cells; 0 for one that takes what is left."""
    return _COLUMNS[key].width


def default_columns(*, several_projects: bool, several_services: bool = False) -> tuple[ColumnSpec, ...]:
    """What the table shows, if there is room, to people who wish for nothing else."""
    usual = [ColumnKey.STAGE, ColumnKey.NAME, ColumnKey.SIZE, ColumnKey.SINCE, ColumnKey.NOTE]
    if several_projects:
        usual.insert(4, ColumnKey.PROJECT)
    if several_services:
        usual.insert(-1, ColumnKey.SERVICE)
    return tuple(map(ColumnSpec, usual))


def fit_columns(
    width: int,
    *,
    absolute_times: bool = False,
    several_projects: bool = False,
    several_services: bool = False,
    specs: Sequence[ColumnSpec] = (),
) -> tuple[Column, ...]:
    """The columns that fit into `width` cells with a blank between them; name and note share what the others leave.

    Where there is too little room the stage becomes a sign, then columns are left out: of a person's wishes the last ones,
    else the least telling ones.
    """
    usual = default_columns(several_projects=several_projects, several_services=several_services)
    columns = [_column(wish, width, absolute_times) for wish in specs or usual]
    # Of the usual ones, the service goes first, then the project, the size, the time.
    sheddable = [*columns] if specs else [column for column in columns if column.key not in _ALWAYS_SHOWN]
    sheddable.sort(key=lambda column: 0 if specs else _KEEP_ORDER.index(column.key))
    while sheddable and _min_width(columns) > width and len(columns) > 1:
        columns.remove(sheddable.pop())
    return tuple(_distribute(columns, width))


_ALWAYS_SHOWN = frozenset({ColumnKey.STAGE, ColumnKey.NAME, ColumnKey.NOTE})
_KEEP_ORDER = (ColumnKey.SINCE, ColumnKey.SIZE, ColumnKey.PROJECT, ColumnKey.SERVICE)


def _column(spec: ColumnSpec, width: int, absolute_times: bool) -> Column:
    column = _COLUMNS[spec.key]
    if spec.key is ColumnKey.STAGE and width < 50:
        column = replace(column, title="", width=_SIGNS_WIDTH)
    if spec.key in _TIME_COLUMNS and absolute_times:
        column = replace(column, width=_LONG_CLOCK_WIDTH if width >= _LONG_CLOCK_FROM_WIDTH else _CLOCK_WIDTH)
    return column if spec.width is None else replace(column, width=spec.width)


def _min_width(columns: Sequence[Column]) -> int:
    """The cells that the columns need at least; a note that has no width of its own needs none."""
    shown = [column for column in columns if column.width or column.key is ColumnKey.NAME]
    return sum(column.width or _MIN_NAME_WIDTH for column in shown) + len(shown) - 1


def _distribute(columns: Sequence[Column], width: int) -> Sequence[Column]:
    """Give name and note what is left; a note that would get too little is left out."""
    elastic = {column.key for column in columns if not column.width}
    rigid = [column.width for column in columns if column.width]
    name_width, note_width = _split_remainder(width - sum(rigid) - len(rigid), elastic)
    widths = {ColumnKey.NAME: name_width, ColumnKey.NOTE: note_width}
    spread = [column if column.width else replace(column, width=widths[column.key]) for column in columns]
    return [column for column in spread if column.width > 0]


def _split_remainder(cells: int, elastic: set[ColumnKey]) -> tuple[int, int]:
    """What the name and the note get of the cells that are left."""
    if ColumnKey.NAME not in elastic:
        return 0, max(cells, 0)
    if ColumnKey.NOTE not in elastic or cells < _MIN_NAME_WIDTH + 1 + _MIN_NOTE_WIDTH:
        return max(cells, 0), 0
    name_width = min(cells - 1 - _MIN_NOTE_WIDTH, max(_PREFERRED_NAME_WIDTH, cells * 3 // 5), _MAX_NAME_WIDTH)
    return name_width, cells - name_width - 1


def title_text(column: Column, sort: SortKey, descending: bool, glyphs: Glyphs, *, absolute_times: bool = False) -> str:
    """A column's title with an arrow if the table is sorted by it: down where what the cells show falls.

    Ages fall where times rise.
    """
    falls = descending if absolute_times or column.key not in _TIME_COLUMNS else not descending
    arrow = (glyphs.arrow_down if falls else glyphs.arrow_up) if column.sort is sort and column.title else ""
    return fit_to_width(f"{column.title}{arrow}", column.width, align_right=column.is_right_aligned)
