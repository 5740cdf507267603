"""Scenes with the real service and monitor. Each docstring says what its picture must show."""

from collections.abc import Callable
from pathlib import Path

import pytest

from upload_tui.testing import Scene, dashboard, replay_of

Compare = Callable[..., bool]
RECORDINGS = Path(__file__).parent / "recordings"


def test_a_completed_upload_waits(snap_compare: Compare) -> None:
    """An upload completed 41 minutes ago and the worker is stopped: it is stuck. Another one has stalled."""
    scene = (
        Scene()
        .upload("reads_S1_R1.fastq.gz", at=0, completes=20)
        .upload("reads_S1_R2.fastq.gz", at=10, completes=35)
        .stop_worker(at=40)
        .upload("reads_S2_R1.fastq.gz", at=50, completes=60)
        .upload("brain_062.nii.gz", at=40 * 60, chunks=8)
        .until(60 + 41 * 60)
    )
    assert snap_compare(scene.dashboard(), terminal_size=(120, 40))


def test_a_byte_changed(snap_compare: Compare) -> None:
    """A byte of a chunk changed in transit: the upload failed, and the cause names the chunk and both hashes."""
    scene = Scene().upload("plate-7.czi", at=5, completes=30).fault("altered-chunk", at=12).until(60)
    assert snap_compare(scene.dashboard(), terminal_size=(120, 40))


@pytest.mark.parametrize("until", [6.0, None], ids=["at-first", "end"])
def test_a_bug_report(snap_compare: Compare, until: float | None) -> None:
    """A user's recording: some uploads are pending at first; at the end one of eight is verified, and Activity shows the causes."""
    session = replay_of(RECORDINGS / "corrupt.jsonl", until=until)
    assert snap_compare(dashboard(session), terminal_size=(120, 40))
    session.close()
