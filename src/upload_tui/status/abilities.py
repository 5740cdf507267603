"""What services and sources report: the one table behind everything that is shown or judged differently for the two.

The service of the design promises what it reports. A source is a command that prints what is there now, and may leave anything out:
what it leaves out is unknown, never wrong and never zero. What one upload has, such as a size, is in its own fields.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum, auto
from types import MappingProxyType

__all__ = ["SOURCE_PREFIX", "Ability", "Origin"]

SOURCE_PREFIX = "source:"
"""The identity of a source begins with it, where that of a service is its URL."""


class Ability(Enum):
    """Something that holds for all uploads of an origin."""

    STAGE_HISTORY = auto()
    """All stages that an upload has reached are listed, with their times: one that is absent was left out by mistake."""
    FINAL_ENDINGS = auto()
    """An upload never leaves its final stage. Otherwise it may be sent again."""
    FINAL_CHUNKS = auto()
    """After completion the list of chunks is final: gaps and missing bytes contradict it. Otherwise each upload says so itself."""
    CHUNK_LISTS = auto()
    """An upload without a list of chunks is not chunked. Otherwise its chunks are unknown."""
    VERIFICATION = auto()
    """A worker verifies each completed upload. Otherwise only the past shows whether one does."""
    REQUESTS = auto()
    """An upload can be requested by its id, with curl, in the three status shapes."""
    WHOLE_LISTINGS = auto()
    """Each round reads all uploads."""
    OWN_STATES = auto()
    """A state that is no stage is one of the origin's own, not an anomaly."""
    PAGES = auto()
    """An upload may have the address of its page."""


class Origin(StrEnum):
    """Where an upload is listed."""

    SERVICE = "service"
    """A service with the API of the design."""
    SOURCE = "source"
    """A command that prints uploads."""

    @classmethod
    def of(cls, service: str) -> "Origin":
        """The origin of the uploads of a service, by its URL or identity."""
        return cls.SOURCE if service.startswith(SOURCE_PREFIX) else cls.SERVICE

    def has(self, ability: Ability) -> bool:
        """Whether something holds for all its uploads."""
        return ability in _ABILITIES[self]


_ABILITIES: Mapping[Origin, frozenset[Ability]] = MappingProxyType(
    {
        Origin.SERVICE: frozenset(
            {
                Ability.STAGE_HISTORY,
                Ability.FINAL_ENDINGS,
                Ability.FINAL_CHUNKS,
                Ability.CHUNK_LISTS,
                Ability.VERIFICATION,
                Ability.REQUESTS,
            }
        ),
        Origin.SOURCE: frozenset({Ability.WHOLE_LISTINGS, Ability.OWN_STATES, Ability.PAGES}),
    }
)
