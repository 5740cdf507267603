"""How uploads are shown: character set, time zone, relative or absolute times, density, columns."""

from datetime import datetime, tzinfo

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.text import age_text, clock_text, short_clock_text
from upload_tui.tui.appearance.columns import ColumnSpec, ViewKind
from upload_tui.tui.appearance.glyphs import UNICODE, Glyphs

__all__ = ["DisplayOptions", "least_text"]

_UNKNOWN = "?"
"""An age that is not known, or that of a time in the future."""


class DisplayOptions(Struct, frozen=True):
    """What the user or the terminal chose. Every widget gets it.

    Attributes:
        zone: the time zone of absolute times; None means the system's.
        is_roomy: each row of the table has a second line.
        columns: the columns of the table in every kind of view; empty means the defaults.
        view_columns: those of one kind of view, which replace `columns` there.
        services: the root URL and the title of each service of a combined view; empty for a single service.
    """

    glyphs: Glyphs = UNICODE
    zone: tzinfo | None = None
    absolute_times: bool = False
    is_roomy: bool = False
    columns: tuple[ColumnSpec, ...] = ()
    services: tuple[tuple[str, str], ...] = ()
    view_columns: tuple[tuple[ViewKind, tuple[ColumnSpec, ...]], ...] = ()

    def columns_of(self, view: ViewKind) -> tuple[ColumnSpec, ...]:
        """The chosen columns of a kind of view; empty means the defaults."""
        return dict(self.view_columns).get(view, self.columns)

    def with_columns(self, view: ViewKind, columns: tuple[ColumnSpec, ...]) -> "DisplayOptions":
        """The same options with other columns for a kind of view."""
        return replace(self, view_columns=tuple({**dict(self.view_columns), view: columns}.items()))

    def service_title(self, root: str) -> str:
        """The title of the service with this root URL, or else the URL."""
        return dict(self.services).get(root, root)

    def time_text(self, on: datetime | None, now: datetime, cells: int | None = None, *, is_least: bool = False) -> str:
        """A time as an age, or absolute; `?` if it is None.

        Args:
            on: the time.
            now: the present.
            is_least: the age is the least one, and has the sign `>`; an absolute time is the latest one, with `<`.
            cells: an absolute time that is wider leaves out the hour of another day, an age its smaller unit; None means no limit.
        """
        if on is None:
            return "?"
        if not self.absolute_times:
            age = age_text((now - on).total_seconds())
            text = least_text(age) if is_least else age
            return text if cells is None or len(text) <= cells else text.split(maxsplit=1)[0]
        sign = "<" if is_least else ""
        text = sign + clock_text(on, now, self.zone)
        return text if cells is None or len(text) <= cells else sign + short_clock_text(on, now, self.zone)

    def ago_text(self, on: datetime | None, now: datetime, *, is_least: bool = False) -> str:
        """A time as `43m ago`, or absolute; `?` if it is None, or in the future and not absolute."""
        text = self.time_text(on, now, is_least=is_least)
        return text if self.absolute_times or text == _UNKNOWN else f"{text} ago"


def least_text(age: str) -> str:
    """An age as the least one: `>43m`; one that is not known has no least one."""
    return age if age == _UNKNOWN else f">{age}"
