"""Why an upload failed, in as many words as there is room for."""

import re

from rich.cells import cell_len

from upload_tui.text import sanitize, truncate_at_word
from upload_tui.wire import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, OBJECT_MISSING, SIZE_DIFFERS

__all__ = ["cause_text", "detailed_cause_text"]

_SHORT_CAUSES = {
    CHUNK_HASH_DIFFERS: "bad chunk hash",
    SIZE_DIFFERS: "wrong size",
    FILE_HASH_DIFFERS: "bad file hash",
    OBJECT_MISSING: "not stored",
}

_PART_ENDS = re.compile("[:,;] ")


def cause_text(message: str, width: int, ellipsis: str) -> str:
    """An error's message in at most `width` cells; the service's long sentences give way to a few words where they do not fit."""
    text = sanitize(message) or "no reason given"
    if cell_len(text) > width:
        text = next((short for words, short in _SHORT_CAUSES.items() if message.startswith(words)), text)
    return truncate_at_word(text, width, ellipsis)


def detailed_cause_text(message: str, width: int, ellipsis: str) -> str:
    """The same, with what the service adds to its fixed words, as far as whole parts of it fit: `wrong size: reported 35703…`."""
    words, short = next((pair for pair in _SHORT_CAUSES.items() if message.startswith(f"{pair[0]}: ")), ("", ""))
    if not short or cell_len(sanitize(message)) <= width:
        return cause_text(message, width, ellipsis)
    text = f"{short}: {sanitize(message[len(words) + 2 :]).replace(' bytes', '')}"
    if cell_len(text) <= width:
        return text
    parts = (text[: end.start()].rstrip("…") + ellipsis for end in _PART_ENDS.finditer(text, len(short) + 1))
    return max(
        (part for part in parts if cell_len(part) <= width), key=len, default=truncate_at_word(short, width, ellipsis)
    )
