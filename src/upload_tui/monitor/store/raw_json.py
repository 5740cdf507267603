"""The service's last words about each upload in the store: its own, or those of the page that listed it. Asked by the store alone."""

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from upload_tui.errors import InvalidResponseError

if TYPE_CHECKING:
    from upload_tui.monitor.store.database import Database

__all__ = ["RawJsonStore", "compress_page", "decompress_page"]

_COMPRESSION_LEVEL = 1
"""The level at which deflating a page, a tenth of which is left, costs less time than keeping the whole of it."""
_MAX_CACHED_PAGES = 16
"""More than are read at once."""


def compress_page(body: bytes) -> bytes:
    """A page's words as they are kept."""
    return zlib.compress(body, _COMPRESSION_LEVEL)


def decompress_page(data: bytes) -> bytes:
    """A page's words as they came; none if what was kept is damaged."""
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""


class RawJsonStore:
    """Words by upload.

    Args:
        db: the store's.
    """

    def __init__(self, db: "Database") -> None:
        self._db = db
        self._page_cache: dict[int, Sequence[Any]] = {}

    def raw(self, upload_id: str) -> str:
        """JSON text; empty if the upload is not known, or if its page cannot be read: the row is still worth showing."""
        row = self._db.execute(
            "SELECT raw, page, place FROM uploads LEFT JOIN words USING (number) WHERE id = ?", (upload_id,)
        ).fetchone()
        if row is None:
            return ""
        raw, page, place = row
        if raw is not None:
            return str(raw)
        from upload_tui.wire import entry_json

        try:
            return entry_json(self._entries(page), place)
        except InvalidResponseError:
            return ""

    def _entries(self, page: int) -> Sequence[Any]:
        """What a page lists; neighbours are often asked for together, so the last ones are remembered."""
        entries = self._page_cache.pop(page, None)
        if entries is None:
            from upload_tui.wire import page_entries

            row = self._db.execute("SELECT body FROM pages WHERE page = ?", (page,)).fetchone()
            entries = () if row is None else page_entries(decompress_page(row[0]))
            while len(self._page_cache) >= _MAX_CACHED_PAGES:
                del self._page_cache[next(iter(self._page_cache))]
        self._page_cache[page] = entries
        return entries
