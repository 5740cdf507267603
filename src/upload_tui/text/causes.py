"""Short causes of failed uploads, for where the messages of the service are too long, and anomalies in words."""

import re
from collections.abc import Mapping, Sequence

from upload_tui.lazy import lazy_pattern
from upload_tui.status import Anomaly, AnomalyName
from upload_tui.text.sanitizer import sanitize
from upload_tui.wire import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, OBJECT_MISSING, SIZE_DIFFERS

__all__ = [
    "SHORT_CAUSES",
    "anomaly_texts",
    "cause_with_short",
    "cause_words",
    "detailed_short_cause",
    "failed_chunks",
    "short_cause",
]

_FAILED_CHUNKS = lazy_pattern(
    rf"(?:^|; )(?:(?P<fixed>{re.escape(CHUNK_HASH_DIFFERS)}|{re.escape(SIZE_DIFFERS)}): )?"
    r"chunk (?P<number>\d{1,18})(?(fixed)\b| was never stored)",
    re.ASCII,
)
_CHUNK_CAUSES = {CHUNK_HASH_DIFFERS: "bad hash", SIZE_DIFFERS: "wrong size", None: "not stored"}

SHORT_CAUSES = {
    CHUNK_HASH_DIFFERS: "bad chunk hash",
    SIZE_DIFFERS: "wrong size",
    FILE_HASH_DIFFERS: "bad file hash",
    OBJECT_MISSING: "not stored",
}
"""The short cause of a message by the fixed text with which the message begins."""


def short_cause(message: str) -> str:
    """A few words for an integrity message of the service; empty for any other message."""
    return next((short for fixed, short in SHORT_CAUSES.items() if message.startswith(fixed)), "")


_PLACEHOLDERS = lazy_pattern(r"\s*[(\[]?(?<!\w)#+(?:(?: of |[-/.,:])#+)*(?!\w)[)\]]?")
"""What stands for the numbers in the cause of a group."""


def cause_words(cause: str) -> str:
    """The cause of a group without the placeholders of its numbers: `chunk missing` for `chunk # missing`."""
    return _PLACEHOLDERS.sub("", cause).strip() or cause


def cause_with_short(cause: str) -> str:
    """The cause of a group after its short form: `wrong size: reported size does not match …`; the cause alone if it has none."""
    short, words = short_cause(cause), cause_words(cause)
    return f"{short}: {words}" if short else words


def detailed_short_cause(message: str) -> str:
    """The same with the details that follow the fixed text: `wrong size: reported 35703, …`; empty if there are none."""
    for fixed, short in SHORT_CAUSES.items():
        if message.startswith(f"{fixed}: "):
            return f"{short}: {sanitize(message[len(fixed) + 2 :]).replace(' bytes', '')}"
    return ""


def anomaly_texts(anomaly: Anomaly) -> Sequence[str]:
    """An anomaly in words, sanitized, the longest text first: `chunk 1 missing`, `time in future: …`."""
    name, detail = anomaly.name.replace("_", " "), sanitize(anomaly.detail)
    numbers = detail.partition(" without chunk ")[2]
    if anomaly.name is AnomalyName.CHUNKS_MISSING and numbers:
        return f"{'chunk' if numbers.isdigit() else 'chunks'} {numbers} missing", name
    return f"{name}: {detail}", name


def failed_chunks(message: str) -> Mapping[int, str]:
    """The numbers of the chunks that an error message names, and what is wrong with each: `bad hash`, `wrong size`, `not stored`."""
    return {int(match["number"]): _CHUNK_CAUSES[match["fixed"]] for match in _FAILED_CHUNKS.finditer(message)}
