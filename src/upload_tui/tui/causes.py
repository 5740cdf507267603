"""Why an upload failed, in as many words as there is room for."""

from rich.cells import cell_len

from upload_tui.tui.formatting import cut_at_word, harmless
from upload_tui.wire.messages import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, OBJECT_MISSING, SIZE_DIFFERS

__all__ = ["cause_text"]

_SHORT_CAUSES = {
    CHUNK_HASH_DIFFERS: "bad chunk hash",
    SIZE_DIFFERS: "wrong size",
    FILE_HASH_DIFFERS: "bad file hash",
    OBJECT_MISSING: "not stored",
}


def cause_text(message: str, width: int, ellipsis: str) -> str:
    """An error's message in at most `width` cells; the service's long sentences give way to a few words where they do not fit."""
    text = harmless(message) or "no reason given"
    if cell_len(text) > width:
        text = next((short for words, short in _SHORT_CAUSES.items() if message.startswith(words)), text)
    return cut_at_word(text, width, ellipsis)
