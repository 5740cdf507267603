"""The base class of the screens that show a session below a status bar."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace
from textual.reactive import reactive

from upload_tui.monitor import Change, Connection, ProjectRef, Session
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.screens.upload_actions import CopyScreen
from upload_tui.tui.widgets.status_bar import StatusBar

__all__ = ["SessionScreen"]


class SessionScreen(CopyScreen):
    """A screen that reads a session into reactives, which its widgets are bound to.

    Args:
        session: the session to show.
        display_options: how to show it.
    """

    # A reactive of a screen would repaint all of it. The widgets that are bound to it repaint themselves.
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, init=False, repaint=False)
    now: reactive[datetime | None] = reactive(None, init=False, repaint=False)
    connection: reactive[Connection | None] = reactive(None, init=False, repaint=False)
    session_title: reactive[str] = reactive("", init=False, repaint=False)
    projects: reactive[tuple[ProjectRef, ...]] = reactive((), init=False, repaint=False)
    speed: reactive[float | None] = reactive(None, init=False, repaint=False)
    active_faults: reactive[Mapping[str, int | None]] = reactive(dict, init=False, repaint=False)

    def __init__(self, session: Session, display_options: DisplayOptions) -> None:
        super().__init__()
        self._session = session
        self.set_reactive(SessionScreen.display_options, display_options)

    @abstractmethod
    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show the picture as it is now. `changes` are those of uploads since the last call."""

    def status_bar(self) -> StatusBar:
        """A status bar that is bound to this screen; for `compose`."""
        cls = SessionScreen
        return StatusBar().data_bind(
            cls.projects,
            cls.connection,
            cls.now,
            cls.display_options,
            cls.speed,
            cls.active_faults,
            title=cls.session_title,
        )

    def read_status(self) -> None:
        """Read what the status bar shows."""
        self.session_title = self._session.title
        self.projects = tuple(self._session.projects)
        self.connection = self._session.connection()
        self.now = self._session.now()

    def action_times(self) -> None:
        """Toggle relative and absolute times."""
        self.display_options = replace(self.display_options, absolute_times=not self.display_options.absolute_times)

    def action_density(self) -> None:
        """Toggle one and two lines for each upload."""
        self.display_options = replace(self.display_options, is_roomy=not self.display_options.is_roomy)
