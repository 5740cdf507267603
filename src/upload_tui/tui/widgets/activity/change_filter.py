"""Which changes the change log shows."""

from msgspec import Struct

from upload_tui.monitor import AnomalyNoticed, StageReached, UploadChange, UploadGone, UploadPurged
from upload_tui.status import Stage

__all__ = ["ChangeFilter"]


class ChangeFilter(Struct, frozen=True):
    """A filter of changes.

    Attributes:
        search: words separated by blanks, matched without regard to case in the change's stage, name, id, project and message.
            All must occur; a word that begins with `-` must not.
        stage: only changes to this stage; None means all.
    """

    search: str = ""
    stage: Stage | None = None

    def __bool__(self) -> bool:
        """True if the filter can exclude a change."""
        return bool(self.search.strip()) or self.stage is not None

    def matches(self, change: UploadChange) -> bool:
        """True if the change is shown."""
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
            return "anomaly", change.anomaly.name, change.anomaly.detail
        case UploadPurged():
            return ("purged",)
        case UploadGone():
            return ("gone",)
        case _:
            return ()
