"""The columns of the uploads table: all columns, the configured ones, and those that fit a width. Pure."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from itertools import product
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.errors import SettingsError, did_you_mean
from upload_tui.monitor import SortKey
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import fit_to_width, widest

__all__ = [
    "MIN_PLACE_WIDTH",
    "SHORT_PLACE_WIDTH",
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
    """What the texts of the rows seen so far need, in cells; 0 for a text that no row has.

    Attributes:
        name: the longest name; 0 if there are no rows.
        distinct_name: at this width, no two different names on screen are shortened to the same text.
        note: the longest note of those that are cut where they have no room: why an upload failed, for example.
        note_forms: the widths of notes that have shorter forms instead, such as a badge and the text after it.
        state: the longest name of a state of the service's own.
    """

    name: int = 0
    distinct_name: int = 0
    note: int = 0
    note_forms: frozenset[int] = frozenset()
    state: int = 0

    @property
    def longest_note(self) -> int:
        """The cells in which each note is complete."""
        return max(self.note, *self.note_forms, 0)

    def note_cells(self, cells: int) -> int:
        """How many of a column's cells its notes and its title use."""
        forms = (form for form in self.note_forms if form <= cells)
        return max(min(self.note, cells), *forms, min(_NOTE_TITLE_CELLS, cells))


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
_PLACE_COLUMNS = (ColumnKey.SERVICE, ColumnKey.PROJECT)
_DROPS = (
    (ColumnKey.PROJECT,),
    _PLACE_COLUMNS,
    (*_PLACE_COLUMNS, ColumnKey.SINCE),
    (*_PLACE_COLUMNS, ColumnKey.NOTE),
    (*_PLACE_COLUMNS, ColumnKey.NOTE, ColumnKey.SINCE),
)
"""Default columns that are dropped, besides the size: the first ones that make the others fit. A note says more than an age."""
_NOTE_TITLE_CELLS = len("Details") + 1
_MIN_NAME_WIDTH = 16
_PREFERRED_NAME_WIDTH = 28
"""The name gets this width before the note gets more than its minimum."""
_GOOD_NAME_WIDTH = 24
_MIN_NOTE_WIDTH = 14
_REASON_WIDTH = len("bad chunk hash: chunk 3")
"""A long name leaves this width to a reason."""
_NAME_BESIDE_REASON = 20
MIN_PLACE_WIDTH = 11
SHORT_PLACE_WIDTH = 8
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
        names: all names of the projects and of the services, by column; a default column is as wide as they are, if there is room.
        texts: what names and notes need; no column has cells that it does not need while texts in one beside it are cut.
    """
    defaults = default_columns(several_projects=several_projects, several_services=several_services)
    columns = [replace(_column(one, width, absolute_times), names=names.get(one.key, ())) for one in specs or defaults]
    if specs:
        for column in columns[:0:-1]:
            if _min_width(columns, texts) > width:
                columns.remove(column)
    else:
        narrow = _narrow(columns, width, texts)
        kept = [[column for column in narrow if column.key not in dropped] for dropped in ((), *_DROPS)]
        columns = next((one for one in kept if _min_width(one, texts) <= width), kept[-1])
        return tuple(_widen_cut(_distribute(columns, width, texts), texts))
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


def _narrow(columns: Sequence[Column], width: int, texts: TextWidths) -> list[Column]:
    """Default columns, those of places as wide as their names, and narrower as far as `width` requires.

    The size is dropped if name and notes could not be read well with it.
    """
    wide = [_set_place(column, widest(column.names) or column.width) for column in columns]
    fitted = _narrow_places(wide, width, MIN_PLACE_WIDTH, texts, _wanted_width)
    if _good_width(fitted, texts) > width:
        wide = [column for column in wide if column.key is not ColumnKey.SIZE]
        fitted = _narrow_places(wide, width, MIN_PLACE_WIDTH, texts, _wanted_width)
    if _min_width(fitted, texts) <= width:
        return fitted
    short = _narrow_places(fitted, width, SHORT_PLACE_WIDTH, texts, _min_width)
    return [
        replace(column, title="", width=_SIGNS_WIDTH) if column.key is ColumnKey.STAGE else column for column in short
    ]


def _narrow_places(
    columns: Sequence[Column],
    width: int,
    least: int,
    texts: TextWidths,
    needed: Callable[[Sequence[Column], TextWidths], int],
) -> list[Column]:
    """Take the cells that are missing for what is `needed` from the columns of places, as far as they are wider than `least`."""
    narrow = [*columns]
    for index, column in enumerate(columns):
        missing = max(0, needed(narrow, texts) - width)
        narrow[index] = _set_place(column, max(column.width - missing, min(least, column.width)))
    return narrow


def _set_place(column: Column, width: int) -> Column:
    """A project or service column of `width` cells, or as many as its title needs; other columns as they are."""
    return replace(column, width=max(width, len(column.title) + 1)) if column.key in _PLACE_COLUMNS else column


def _width_with(columns: Sequence[Column], name: int, note: int) -> int:
    """The width of the columns if name and note have these widths."""
    least = {ColumnKey.NAME: name, ColumnKey.NOTE: note}
    return sum(column.width or least[column.key] for column in columns) + len(columns) - 1


def _least_name(texts: TextWidths) -> int:
    """The least width of names: that at which they differ, and no more than they need."""
    return min(texts.name or _MIN_NAME_WIDTH, max(_MIN_NAME_WIDTH, texts.distinct_name))


def _min_width(columns: Sequence[Column], texts: TextWidths) -> int:
    """The least width of the columns."""
    return _width_with(columns, _least_name(texts), _MIN_NOTE_WIDTH)


def _good_width(columns: Sequence[Column], texts: TextWidths) -> int:
    """The width at which names and notes can be read well."""
    name, reason = (texts.name, texts.longest_note) if texts.name else (_GOOD_NAME_WIDTH, _REASON_WIDTH)
    beside_reason = _width_with(columns, min(name, _NAME_BESIDE_REASON), min(reason, _REASON_WIDTH))
    return max(_width_with(columns, min(name, _GOOD_NAME_WIDTH), _MIN_NOTE_WIDTH), beside_reason)


def _wanted_width(columns: Sequence[Column], texts: TextWidths) -> int:
    """The width at which names and notes are complete; if they are not known, at which they can be read well."""
    if not texts.name:
        return _good_width(columns, texts)
    return _width_with(columns, texts.name, max(texts.longest_note, _NOTE_TITLE_CELLS))


def _distribute(columns: Sequence[Column], width: int, texts: TextWidths) -> Sequence[Column]:
    """Give the remaining cells to name and note; drop a note that would get too few."""
    variable = {column.key for column in columns if not column.width}
    fixed = [column.width for column in columns if column.width]
    name_width, note_width = _split_remainder(width - sum(fixed) - len(fixed), variable, texts)
    widths = {ColumnKey.NAME: name_width, ColumnKey.NOTE: note_width}
    distributed = [column if column.width else replace(column, width=widths[column.key]) for column in columns]
    return [column for column in distributed if column.width > 0]


def _widen_cut(columns: Sequence[Column], texts: TextWidths) -> Sequence[Column]:
    """Give cells that notes and names do not use to columns in which states or names of places are cut."""
    widths = {column.key: column.width for column in columns}
    used = {ColumnKey.NOTE: texts.note_cells(widths.get(ColumnKey.NOTE, 0)), ColumnKey.NAME: texts.name}
    for column, (key, cells) in product(columns, used.items() if texts.name else ()):
        missing = _whole_width(column, texts) - widths[column.key]
        more = max(0, min(missing, widths.get(key, 0) - cells))
        widths[column.key] += more
        widths[key] = widths.get(key, 0) - more
    return [replace(column, width=widths[column.key]) for column in columns]


def _whole_width(column: Column, texts: TextWidths) -> int:
    """The width at which no state or name of a place is cut; 0 for other columns."""
    if column.key is ColumnKey.STAGE and column.width >= STAGE_WORD_WIDTH:
        return TRACK_WIDTH + 1 + texts.state
    return widest(column.names) if column.key in _PLACE_COLUMNS else 0


def _split_remainder(cells: int, variable: set[ColumnKey], texts: TextWidths) -> tuple[int, int]:
    """The widths of name and note out of the remaining cells."""
    if ColumnKey.NAME not in variable:
        return 0, max(cells, 0)
    if ColumnKey.NOTE not in variable or cells < _least_name(texts) + 1 + _MIN_NOTE_WIDTH:
        return max(cells, 0), 0
    name_width = min(cells - 1 - _MIN_NOTE_WIDTH, max(_PREFERRED_NAME_WIDTH, cells * 11 // 20))
    if texts.name:
        name_width = _name_beside_notes(cells - 1, name_width, texts)
    return name_width, cells - name_width - 1


def _name_beside_notes(cells: int, name_width: int, texts: TextWidths) -> int:
    """The name's share of the cells for name and note: neither has cells that it does not need while texts of the other are cut.

    Names leave the cells to notes that are longer than the note's share, and a reason's length even if they are cut then.
    """
    if texts.longest_note > cells - name_width:
        beside_reason = cells - min(texts.longest_note, _REASON_WIDTH)
        needed = max(min(texts.name, beside_reason), _least_name(texts), cells - texts.longest_note)
        name_width = min(name_width, needed)
    if texts.name > name_width:
        name_width = min(texts.name, cells - texts.note_cells(cells - name_width))
    return name_width


def title_text(column: Column, sort: SortKey, descending: bool, glyphs: Glyphs, *, absolute_times: bool = False) -> str:
    """A column's title, with an arrow if the table is sorted by it: down if the values shown descend.

    Ages descend where times ascend.
    """
    is_descending = descending if absolute_times or column.key not in _TIME_COLUMNS else not descending
    arrow = (glyphs.arrow_down if is_descending else glyphs.arrow_up) if column.sort is sort else ""
    title = fit_to_width(column.title, min(len(column.title), column.width - len(arrow)))  # the arrow stays
    return fit_to_width(f"{title}{arrow}", column.width, align_right=column.is_right_aligned)
