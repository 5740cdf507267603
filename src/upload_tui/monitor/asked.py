"""A query in the store's own terms, and the SQL that runs along its indexes. Used by `Windows` and `Searches` alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.picture import Query, SortKey
from upload_tui.monitor.store_conditions import StuckBefore, attention_condition, search_condition, search_grams
from upload_tui.status import Stage

__all__ = ["Asked", "Cell", "Key", "arm_count", "arms", "asked_for", "bound", "columns", "direction", "listing"]

_ARMS_AT_MOST = 16
"""More cells than these are not merged but looked for along the whole."""

_COLUMNS: Mapping[SortKey, str] = {
    SortKey.INITIATED: "initiated_ms",
    SortKey.STAGE: "stage",
    SortKey.SINCE: "since_ms",
    SortKey.NAME: "name",
    SortKey.SIZE: "size_bytes",
    SortKey.PROJECT: "project",
}

Key = tuple[Any, int]
"""What a row is sorted by, and its number."""


class Cell(Struct, frozen=True):
    """All uploads of one project in one stage, those that are gone apart; how many there are."""

    number: int
    project: int
    stage: int
    is_gone: bool
    uploads: int


class Asked(Struct, frozen=True):
    """A query in the store's own terms.

    Attributes:
        cells: those that the answer lies in, none of them empty.
        is_all: True if there are no others.
        condition, values: what else must be true of a row; empty for nothing.
        grams: what the trigram index finds at least the rows of the condition by; empty if it cannot help.
        sort, descending: the order.
        query: what this was made of.
    """

    cells: tuple[Cell, ...]
    is_all: bool
    condition: str
    values: tuple[object, ...]
    sort: SortKey
    descending: bool
    grams: str = ""
    query: Query = Query()

    @property
    def total(self) -> int:
        """Uploads in the cells."""
        return sum(cell.uploads for cell in self.cells)

    @property
    def name(self) -> tuple[Any, ...]:
        """What tells this from other queries, however full its cells are."""
        cells = None if self.is_all else tuple(cell.number for cell in self.cells)
        return (cells, self.sort, self.descending)

    def groups(self) -> Sequence["Asked"]:
        """The parts that follow each other, each ordered by something that has an index: stages and projects are runs of cells."""
        if self.sort not in {SortKey.STAGE, SortKey.PROJECT}:
            return [self]
        runs: dict[int, list[Cell]] = {}
        for cell in self.cells:
            runs.setdefault(cell.stage if self.sort is SortKey.STAGE else cell.project, []).append(cell)
        return [
            replace(self, cells=tuple(runs[run]), is_all=False, sort=SortKey.INITIATED)
            for run in sorted(runs, reverse=self.descending)
        ]


def asked_for(
    query: Query, stuck: StuckBefore, cells: Callable[[frozenset[str], frozenset[Stage]], tuple[Cell, ...]]
) -> Asked:
    """A query; `cells` tells the store's of some projects and stages, where none means all."""
    stages = query.stages
    conditions: list[tuple[str, tuple[object, ...]]] = []
    if query.attention_only:
        stages = (stages or frozenset(Stage)) - {
            Stage.VERIFIED
        }  # most of all there are, and nothing is wrong with them
        conditions.append(attention_condition(stuck))
    if query.search:
        conditions.append(search_condition(query.search))
    is_nowhere = bool(query.stages) and not stages
    return Asked(
        cells=() if is_nowhere else cells(query.project_ids, stages),
        is_all=not query.project_ids and not stages and not is_nowhere,
        condition=" AND ".join(condition for condition, _ in conditions),
        values=tuple(value for _, some in conditions for value in some),
        sort=query.sort,
        descending=query.descending,
        grams=search_grams(query.search),
        query=query,
    )


def columns(asked: Asked) -> str:
    """What its rows are sorted by."""
    return f"{_COLUMNS[asked.sort]}, number"


def direction(asked: Asked, *, backwards: bool = False) -> str:
    """Which way its rows run."""
    return "DESC" if asked.descending is not backwards else "ASC"


def bound(asked: Asked, rung: Key | None, operator: str) -> tuple[str, tuple[object, ...]]:
    """A condition, and its values, on where rows stand against a place that is known; none if there is no such place."""
    if rung is None:
        return "", ()
    return f" AND ({columns(asked)}) {operator} ({', '.join('?' * len(rung))})", tuple(rung)


def _is_merged(asked: Asked) -> bool:
    return not asked.is_all and 0 < len(asked.cells) <= _ARMS_AT_MOST


def arm_count(asked: Asked) -> int:
    """How many SELECTs there are in `arms`; each wants the same values."""
    return len(asked.cells) if _is_merged(asked) else 1


def arms(asked: Asked, more: str) -> str:
    """One SELECT for each cell, to be merged in order; each runs along its own index."""
    if not _is_merged(asked):
        where = "1" if asked.is_all else f"cell IN ({listing(asked.cells)})"
        return f"SELECT {columns(asked)} FROM uploads WHERE {where}{more}"
    return " UNION ALL ".join(
        f"SELECT {columns(asked)} FROM uploads WHERE cell = {cell.number}{more}" for cell in asked.cells
    )


def listing(cells: Sequence[Cell]) -> str:
    """The cells' numbers, for an IN."""
    return ", ".join(str(cell.number) for cell in cells) or "NULL"
