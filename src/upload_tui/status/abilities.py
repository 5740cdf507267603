"""What is reported of uploads, by where they are listed: the one table that warnings, percentages, latencies and alarms use.

The service of the design promises all of it. A source is a command that prints what is there now, and may leave anything
out: what it leaves out is unknown, never wrong and never zero.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

__all__ = ["ABILITIES", "SOURCE_PREFIX", "Ability", "Origin", "Support"]

SOURCE_PREFIX = "source:"
"""The identity of a source begins with it, where that of a service is its URL."""


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


class Ability(StrEnum):
    """A kind of information that may be reported about an upload; values are the words that `doctor` prints."""

    STAGE_HISTORY = "every stage reached"
    """All stages that an upload has reached are listed: one that is absent was left out by mistake."""
    FINAL_CHUNKS = "final list of chunks"
    """After completion the list of chunks is final: gaps and missing bytes contradict it."""
    PROMISED_SIZE = "promised size"
    """The size is what the client promised to send: percentages and remaining times make sense."""
    ENDINGS = "endings"
    """How an upload ended is reported."""
    VERIFICATION = "verification"
    """Verification is reported: its latencies and the worker's alarm make sense."""
    REQUESTS = "requests of the design's API"
    """An upload can be requested by its id, with curl, in the three status shapes."""


class Support(StrEnum):
    """Whether something is reported."""

    ALWAYS = "always"
    IF_REPORTED = "if reported"
    """It differs between uploads: each may have it or not."""
    NEVER = "never"


ABILITIES: Mapping[Origin, Mapping[Ability, Support]] = MappingProxyType(
    {
        Origin.SERVICE: MappingProxyType(dict.fromkeys(Ability, Support.ALWAYS)),
        Origin.SOURCE: MappingProxyType(
            {
                Ability.STAGE_HISTORY: Support.NEVER,
                Ability.FINAL_CHUNKS: Support.IF_REPORTED,
                Ability.PROMISED_SIZE: Support.IF_REPORTED,
                Ability.ENDINGS: Support.IF_REPORTED,
                Ability.VERIFICATION: Support.IF_REPORTED,
                Ability.REQUESTS: Support.NEVER,
            }
        ),
    }
)
"""What is reported of uploads of each origin."""
