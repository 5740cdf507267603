"""Journals of `upload-tui record` as scenes: somebody's bug report becomes a picture to compare with."""

from datetime import timedelta
from pathlib import Path

from upload_tui.monitor import ReplaySession, read_recording
from upload_tui.testing.clock import FrozenClock

__all__ = ["replay_of"]


def replay_of(file: Path | str, *, until: float | None = None) -> ReplaySession:
    """A session that shows what a journal's writer saw, and stands still; for `dashboard`, and closed by whoever asked for it.

    Args:
        file: the journal.
        until: how many seconds after its beginning; None shows its end. Later ones: `session.seek` and `session.step`.

    Raises:
        StorageError: it cannot be read, or is no journal.

    >>> import json, tempfile
    >>> from upload_tui.testing import an_upload, recorded
    >>> began, read = "2026-03-14T09:26:00.000Z", "2026-03-14T09:26:53.000Z"
    >>> projects = [{"id": "p-1", "name": "Genome"}]
    >>> header = {"journal": 1, "at": began, "service": "https://example.org", "title": "lab", "projects": projects}
    >>> first = {"at": read, "kind": "kept", "raw": an_upload("scan.tiff"), "noticed": [], "earliest": None}
    >>> with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
    ...     for line in ({**header, "stuck_after_seconds": 900}, first):
    ...         print(json.dumps(line), file=file, flush=True)
    ...     session = replay_of(file.name)
    >>> [row.name for row in session.pending(10)]
    ['scan.tiff']
    >>> session.close()
    """
    header, lines = read_recording(Path(file))
    session = ReplaySession(header, lines, base=FrozenClock())
    session.seek(session.ends_on if until is None else header.began_on + timedelta(seconds=until))
    return session
