"""What the dashboard's keys do to a replay or a demo."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, cast

from msgspec import Struct

from upload_tui.monitor import Picture

__all__ = ["DemoControls", "Fault", "PlaybackControls", "SeekControls", "demo_controls", "seek_controls"]


class Fault(Struct, frozen=True):
    """A fault that can be injected."""

    name: str
    description: str


class PlaybackControls(Protocol):
    """What the dashboard's keys do to a replay or a demo."""

    @property
    def speed(self) -> float:
        """Seconds of the scenario or the recording in a real second; 0 while stopped."""
        ...

    def slower(self) -> None:
        """Go to the next lower speed. The lowest of a demo is 0, which stops it."""
        ...

    def faster(self) -> None:
        """Go to the next higher speed."""
        ...

    def step(self) -> None:
        """Go one step forward, also while stopped: a second of a demo, the time of the next line of a recording."""
        ...


class SeekControls(PlaybackControls, Protocol):
    """What the dashboard's keys do to a replay, and not to a demo."""

    began_on: datetime
    ends_on: datetime
    picture: Picture
    """As of the time that is shown."""

    def seek(self, on: datetime) -> None:
        """Go to a time, forwards or back, within the recording."""
        ...

    def step_back(self) -> None:
        """Go back to the time of the last line before the present position."""
        ...


class DemoControls(PlaybackControls, Protocol):
    """What the dashboard's keys do to a demo, and not to a replay."""

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults that can be injected."""
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


def seek_controls(controls: PlaybackControls | None) -> SeekControls | None:
    """The controls as those of a replay; None for others. No property is read, as that of a demo imports the service."""
    return cast("SeekControls", controls) if hasattr(type(controls), "step_back") else None


def demo_controls(controls: PlaybackControls | None) -> DemoControls | None:
    """The controls as those of a demo; None for others."""
    return cast("DemoControls", controls) if hasattr(type(controls), "start_fault") else None
