"""textual-fastdatatable with 1,000,000 rows, with the keys of `data_table`.

It runs in the environment of that package, so it imports nothing of upload-tui.
"""

from collections.abc import Iterator
from itertools import cycle
from random import Random
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual_fastdatatable import ArrowBackend, DataTable

COUNT = 1_000_000
COLUMNS = ("name", "size", "stage", "since")


def uploads() -> pa.Table:
    rng = Random(1)
    numbers = range(COUNT)
    return pa.table(
        {
            "name": [f"sample_{rng.randrange(10**6):06d}_R{number % 2}.fastq.gz" for number in numbers],
            "size": [rng.randrange(10**9) for _ in numbers],
            "stage": ["error" if rng.random() < 1 / 70 else "verified" for _ in numbers],
            "since": list(numbers),
        }
    )


class TableApp(App[None]):
    """An app with the table only."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("s", "sort", "Sort"),
        ("f", "filter('stage')", "Failed"),
        ("x", "filter('search')", "Search"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.uploads = uploads()
        self.sorts: Iterator[str] = cycle(COLUMNS)
        self.filtered = ""

    def compose(self) -> ComposeResult:
        yield DataTable(backend=ArrowBackend(self.uploads))

    def action_sort(self) -> None:
        self.query_one(DataTable).sort([(next(self.sorts), "ascending")])

    async def action_filter(self, kind: str) -> None:
        self.filtered = "" if self.filtered == kind else kind
        shown = self.uploads
        if self.filtered == "stage":
            shown = shown.filter(pc.equal(shown["stage"], "error"))
        elif self.filtered:
            shown = shown.filter(pc.match_substring(shown["name"], "_123"))
        await self.query_one(DataTable).remove()
        await self.mount(DataTable(backend=ArrowBackend(shown)))


if __name__ == "__main__":
    TableApp().run()
