"""Stories through the real service and monitor, each with the sentence that a reviewer holds its picture against."""

from collections.abc import Callable
from pathlib import Path

import pytest

from upload_tui.testing import Scene, dashboard, replay_of

Compare = Callable[..., bool]
JOURNALS = Path(__file__).parent / "journals"


def test_a_completed_upload_waits(snap_compare: Compare) -> None:
    """A completed upload has waited 41 minutes and the worker is stopped: it looks stuck; another sends its chunks."""
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
    """A byte of a chunk changed on its way: the upload is in error, and the chunk is named with both digests."""
    scene = Scene().upload("plate-7.czi", at=5, completes=30).fault("altered-chunk", at=12).until(60)
    assert snap_compare(scene.dashboard(), terminal_size=(120, 40))


@pytest.mark.parametrize("until", [6.0, None], ids=["at-first", "end"])
def test_a_bug_report(snap_compare: Compare, until: float | None) -> None:
    """Somebody's journal: at first some uploads are still under way; in the end one of eight is verified, and the tail says why."""
    session = replay_of(JOURNALS / "corrupt.jsonl", until=until)
    assert snap_compare(dashboard(session), terminal_size=(120, 40))
    session.close()
