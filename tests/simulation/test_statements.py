"""Each operation with a few statements, or calls for files, that fail. `python -m tests.simulation --statements` tries all."""

from contextlib import nullcontext
from pathlib import Path
from zlib import crc32

import pytest

from tests.simulation.faults import FILE_FAILURES, STATEMENT_FAILURES, Failure, Injector, failing_statements
from tests.simulation.marks import Marks
from tests.simulation.operations import FILE_OPERATIONS, STATEMENT_OPERATIONS, try_one
from upload_tui.errors import BusyStorageError
from upload_tui.monitor import Store


@pytest.mark.parametrize("operation", [*STATEMENT_OPERATIONS, *FILE_OPERATIONS])
def test_an_operation_survives_failures_of_the_disk(capfd: pytest.CaptureFixture[str], operation: str) -> None:
    is_file = operation in FILE_OPERATIONS
    is_slow = operation in {"an export", "watch"}  # Textual, and many rounds
    failures = FILE_FAILURES[:: 4 if is_slow else 2] if is_file else STATEMENT_FAILURES[:: 6 if is_slow else 3]
    for failure in failures:
        number = 1 + crc32(f"{operation} {failure}".encode()) % (5 if is_file else 40)
        assert try_one(capfd, operation, failure, number)[0]


def test_a_store_that_loses_its_data_while_a_command_reads_leaves_nothing_out(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The damage is found when one project has been read and another has not; at the end, between two pages of rows."""
    damage = next(failure for failure in STATEMENT_FAILURES if failure.name == "CORRUPT")
    for number in (150, 204, 215):
        assert try_one(capfd, "list", damage, number)[1]


class _FailsTwice(Injector):
    """Damages a file as its rows are read, and fails differently as those of its replacement are."""

    def __init__(self, again: Failure) -> None:
        super().__init__(Failure("CORRUPT"), 0)
        self._later = [again, None]

    def fails(self, what: str, inode: int = 0) -> bool:
        if not self._later or what != "SELECT id FROM uploads":
            return False
        self.failure = self._later.pop(0) or self.failure  # of the next one
        return True


@pytest.mark.parametrize("again", {failure.name: failure for failure in STATEMENT_FAILURES}.values(), ids=str)
def test_a_store_is_read_though_its_replacement_fails_too(tmp_path: Path, again: Failure) -> None:
    with failing_statements(injector := _FailsTwice(again)):
        store = Store(tmp_path / "it.db")
        with pytest.raises(BusyStorageError) if again.name == "BUSY" else nullcontext():
            assert store.ids() == set()
        assert injector.failure is again
        store.close()


def test_each_mark_names_a_function_that_is_there() -> None:
    with Marks() as marks:
        assert not marks.met
