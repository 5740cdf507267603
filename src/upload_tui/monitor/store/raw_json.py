"""The raw JSON of each upload in the store: stored with the upload, or as an entry of the page that listed it."""

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from upload_tui.errors import InvalidResponseError

if TYPE_CHECKING:
    from upload_tui.monitor.store.database import Database

__all__ = ["RawJsonStore", "compress_page", "decompress_page"]

_COMPRESSION_LEVEL = 1
"""Compresses a page to a tenth, and takes less time than writing it uncompressed."""
_MAX_CACHED_PAGES = 16
"""More pages than are read in turn."""


def compress_page(body: bytes) -> bytes:
    """A page's body as it is stored."""
    return zlib.compress(body, _COMPRESSION_LEVEL)


def decompress_page(data: bytes) -> bytes:
    """A stored page's body; empty if it is damaged."""
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""


class RawJsonStore:
    """Raw JSON by upload.

    Args:
        db: the store's database.
    """

    def __init__(self, db: "Database") -> None:
        self._db = db
        self._page_cache: dict[int, Sequence[Any]] = {}

    def raw(self, upload_id: str) -> str:
        """The raw JSON of an upload; empty if the upload is not known or its page is damaged."""
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
        """The entries of a page; the last pages are cached, because neighbours are often read together."""
        entries = self._page_cache.pop(page, None)
        if entries is None:
            from upload_tui.wire import page_entries

            row = self._db.execute("SELECT body FROM pages WHERE page = ?", (page,)).fetchone()
            entries = () if row is None else page_entries(decompress_page(row[0]))
            while len(self._page_cache) >= _MAX_CACHED_PAGES:
                del self._page_cache[next(iter(self._page_cache))]
        self._page_cache[page] = entries
        return entries
