"""The service's last words about each upload in the store: its own, or those of the page that listed it. Asked by the store alone."""

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from upload_tui.errors import UnreadableError

if TYPE_CHECKING:
    from upload_tui.monitor.database import Database

__all__ = ["StoredWords", "deflated", "inflated"]

_QUICKLY = 1
"""The level at which deflating a page, a tenth of which is left, costs less time than keeping the whole of it."""
_PAGES_REMEMBERED = 16
"""More than are read at once."""


def deflated(body: bytes) -> bytes:
    """A page's words as they are kept."""
    return zlib.compress(body, _QUICKLY)


def inflated(words: bytes) -> bytes:
    """A page's words as they came; none if what was kept is damaged."""
    try:
        return zlib.decompress(words)
    except zlib.error:
        return b""


class StoredWords:
    """Words by upload.

    Args:
        db: the store's.
    """

    def __init__(self, db: "Database") -> None:
        self._db = db
        self._pages: dict[int, Sequence[Any]] = {}

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
        from upload_tui.wire.answers import entry_words

        try:
            return entry_words(self._entries(page), place)
        except UnreadableError:
            return ""

    def _entries(self, page: int) -> Sequence[Any]:
        """What a page lists; neighbours are often asked for together, so the last ones are remembered."""
        entries = self._pages.pop(page, None)
        if entries is None:
            from upload_tui.wire.answers import page_entries

            row = self._db.execute("SELECT body FROM pages WHERE page = ?", (page,)).fetchone()
            entries = () if row is None else page_entries(inflated(row[0]))
            while len(self._pages) >= _PAGES_REMEMBERED:
                del self._pages[next(iter(self._pages))]
        self._pages[page] = entries
        return entries
