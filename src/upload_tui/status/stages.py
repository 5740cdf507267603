"""The four stages of an upload and what may follow what (DDS-902, Options A and B)."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

__all__ = ["FINAL_STAGES", "NEXT_STAGES", "PENDING_STAGES", "Stage"]


class Stage(StrEnum):
    """A stage that an upload has reached; the value is the word of the design."""

    INITIATED = "initiated"
    """The client began: `POST /projects/{id}/uploads`."""
    COMPLETED = "completed"
    """The client said that all chunks are there: `PUT /uploads/{id}/complete`; the worker's turn."""
    VERIFIED = "verified"
    """The manifest exists and every integrity check passed."""
    ERROR = "error"
    """The manifest could not be made, or an integrity check failed."""

    @property
    def rank(self) -> int:
        """The place in a timeline; where a service contradicts itself, the higher rank is believed (bad news first)."""
        return _RANKS[self]

    @property
    def is_final(self) -> bool:
        """True if nothing can follow."""
        return self in FINAL_STAGES


_RANKS: Mapping[Stage, int] = MappingProxyType({stage: rank for rank, stage in enumerate(Stage)})

NEXT_STAGES: Mapping[Stage | None, frozenset[Stage]] = MappingProxyType(
    {
        None: frozenset({Stage.INITIATED}),
        Stage.INITIATED: frozenset({Stage.COMPLETED}),
        Stage.COMPLETED: frozenset({Stage.VERIFIED, Stage.ERROR}),
        Stage.VERIFIED: frozenset(),
        Stage.ERROR: frozenset(),
    }
)
"""Which stages may follow a stage directly; None stands for "not begun"."""

FINAL_STAGES = frozenset({Stage.VERIFIED, Stage.ERROR})
PENDING_STAGES = frozenset({Stage.INITIATED, Stage.COMPLETED})
