"""Dashboards for pictures: a frozen clock, a session of the test's own, UTC, no animation."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from upload_tui.testing import SceneSession, an_upload
from upload_tui.tui.app import UploadApp
from upload_tui.tui.glyphs import UNICODE, Glyphs
from upload_tui.tui.look import Look
from upload_tui.tui.preferences import Preferences
from upload_tui.wire.messages import CHUNK_HASH_DIFFERS

CHUNK_ERROR = f"{CHUNK_HASH_DIFFERS}: chunk 3: reported 900150983cd2…, stored 098f6bcd4621…"


def dashboard(session: SceneSession, glyphs: Glyphs = UNICODE, theme: str = "upload-dark") -> UploadApp:
    """The dashboard over a scene."""
    return UploadApp(session, preferences=Preferences(look=Look(glyphs=glyphs, zone=UTC), theme=theme))


def a_morning(*first: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Uploads of a morning: enough finished ones that it is known what is usual; `first` come on top."""
    finished = [
        an_upload(
            f"scan-{number:04d}.tiff",
            initiated=400 + 300 * number,
            completed=350 + 300 * number,
            verified=338 - number % 5 + 300 * number,
        )
        for number in range(1, 13)
    ]
    others = [
        an_upload("brain_062_T1.nii.gz", initiated=200, chunks=(1, 2), size_bytes=734_003_200),
        an_upload("aligned_S217.bam", initiated=180, completed=8, size_bytes=1_900_000_000),
        an_upload(
            "plate-12-well-3.czi", initiated=900, completed=840, error=832, message=CHUNK_ERROR, size_bytes=52_428_800
        ),
        an_upload("simulation-00044.h5", initiated=4000, completed=3700, size_bytes=9_663_676_416),
    ]
    return [*first, *others, *finished]
