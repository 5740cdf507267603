"""What `cli` hands to the dashboard: the user's preferences, and the controls of a demo or a replay."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from msgspec import Struct, field
from textual.theme import Theme

from upload_tui.monitor import SortKey
from upload_tui.tui.appearance.columns import ColumnSpec, ViewKind
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.notices import AlertSettings

__all__ = ["DemoControls", "Fault", "PlaybackControls", "Preferences", "TableOrder"]


class TableOrder(Struct, frozen=True):
    """The order of the table."""

    sort: SortKey = SortKey.TROUBLE
    descending: bool = True

    @classmethod
    def parse(cls, text: str) -> "TableOrder":
        """The order written as text: `size`, or `-size` for ascending; the default for an unknown one."""
        name = text.strip()
        try:
            return cls(SortKey(name.removeprefix("-")), not name.startswith("-"))
        except ValueError:
            return cls()

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return self.sort if self.descending else f"-{self.sort}"


class Preferences(Struct, frozen=True):
    """The user's preferences; each has a default.

    Attributes:
        display_options: how uploads are shown; None chooses the character set by the terminal's encoding.
        theme: the name of a theme; empty chooses one that suits the terminal.
        saved_theme: the theme that the user chose last, for terminals with many colours if `theme` is empty; empty if none.
        themes: the user's own themes, in addition to the built-in ones.
        stylesheets: the user's own stylesheets; they override the built-in ones.
        keymap: keys by binding id, several separated by commas.
        export_folder: where exports are saved; None means the platform's downloads folder.
        alerts: how to alert when uploads fail.
        save_columns: saves the columns that the user chose for a kind of view; None does not save them.
        save_theme: saves the theme that the user chose for the next time; None does not save it.
        order: the order of the table.
        save_order: saves the order that the user chose for the next time; None does not save it.
        is_animated: enable animations.
    """

    display_options: DisplayOptions | None = None
    theme: str = ""
    saved_theme: str = ""
    themes: Sequence[Theme] = ()
    stylesheets: Sequence[Path] = ()
    keymap: Mapping[str, str] = field(default_factory=dict)
    export_folder: Path | None = None
    alerts: AlertSettings = field(default_factory=AlertSettings)
    save_columns: Callable[[ViewKind, Sequence[ColumnSpec]], None] | None = None
    save_theme: Callable[[str], None] | None = None
    order: TableOrder = TableOrder()
    save_order: Callable[[TableOrder], None] | None = None
    is_animated: bool = True


class Fault(Struct, frozen=True):
    """A fault that can be injected."""

    name: str
    description: str


class PlaybackControls(Protocol):
    """What the dashboard's keys do to a replay or a demo."""

    @property
    def speed(self) -> float:
        """Seconds of the scenario or the recording in a real second; 0 while paused."""
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


@runtime_checkable
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
