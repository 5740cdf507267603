"""The controls of a demo or a replay, which `cli` implements."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

__all__ = ["Fault", "DemoControls"]


class Fault(Struct, frozen=True):
    """A fault that can be injected."""

    name: str
    description: str


class DemoControls(Protocol):
    """What the dashboard's keys do to a demo. A replay implements it without faults."""

    @property
    def speed(self) -> float:
        """Seconds of the scenario in a real second; 0 while paused."""
        ...

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults that can be injected; empty for a replay."""
        ...

    @property
    def active_faults(self) -> Mapping[str, float]:
        """The active faults by name, with the scenario's seconds until they end; infinity means until they are ended."""
        ...

    def start_upload(self) -> None:
        """Start a new upload."""
        ...

    def start_fault(self, fault_name: str) -> None:
        """Inject a fault."""
        ...

    def slower(self) -> None:
        """Go to the next lower speed; the lowest is 0, which pauses."""
        ...

    def faster(self) -> None:
        """Go to the next higher speed."""
        ...

    def step(self) -> None:
        """Go one step forward, also while paused: a second of a demo, a line of a recording."""
        ...
