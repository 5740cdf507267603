"""Each stage's timeline, read from each of the three shapes of status, at two sizes."""

from collections.abc import Callable
from typing import Any

import pytest
from textual._doc import take_svg_screenshot

from tests.snapshots.scenes import CHUNK_ERROR, a_morning, dashboard
from upload_tui.testing import InMemorySession, an_upload
from upload_tui.wire import StatusShape

STAGES: dict[str, dict[str, Any]] = {
    "initiated": {"initiated": 95, "chunks": (1, 2)},
    "completed": {"initiated": 95, "completed": 21},
    "verified": {"initiated": 95, "completed": 21, "verified": 9},
    "error": {"initiated": 95, "completed": 21, "error": 9, "message": CHUNK_ERROR},
}
SIZES = {"120x40": (120, 40), "80x24": (80, 24)}


def chosen(stage: str, design: StatusShape) -> dict[str, Any]:
    """An upload of the size of which most is known."""
    return an_upload("reads_S12_R1.fastq.gz", status_shape=design, size_bytes=400_000_000, **STAGES[stage])


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("design", list(StatusShape))
@pytest.mark.parametrize("stage", STAGES)
def test_timeline_is_painted_when_an_upload_is_chosen(
    snap_compare: Callable[..., bool], stage: str, design: StatusShape, size: tuple[int, int]
) -> None:
    """The newest upload is under the cursor; its timeline stands beside the table, or alone where there is no room for both."""
    session = InMemorySession(a_morning(chosen(stage, design)))
    press = ["enter"] if size[0] < 100 else []
    assert snap_compare(dashboard(session), terminal_size=size, press=press)
    session.close()


def picture(stage: str, design: StatusShape) -> str:
    """The dashboard with one upload of this stage in this shape, as SVG."""
    session = InMemorySession(a_morning(chosen(stage, design)))
    try:
        return take_svg_screenshot(dashboard(session), terminal_size=(120, 40))
    finally:
        session.close()


@pytest.mark.parametrize(
    ("stage", "same"),
    [
        ("initiated", {StatusShape.A, StatusShape.B, StatusShape.DEPLOYED}),
        ("completed", {StatusShape.A, StatusShape.B, StatusShape.DEPLOYED}),
        ("verified", {StatusShape.A, StatusShape.B}),  # the deployed shape cannot say when
        ("error", {StatusShape.A, StatusShape.DEPLOYED}),  # Option B cannot say why
    ],
)
def test_shapes_give_the_same_picture_where_they_can(stage: str, same: set[StatusShape]) -> None:
    pictures = {design: picture(stage, design) for design in StatusShape}
    assert {design for design in StatusShape if pictures[design] == pictures[StatusShape.A]} == same
