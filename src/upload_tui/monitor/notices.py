"""Notices: facts about a picture as a whole, for the alarm line."""

from enum import StrEnum

from msgspec import Struct

__all__ = ["Notice", "NoticeKind", "store_notice"]


class NoticeKind(StrEnum):
    """What a notice is about."""

    WORKER_DOWN = "worker down"
    """The verification worker appears down."""
    SILENCE = "silence"
    """Nothing was verified for a while, which may be so with a working worker as well."""
    NOT_CACHED = "not cached"
    """Uploads are not kept for the next session."""
    CACHE_REPLACED = "cache replaced"
    """What was kept of earlier sessions could not be used."""


class Notice(Struct, frozen=True):
    """A fact about the picture as a whole.

    Attributes:
        kind: what it is about.
        text: the fact, such as `none verified for 8m, 14 completed waiting`.
        short: the same in fewer words, such as `14 completed waiting`.
        title: the title of the session that it is about; empty if there is only one.
    """

    kind: NoticeKind
    text: str
    short: str = ""
    title: str = ""


def store_notice(text: str, uncached_reason: str) -> Notice | None:
    """The notice about a store that is not where it should be; None if it is.

    Args:
        text: why it is not, in one sentence; empty if it is.
        uncached_reason: why nothing is cached, in a few words; empty if another file is used.
    """
    if not text:
        return None
    return Notice(NoticeKind.NOT_CACHED if uncached_reason else NoticeKind.CACHE_REPLACED, text, uncached_reason)
