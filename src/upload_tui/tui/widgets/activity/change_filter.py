"""Which changes the tail shows: by words, where `-word` leaves out, and by stages. Pure."""

from msgspec import Struct

from upload_tui.monitor import AnomalyNoticed, StageReached, UploadChange, UploadGone, UploadPurged
from upload_tui.status import Stage

__all__ = ["ChangeFilter"]


class ChangeFilter(Struct, frozen=True):
    """What a person wants to see of the tail.

    Attributes:
        search: words that must all be in a change's stage, name, id, project or message, in any case of letters; one that
            begins with `-` must not.
        stage: only changes to this stage; None is all.
    """

    search: str = ""
    stage: Stage | None = None

    def __bool__(self) -> bool:
        """True if anything is left out."""
        return bool(self.search.strip()) or self.stage is not None

    def matches(self, change: UploadChange) -> bool:
        """True if the change is to be seen."""
        if self.stage is not None and not (isinstance(change, StageReached) and change.after is self.stage):
            return False
        text = _searchable_text(change)
        return all(_matches_word(word, text) for word in self.search.casefold().split())


def _matches_word(word: str, text: str) -> bool:
    if word.startswith("-") and len(word) > 1:
        return word[1:] not in text
    return word in text


def _searchable_text(change: UploadChange) -> str:
    upload = change.upload
    parts = [*_change_terms(change), upload.name, upload.id, upload.project_name]
    return "\n".join(part for part in parts if part).casefold()


def _change_terms(change: UploadChange) -> tuple[str | None, ...]:
    match change:
        case StageReached():
            return change.after, change.error_message
        case AnomalyNoticed():
            return "odd", change.anomaly.name, change.anomaly.detail
        case UploadPurged():
            return ("purged",)
        case UploadGone():
            return ("gone",)
        case _:
            return ()
