"""What the demo's keys can do to the story that is being told; the composer of the demo implements it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

__all__ = ["Fault", "DemoControls"]


class Fault(Struct, frozen=True):
    """Something that can be broken: its name, and in a few words what it does."""

    name: str
    description: str


class DemoControls(Protocol):
    """The demo, as far as a person can meddle with it."""

    @property
    def speed(self) -> float:
        """Seconds of the story in a second of ours; 0 while it is held."""
        ...

    @property
    def faults(self) -> Sequence[Fault]:
        """What can be broken."""
        ...

    @property
    def active_faults(self) -> Mapping[str, float]:
        """The faults in force by name, with the seconds of the story that they last still; infinity until somebody ends them."""
        ...

    def start_upload(self) -> None:
        """Begin one more upload."""
        ...

    def start_fault(self, fault_name: str) -> None:
        """Let a fault happen."""
        ...

    def slower(self) -> None:
        """Halve the pace; the slowest step holds the story."""
        ...

    def faster(self) -> None:
        """Double the pace."""
        ...

    def step(self) -> None:
        """Let one second of the story pass, also while it is held."""
        ...
