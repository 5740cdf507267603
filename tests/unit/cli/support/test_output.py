"""How records are printed."""

from collections.abc import Mapping
from typing import Any

import pytest

from upload_tui.cli.support.output import Printer
from upload_tui.monitor import (
    CHANGE_FIELDS,
    CHANGE_PATHS,
    UPLOAD_FIELDS,
    UPLOAD_PATHS,
    Query,
    change_record,
    flat_upload,
    full_upload_record,
    upload_record,
)
from upload_tui.monitor.changes import flat_change
from upload_tui.testing import InMemorySession, an_upload


def test_the_fields_of_csv_are_those_of_every_record() -> None:
    session = InMemorySession([an_upload("plain", chunks=None)])
    session.publish(an_upload("failed", completed=60, error=50, message="no room left"))
    details = [session.picture.detail(row.id) for row in session.picture.window(Query(), 0, 9).rows]
    for detail in details:
        assert detail is not None
        assert tuple(flat_upload(upload_record(detail))) == UPLOAD_FIELDS
        assert tuple(flat_upload(full_upload_record(detail, {}))) == UPLOAD_FIELDS
        assert _paths(upload_record(detail)) <= {*UPLOAD_FIELDS, *UPLOAD_PATHS}
    for change in session.changes.history(9):
        assert tuple(flat_change(change_record(change))) == CHANGE_FIELDS
        assert _paths(change_record(change)) <= {*CHANGE_FIELDS, *CHANGE_PATHS}
    session.close()


def _paths(record: Mapping[str, Any], before: str = "") -> set[str]:
    """The names of all values in a record, except those in lists."""
    found = set()
    for name, value in record.items():
        found.add(f"{before}{name}")
        if isinstance(value, Mapping):
            found |= _paths(value, f"{before}{name}.")
    return found


def test_a_csv_without_records_has_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    Printer("csv", (), fields=("id", "name")).print_records([])
    assert capsys.readouterr().out == "id,name\n"
    printer = Printer("csv", (), fields=("id", "name"))
    printer.print_header()
    printer.print_record({"id": "1", "name": "Genome"})
    assert capsys.readouterr().out == "id,name\n1,Genome\n"


@pytest.mark.parametrize(("output", "expected"), [("json", "[]\n"), ("jsonl", "")])
def test_other_formats_without_records_have_no_header(
    output: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Printer(output, (), fields=("id",)).print_records([])
    assert capsys.readouterr().out == expected
