"""The four stages of an upload (DDS-902, Options A and B)."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

__all__ = ["FINAL_STAGES", "PENDING_STAGES", "Stage"]


class Stage(StrEnum):
    """A stage that an upload has reached; the value is the word that the design uses."""

    INITIATED = "initiated"
    """The client started the upload: `POST /projects/{id}/uploads`."""
    COMPLETED = "completed"
    """The client reported all chunks as sent: `PUT /uploads/{id}/complete`. A worker verifies it next."""
    VERIFIED = "verified"
    """The manifest exists and every integrity check passed."""
    ERROR = "error"
    """The manifest could not be created, or an integrity check failed."""

    @property
    def rank(self) -> int:
        """The position in a timeline. Where a service contradicts itself, the higher rank wins, so an error is never hidden."""
        return _RANKS[self]

    @property
    def is_final(self) -> bool:
        """True if no stage can follow."""
        return self in FINAL_STAGES


_RANKS: Mapping[Stage, int] = MappingProxyType({stage: rank for rank, stage in enumerate(Stage)})

FINAL_STAGES = frozenset({Stage.VERIFIED, Stage.ERROR})
PENDING_STAGES = frozenset({Stage.INITIATED, Stage.COMPLETED})
