"""What the dashboard's pictures are of."""

from collections.abc import Mapping, Sequence
from typing import Any

from upload_tui import testing
from upload_tui.monitor.session import Session
from upload_tui.tui.app import UploadApp
from upload_tui.tui.glyphs import ASCII, UNICODE, Glyphs
from upload_tui.tui.theme import DEFAULT_THEME
from upload_tui.wire.messages import CHUNK_HASH_DIFFERS

CHUNK_ERROR = f"{CHUNK_HASH_DIFFERS}: chunk 3: reported 900150983cd2…, stored 098f6bcd4621…"


def dashboard(session: Session, glyphs: Glyphs = UNICODE, theme: str = DEFAULT_THEME) -> UploadApp:
    """The dashboard over a session."""
    return testing.dashboard(session, theme=theme, ascii_only=glyphs is ASCII)


def a_morning(*first: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The kit's morning; its failed upload has a chunk with wrong bytes."""
    return testing.a_morning(*first, message=CHUNK_ERROR)
