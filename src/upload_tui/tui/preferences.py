"""What `cli` hands to the dashboard: the user's preferences, views and last state, and the controls of a demo or a replay."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field
from textual.theme import Theme

from upload_tui.monitor import Query, SortKey, Where
from upload_tui.status import Stage
from upload_tui.tui.alerts import AlertSettings
from upload_tui.tui.appearance.columns import ColumnSpec, ViewKind
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.upload_commands import ChangeHook, CommandResult, ProgramRun, UploadCommand

__all__ = [
    "DESCENDING_KEYS",
    "MAX_SEARCHES",
    "Preferences",
    "ScreenState",
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
