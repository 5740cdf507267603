"""How facts are to be written on this screen: signs, time zone, relative or absolute times, density."""

from datetime import datetime, tzinfo

from msgspec import Struct

from upload_tui.text import age_text, clock_text, short_clock_text
from upload_tui.tui.appearance.columns import ColumnSpec
from upload_tui.tui.appearance.glyphs import UNICODE, Glyphs

__all__ = ["DisplayOptions"]


class DisplayOptions(Struct, frozen=True):
    """What a person (or their terminal) chose; handed to every widget.

    `zone` None is the machine's own time zone. `is_roomy` gives each row of the table a second line. `columns` are those that a
    person wishes for; none leaves the choice to the table. `services` are the roots and the titles of several services in one view;
    none where there is one, which goes without saying.
    """

    glyphs: Glyphs = UNICODE
    zone: tzinfo | None = None
    absolute_times: bool = False
    is_roomy: bool = False
    columns: tuple[ColumnSpec, ...] = ()
    services: tuple[tuple[str, str], ...] = ()

    def service_title(self, root: str) -> str:
        """What the service with this URL is called."""
        return dict(self.services).get(root, root)

    def time_text(self, on: datetime | None, now: datetime, cells: int | None = None) -> str:
        """A time as this look has it: an age, or the wall clock's; `?` if it is not known. Of days in few `cells`, no hours."""
        if on is None:
            return "?"
        if not self.absolute_times:
            return age_text((now - on).total_seconds())
        text = clock_text(on, now, self.zone)
        return text if cells is None or len(text) <= cells else short_clock_text(on, now, self.zone)
