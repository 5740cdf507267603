"""Sessions and dashboards for the pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from upload_tui import testing
from upload_tui.monitor import Detail, Funnel, InMemoryPicture, Query, Session, Where, Window
from upload_tui.testing import InMemorySession
from upload_tui.tui import ASCII, DEFAULT_THEME, UNICODE, Glyphs, UploadApp
from upload_tui.wire import CHUNK_HASH_DIFFERS

CHUNK_ERROR = f"{CHUNK_HASH_DIFFERS}: chunk 3: reported 900150983cd2…, stored 098f6bcd4621…"


def dashboard(session: Session, glyphs: Glyphs = UNICODE, theme: str = DEFAULT_THEME) -> UploadApp:
    """The dashboard of a session."""
    return testing.dashboard(session, theme=theme, ascii_only=glyphs is ASCII)


def sample_uploads(*first: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The sample uploads; the failed one has a chunk with a wrong hash."""
    return testing.sample_uploads(*first, message=CHUNK_ERROR)


class MillionPicture(InMemoryPicture):
    """A million uploads, made one window at a time. Their names follow from their numbers."""

    _COUNT = 1_000_000

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """Rows that repeat the sample uploads; the picture itself answers searches."""
        if query.where != Where():
            return super().window(query, offset, limit, patience_seconds)
        rows = super().window(query, 0, 16).rows
        numbers = range(offset, min(offset + limit, self._COUNT))
        made = (replace(rows[n % 16], id=f"{n:08d}", name=f"run-{self._COUNT - n:07d}.fastq.gz") for n in numbers)
        return Window(tuple(made), offset, self._COUNT, 1)

    def position(self, query: Query, upload_id: str, service: str = "") -> int | None:
        """The id is the row's number."""
        return int(upload_id)

    def detail(self, upload_id: str, service: str = "") -> Detail | None:
        """The sample upload that the row repeats."""
        rows = super().window(Query(), 0, 16).rows
        return super().detail(rows[int(upload_id) % 16].id)

    def funnel(self, project_ids: frozenset[str] = frozenset()) -> Funnel:
        """Most uploads are verified."""
        counts = (1_204, 38, 997_511, 1_247)
        stages = super().funnel(project_ids).stages
        return Funnel(tuple(replace(one, count=count) for one, count in zip(stages, counts, strict=True)))


class MillionSession(InMemorySession):
    """A session with a million uploads."""

    def __init__(self) -> None:
        super().__init__()
        self.picture.close()
        self.picture = MillionPicture(sample_uploads(), clock=self.clock, service="https://example.org")
