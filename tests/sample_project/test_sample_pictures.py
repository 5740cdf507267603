"""Pictures of upload-tui's dashboard, and of an app with its widgets."""

from collections.abc import Callable
from datetime import UTC

import pytest
from sample_screen import SampleScreen

from upload_tui.testing import FrozenClock, Scene, an_upload, deterministic, sample_uploads, settled
from upload_tui.widgets import DisplayOptions, InMemoryPicture

Compare = Callable[..., bool]
Dashboard = Callable[..., object]


def test_the_worker_is_stopped(snap_compare: Compare, upload_dashboard: Dashboard) -> None:
    """A completed upload has waited for 41 minutes and is stuck."""
    scene = (
        Scene(title="lab")
        .upload("reads_S1_R1.fastq.gz", at=0, completes=20)
        .upload("reads_S1_R2.fastq.gz", at=10, completes=35)
        .fault("altered-chunk", at=40)
        .upload("plate-7.czi", at=41, completes=60)
        .stop_worker(at=70)
        .upload("reads_S2_R1.fastq.gz", at=80, completes=120)
        .upload("brain_062.nii.gz", at=120 + 40 * 60, chunks=8)
        .until(120 + 41 * 60)
    )
    assert snap_compare(upload_dashboard(scene), terminal_size=(120, 40))


def test_the_service_is_down(snap_compare: Compare) -> None:
    """The header shows since when the picture is stale, and the line below the table shows why: HTTP 503."""
    scene = Scene(title="lab").upload("a.bin", completes=10).fault("outage", at=20, seconds=600).poll(at=25).until(40)
    assert snap_compare(scene.dashboard(), terminal_size=(80, 24))


@pytest.mark.parametrize("theme", ["upload-light", "nord"])
def test_other_settings(snap_compare: Compare, upload_dashboard: Dashboard, theme: str) -> None:
    """Another theme, plain ASCII, and another key for the filter of uploads in trouble."""
    app = upload_dashboard(sample_uploads(), theme=theme, ascii_only=True, keymap={"trouble": "x"})
    assert snap_compare(app, terminal_size=(80, 24), press=["x"], run_before=settled)


def test_an_app_with_the_widgets(snap_compare: Compare, upload_clock: FrozenClock) -> None:
    """The funnel, the table, the timeline and the chunk strip in another app."""
    uploads = [
        an_upload("run-1.h5", initiated=100, completed=8, chunks=(1, 2, 4), size_bytes=3_000_000),
        *sample_uploads(),
    ]
    picture = InMemoryPicture(uploads, clock=upload_clock)
    assert snap_compare(deterministic(SampleScreen(picture, DisplayOptions(zone=UTC))), terminal_size=(120, 40))
    picture.close()
