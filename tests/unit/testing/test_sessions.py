"""Sessions of the testing kit; most of their behaviour is tested by scenes and dashboards."""

from pathlib import Path

import pytest

from upload_tui.errors import StorageError
from upload_tui.testing import replay_of


def test_a_file_that_is_not_a_recording_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a recording")
    with pytest.raises(StorageError, match=r"notes\.txt"):
        replay_of(tmp_path / "notes.txt")
