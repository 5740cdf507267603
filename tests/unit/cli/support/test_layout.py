"""Table layout: for any text and any width the lines fit and are aligned, and dropped columns are named."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from upload_tui.cli.support.output import Column
from upload_tui.cli.support.tables import layout_table, upload_columns
from upload_tui.clock import SystemClock

COLUMNS = (
    Column("ID", lambda record: record["id"]),
    Column("SIZE", lambda record: record["size"], is_number=True, drop_order=1),
    Column("NAME", lambda record: record["name"], min_width=8),
    Column("NOTE", lambda record: record["note"], min_width=10, drop_order=2, is_prose=True),
)
NARROWEST = 6 + 2 + 8
"""Six cells for the id, the gap, and the minimum width of the name."""

IDS = st.text("0123456789abcdef", min_size=6, max_size=6)
SIZES = st.text("123", max_size=5)
records = st.lists(st.fixed_dictionaries({"id": IDS, "size": SIZES, "name": st.text(), "note": st.text()}), max_size=5)


@given(records, st.integers(NARROWEST, 120))
def test_lines_fit_if_the_columns_that_are_never_dropped_do(records: list[dict[str, Any]], max_width: int) -> None:
    table = layout_table(COLUMNS, records, max_width)
    assert len(table.lines) == len(records) + 1
    assert all(cell_len(line) <= max_width for line in table.lines)
    assert all(record["id"] in line for record, line in zip(records, table.lines[1:], strict=True))
    heading = table.lines[0].split()
    assert heading == [column.title for column in COLUMNS if column.title not in table.dropped_titles]


@given(records)
def test_nothing_is_shortened_without_a_maximum_width(records: list[dict[str, Any]]) -> None:
    table = layout_table(COLUMNS, records, None)
    assert table.dropped_titles == []
    short = [record for record in records if record["name"].isascii() and record["name"].isprintable()]
    assert all(any(record["name"].rstrip() in line for line in table.lines) for record in short)


def test_a_long_text_in_a_pipe_moves_only_its_own_line() -> None:
    records = [{"id": "1", "size": "", "name": name, "note": "end"} for name in ("a", "b" * 60, "c" * 10_000)]
    lines = layout_table(COLUMNS, records, None).lines
    assert [line.index("NOTE" if line is lines[0] else "end") for line in lines] == [72, 72, 72, 10_012]


@given(records, st.integers(1, NARROWEST - 1))
def test_ids_are_complete_even_if_they_do_not_fit(records: list[dict[str, Any]], max_width: int) -> None:
    table = layout_table(COLUMNS, records, max_width)
    assert all(record["id"] in line for record, line in zip(records, table.lines[1:], strict=True))


def test_columns_are_dropped_in_their_order_as_the_terminal_gets_narrower() -> None:
    record: dict[str, Any] = {
        "stage": "verified", "stage_since": None, "stage_since_certainty": None,
        "trouble": None, "size_bytes": 12345, "project": {"id": "p", "name": "Demo project"},
        "id": "3936f24b-4797-4b9d-a045-149b816f9124", "name": "a-rather-long-name-of-a-file.fastq.gz",
        "error_message": "reported chunk hash does not match that computed by StorageProvider", "stuck": False,
        "overdue": False, "anomalies": [], "as_of": None, "stale": False, "least_age": False, "gone": False, "purged": False,
    }  # fmt: skip
    dropped = [
        tuple(layout_table(upload_columns(None, SystemClock().now), [record], max_width).dropped_titles)
        for max_width in range(220, 30, -1)
    ]
    steps = list(dict.fromkeys(dropped))
    assert steps[0] == ()
    assert [len(step) for step in steps] == list(range(len(steps)))
    assert steps[-1] == ("SINCE", "AGE", "SIZE", "PROJECT", "NAME", "NOTE")
