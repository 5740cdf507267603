"""The timeline of each stage in each status shape, at two sizes."""

from collections.abc import Callable
from typing import Any

import pytest
from textual._doc import take_svg_screenshot

from tests.snapshots.scenes import CHUNK_ERROR, dashboard, sample_uploads
from upload_tui.testing import InMemorySession, an_upload
from upload_tui.wire import StatusShape

STAGES: dict[str, dict[str, Any]] = {
    "initiated": {"initiated": 95, "chunks": (1, 2)},
    "completed": {"initiated": 95, "completed": 21},
    "verified": {"initiated": 95, "completed": 21, "verified": 9},
    "error": {"initiated": 95, "completed": 21, "error": 9, "message": CHUNK_ERROR},
}
SIZES = {"120x40": (120, 40), "80x24": (80, 24)}


def selected_upload(stage: str, shape: StatusShape) -> dict[str, Any]:
    """An upload of a size for which a baseline is known."""
    return an_upload("reads_S12_R1.fastq.gz", status_shape=shape, size_bytes=400_000_000, **STAGES[stage])


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("shape", list(StatusShape))
@pytest.mark.parametrize("stage", STAGES)
def test_timeline_is_painted_when_an_upload_is_chosen(
    snap_compare: Callable[..., bool], stage: str, shape: StatusShape, size: tuple[int, int]
) -> None:
    """The newest upload is selected. Its timeline is beside the table, or on its own screen if there is no space."""
    session = InMemorySession(sample_uploads(selected_upload(stage, shape)))
    press = ["enter"] if size[0] < 100 else []
    assert snap_compare(dashboard(session), terminal_size=size, press=press)
    session.close()


def picture(stage: str, shape: StatusShape) -> str:
    """The dashboard with one upload of this stage in this status shape, as SVG."""
    session = InMemorySession(sample_uploads(selected_upload(stage, shape)))
    try:
        return take_svg_screenshot(dashboard(session), terminal_size=(120, 40))
    finally:
        session.close()


@pytest.mark.parametrize(
    ("stage", "same"),
    [
        ("initiated", {StatusShape.A, StatusShape.B, StatusShape.DEPLOYED}),
        ("completed", {StatusShape.A, StatusShape.B, StatusShape.DEPLOYED}),
        ("verified", {StatusShape.A, StatusShape.B}),  # the deployed shape has no time of verification
        ("error", {StatusShape.A, StatusShape.DEPLOYED}),  # Option B has no error message
    ],
)
def test_status_shapes_give_the_same_picture_if_they_express_the_same(stage: str, same: set[StatusShape]) -> None:
    pictures = {shape: picture(stage, shape) for shape in StatusShape}
    assert {shape for shape in StatusShape if pictures[shape] == pictures[StatusShape.A]} == same
