"""What `cli` hands to the dashboard: the user's preferences, views and last state, and the controls of a demo or a replay."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, cast

from msgspec import Struct, field
from textual.theme import Theme

from upload_tui.monitor import Picture, Query, SortKey, Where
from upload_tui.status import Stage
from upload_tui.tui.alerts import AlertSettings
from upload_tui.tui.appearance.columns import ColumnSpec, ViewKind
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.upload_commands import ChangeHook, CommandResult, ProgramRun, UploadCommand

__all__ = [
    "DESCENDING_KEYS",
    "MAX_SEARCHES",
    "DemoControls",
    "Fault",
    "PlaybackControls",
    "Preferences",
    "ScreenState",
    "SeekControls",
    "demo_controls",
    "seek_controls",
    "TableOrder",
    "View",
]

DESCENDING_KEYS = frozenset(
    {SortKey.TROUBLE, SortKey.INITIATED, SortKey.SINCE, SortKey.SIZE, SortKey.TOOK, SortKey.CHUNKS}
)
"""Sorted from the newest, largest or longest; the others from A or from the least."""
MAX_SEARCHES = 50
"""Earlier queries that are suggested and saved."""


class TableOrder(Struct, frozen=True):
    """The order of the table."""

    sort: SortKey = SortKey.TROUBLE
    descending: bool = True

    @classmethod
    def parse(cls, text: str) -> "TableOrder":
        """The order written as text: a key for its usual direction (largest size, first name), `-` before it for the other one.

        Raises:
            ValueError: there is no such key.
        """
        name = text.strip()
        sort = SortKey(name.removeprefix("-"))
        return cls(sort, (sort in DESCENDING_KEYS) is not name.startswith("-"))

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return self.sort if self.descending is (self.sort in DESCENDING_KEYS) else f"-{self.sort}"


class View(Struct, frozen=True):
    """A query, an order and columns under a name.

    Attributes:
        query: as the user writes it.
        order: None keeps the order that the table has.
        columns: empty for the usual ones.
        key: that shows the view; empty if there is none.
        is_saved: saved from the screen, so that it can be removed there; False for a view of the settings.
    """

    name: str
    query: str = ""
    order: TableOrder | None = None
    columns: tuple[ColumnSpec, ...] = ()
    key: str = ""
    is_saved: bool = False


class ScreenState(Struct, frozen=True):
    """How the dashboard was left.

    Attributes:
        query: the search, as the user wrote it.
        stages, trouble_only, late_only, recent_seconds: the filters.
        view: the name of the view; empty if there was none.
        is_roomy: each row of the table has a second line.
        searches: earlier queries, the last one first.
    """

    order: TableOrder = TableOrder()
    query: str = ""
    stages: frozenset[Stage] = frozenset()
    trouble_only: bool = False
    late_only: bool = False
    recent_seconds: int | None = None
    view: str = ""
    is_roomy: bool = False
    searches: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: Query, view: str, *, is_roomy: bool, searches: Sequence[str] = ()) -> "ScreenState":
        """The state of a table with this query."""
        order = TableOrder(query.sort, query.descending)
        return cls(
            order,
            query.where.text,
            query.stages,
            query.trouble_only,
            query.late_only,
            query.recent_seconds,
            view,
            is_roomy,
            tuple(searches),
        )

    @property
    def rows_query(self) -> Query:
        """The query of the table."""
        return Query(
            stages=self.stages,
            where=_parsed(self.query),
            trouble_only=self.trouble_only,
            late_only=self.late_only,
            recent_seconds=self.recent_seconds,
            sort=self.order.sort,
            descending=self.order.descending,
        )


def _parsed(query: str) -> Where:
    if not query:
        return Where()
    from upload_tui.monitor import parse_query_as_typed

    return parse_query_as_typed(query)


class Preferences(Struct, frozen=True):
    """The user's preferences; each has a default.

    Attributes:
        display_options: how uploads are shown; None chooses the character set by the terminal's encoding.
        theme: the name of a theme; empty chooses one that suits the terminal.
        saved_theme: the theme that the user chose last; used if `theme` is empty and the terminal has many colours. Empty if none.
        themes: the user's own themes, in addition to the built-in ones.
        stylesheets: the user's own stylesheets; they override the built-in ones.
        keymap: keys by binding id, several separated by commas.
        export_folder: where exports are saved; None means the platform's downloads folder.
        alerts: how to alert when uploads fail, become stuck or are not whole.
        service_alerts: the same of each service, if there are several.
        save_columns: saves the columns that the user chose for a kind of view; None does not save them.
        save_theme: saves the theme that the user chose for the next time; None does not save it.
        state: the state of the screen at the end of the last session, which is restored.
        views: the views of the settings, and those saved from the screen.
        commands: the user's commands on uploads.
        upload_url: the address of an upload's page, with fields; empty if there is none.
        upload_urls: the same of each service, if there are several.
        on_change: what runs for changes that match a query.
        run_program: runs the program of a command; its first argument is the command's name. None if no command can run.
        save_views: saves the views that were saved from the screen; None does not save them.
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
    service_alerts: Mapping[str, AlertSettings] = field(default_factory=dict)
    save_columns: Callable[[ViewKind, Sequence[ColumnSpec]], None] | None = None
    save_theme: Callable[[str], None] | None = None
    state: ScreenState = ScreenState()
    views: Sequence[View] = ()
    commands: Sequence[UploadCommand] = ()
    upload_url: str = ""
    upload_urls: Mapping[str, str] = field(default_factory=dict)
    on_change: Sequence[ChangeHook] = ()
    run_program: Callable[[str, ProgramRun], Coroutine[None, None, CommandResult]] | None = None
    save_views: Callable[[Sequence[View]], None] | None = None
    is_animated: bool = True

    def page_template(self, service: str) -> str:
        """The address of the pages of a service's uploads, with fields; empty if there is none."""
        return self.upload_urls.get(service, self.upload_url)


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
