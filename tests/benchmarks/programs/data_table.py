"""Textual's table with 10,000 rows: `s` sorts by the next column, `f` filters the failed ones, `x` those of a search."""

from collections.abc import Iterable, Iterator
from itertools import cycle
from random import Random
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable

COUNT = 10_000
COLUMNS = ("name", "size", "stage", "since")
Row = tuple[str, int, str, int]


def rows(count: int) -> Iterator[Row]:
    rng = Random(1)
    for number in range(count):
        stage = "error" if rng.random() < 1 / 70 else "verified"
        yield (f"sample_{rng.randrange(10**6):06d}_R{number % 2}.fastq.gz", rng.randrange(10**9), stage, number)


class TableApp(App[None]):
    """An app with the table only."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("s", "sort", "Sort"),
        ("f", "filter('stage')", "Failed"),
        ("x", "filter('search')", "Search"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = list(rows(COUNT))
        self.sorts: Iterator[str] = cycle(COLUMNS)
        self.filtered = ""

    def compose(self) -> ComposeResult:
        yield DataTable()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for column in COLUMNS:
            table.add_column(column, key=column)
        self.show(self.rows)
        self.sub_title = "Ready"

    def show(self, visible: Iterable[Row]) -> None:
        table: DataTable[Any] = self.query_one(DataTable)
        table.clear()
        table.add_rows(visible)

    def action_sort(self) -> None:
        self.query_one(DataTable).sort(next(self.sorts))

    def action_filter(self, kind: str) -> None:
        self.filtered = "" if self.filtered == kind else kind
        if not self.filtered:
            self.show(self.rows)
        elif kind == "stage":
            self.show(row for row in self.rows if row[2] == "error")
        else:
            self.show(row for row in self.rows if "_123" in row[0])


if __name__ == "__main__":
    TableApp().run()
