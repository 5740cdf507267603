"""The columns of the uploads table: which there are, which a person wishes for, and which fit a width. Pure."""

import difflib
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.errors import SettingsError
from upload_tui.monitor.picture import SortKey
from upload_tui.tui.formatting import fitted
from upload_tui.tui.glyphs import Glyphs

__all__ = [
    "STAGE_WORD_WIDTH",
    "TITLES",
    "Column",
    "ColumnKey",
    "ColumnWish",
    "fit_columns",
    "read_wishes",
    "title_text",
    "usual_wishes",
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
    is_right: bool = False
    sort: SortKey | None = None


class ColumnWish(Struct, frozen=True):
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
        Column(ColumnKey.SIZE, "Size", 8, is_right=True, sort=SortKey.SIZE),
        Column(ColumnKey.SINCE, "Since", 7, is_right=True, sort=SortKey.SINCE),
        Column(ColumnKey.STARTED, "Started", 8, is_right=True, sort=SortKey.INITIATED),
        Column(ColumnKey.TOOK, "Took", 8, is_right=True),
        Column(ColumnKey.CHUNKS, "Chunks", 6, is_right=True),
        Column(ColumnKey.PROJECT, "Project", 14, sort=SortKey.PROJECT),
        Column(ColumnKey.SERVICE, "Service", 14),
        Column(ColumnKey.NOTE, "Progress", 0),
        Column(ColumnKey.ID, "Id", 36),
    )
}
TITLES = {key: column.title for key, column in _COLUMNS.items()}
"""What people call the columns."""

_TIMES = frozenset({ColumnKey.SINCE, ColumnKey.STARTED})
_CLOCK_WIDTH = 8
_LONG_CLOCK_WIDTH = 12
"""With the hour of another day than today; only where it costs nothing."""
_ROOM_FOR_LONG_CLOCKS = 84

_ORDER = tuple(ColumnKey)
_NAME_AT_LEAST = 16
_NAME_ENOUGH = 28
"""Up to here the name comes first; beyond, the note gets a share as well."""
_NAME_AT_MOST = 44
_NOTE_AT_LEAST = 14
_WIDTHS = range(1, 201)


def read_wishes(texts: Sequence[str]) -> tuple[ColumnWish, ...]:
    """Columns as the settings have them: `name`, or `name:30` with a width in cells.

    Raises:
        SettingsError: there is no such column, it is named twice, or the width is none.
    """
    wishes = tuple(_read_wish(text) for text in texts)
    keys = [wish.key for wish in wishes]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise SettingsError(f"columns: {twice} is there twice", "Name each column once.")
    return wishes


def _read_wish(text: str) -> ColumnWish:
    word, colon, width = text.strip().partition(":")
    if word not in _ORDER:
        near = difflib.get_close_matches(word, _ORDER, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(_ORDER)}."
        raise SettingsError(f"columns: there is no column {word!r}", hint)
    if colon and not (width.isascii() and width.isdigit() and int(width) in _WIDTHS):
        raise SettingsError(f"columns: {width!r} is no width", f"Give {word} a number of cells from 1 to 200.")
    return ColumnWish(ColumnKey(word), int(width) if colon else None)


def width_of(key: ColumnKey) -> int:
    """A column's own width in cells; 0 for one that takes what is left."""
    return _COLUMNS[key].width


def usual_wishes(*, several_projects: bool, several_services: bool = False) -> tuple[ColumnWish, ...]:
    """What the table shows, if there is room, to people who wish for nothing else."""
    usual = [ColumnKey.STAGE, ColumnKey.NAME, ColumnKey.SIZE, ColumnKey.SINCE, ColumnKey.NOTE]
    if several_projects:
        usual.insert(4, ColumnKey.PROJECT)
    if several_services:
        usual.insert(-1, ColumnKey.SERVICE)
    return tuple(map(ColumnWish, usual))


def fit_columns(
    width: int,
    *,
    absolute_times: bool = False,
    several_projects: bool = False,
    several_services: bool = False,
    wishes: Sequence[ColumnWish] = (),
) -> tuple[Column, ...]:
    """The columns that fit into `width` cells with a blank between them; name and note share what the others leave.

    Where there is too little room the stage becomes a sign, then columns are left out: of a person's wishes the last ones,
    else the least telling ones.
    """
    usual = usual_wishes(several_projects=several_projects, several_services=several_services)
    columns = [_column(wish, width, absolute_times) for wish in wishes or usual]
    # Of the usual ones, the service goes first, then the project, the size, the time.
    sheddable = [*columns] if wishes else [column for column in columns if column.key not in _FIRST_AND_LAST]
    sheddable.sort(key=lambda column: 0 if wishes else _SHED_LAST.index(column.key))
    while sheddable and _needed(columns) > width and len(columns) > 1:
        columns.remove(sheddable.pop())
    return tuple(_spread(columns, width))


_FIRST_AND_LAST = frozenset({ColumnKey.STAGE, ColumnKey.NAME, ColumnKey.NOTE})
_SHED_LAST = (ColumnKey.SINCE, ColumnKey.SIZE, ColumnKey.PROJECT, ColumnKey.SERVICE)


def _column(wish: ColumnWish, width: int, absolute_times: bool) -> Column:
    column = _COLUMNS[wish.key]
    if wish.key is ColumnKey.STAGE and width < 50:
        column = replace(column, title="", width=_SIGNS_WIDTH)
    if wish.key in _TIMES and absolute_times:
        column = replace(column, width=_LONG_CLOCK_WIDTH if width >= _ROOM_FOR_LONG_CLOCKS else _CLOCK_WIDTH)
    return column if wish.width is None else replace(column, width=wish.width)


def _needed(columns: Sequence[Column]) -> int:
    """The cells that the columns need at least; a note that has no width of its own needs none."""
    shown = [column for column in columns if column.width or column.key is ColumnKey.NAME]
    return sum(column.width or _NAME_AT_LEAST for column in shown) + len(shown) - 1


def _spread(columns: Sequence[Column], width: int) -> Sequence[Column]:
    """Give name and note what is left; a note that would get too little is left out."""
    elastic = {column.key for column in columns if not column.width}
    rigid = [column.width for column in columns if column.width]
    name_width, note_width = _share(width - sum(rigid) - len(rigid), elastic)
    widths = {ColumnKey.NAME: name_width, ColumnKey.NOTE: note_width}
    spread = [column if column.width else replace(column, width=widths[column.key]) for column in columns]
    return [column for column in spread if column.width > 0]


def _share(cells: int, elastic: set[ColumnKey]) -> tuple[int, int]:
    """What the name and the note get of the cells that are left."""
    if ColumnKey.NAME not in elastic:
        return 0, max(cells, 0)
    if ColumnKey.NOTE not in elastic or cells < _NAME_AT_LEAST + 1 + _NOTE_AT_LEAST:
        return max(cells, 0), 0
    name_width = min(cells - 1 - _NOTE_AT_LEAST, max(_NAME_ENOUGH, cells * 3 // 5), _NAME_AT_MOST)
    return name_width, cells - name_width - 1


def title_text(column: Column, sort: SortKey, descending: bool, glyphs: Glyphs, *, absolute_times: bool = False) -> str:
    """A column's title with an arrow if the table is sorted by it: down where what the cells show falls.

    Ages fall where times rise.
    """
    falls = descending if absolute_times or column.key not in _TIMES else not descending
    arrow = (glyphs.arrow_down if falls else glyphs.arrow_up) if column.sort is sort and column.title else ""
    return fitted(f"{column.title}{arrow}", column.width, right=column.is_right)
