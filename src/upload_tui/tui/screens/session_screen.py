"""The base classes of screens that show a session: they stay current, copy and export."""

import asyncio
import io
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from math import isfinite

from msgspec.structs import replace
from textual.binding import ActiveBinding
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

from upload_tui.monitor import (
    Acknowledgement,
    Change,
    Connection,
    Detail,
    Funnel,
    Picture,
    PictureChanged,
    ProjectRef,
    Query,
    Session,
    UploadGone,
    UploadKey,
)
from upload_tui.status import Ability
from upload_tui.text import escape_invisible, name_or_id, plural, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bindings import SERVICE_ACTIONS, key_of
from upload_tui.tui.bridge import ExportReady
from upload_tui.tui.controls import PlaybackControls, demo_controls
from upload_tui.tui.fitting import truncate_middle
from upload_tui.tui.widgets.status_bar import StatusBar
from upload_tui.wire import curl_command

__all__ = ["AcknowledgeScreen", "CopyScreen", "ExportScreen", "LiveScreen", "SessionScreen", "has_data"]


def _active_faults(controls: PlaybackControls | None) -> Mapping[str, int | None]:
    """The active faults with the seconds until they end; None means until they are ended."""
    demo = demo_controls(controls)
    faults = demo.active_faults if demo is not None else {}
    return {name: round(left) if isfinite(left) else None for name, left in faults.items()}


def has_data(connection: Connection, funnel: Funnel) -> bool:
    """Whether numbers of 0 mean that there is nothing; False if it may be that nothing could be read.

    Args:
        connection: that of the projects that the numbers are of.
        funnel: of the same projects.
    """
    return funnel.total > 0 or (connection.read_on is not None and not connection.has_unread)


def _is_of_source(detail: Detail | None) -> bool:
    return detail is not None and not detail.upload.origin.has(Ability.REQUESTS)


class LiveScreen:
    """A screen or dialog that stays current."""

    @abstractmethod
    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show the picture as it is now. `changes` are those of uploads since the last call."""


class CopyScreen(LiveScreen, Screen[None]):
    """A screen that shows uploads and copies the selected ones."""

    @abstractmethod
    def selection(self) -> Sequence[Detail]:
        """The uploads that the copy keys apply to."""

    def show_one_pane(self, panes: Iterable[Widget], focused: Widget) -> None:
        """Give the other panes the class `-aside`, which hides them on a small screen.

        Nothing changes if no pane has or contains the focus, for example during a search.
        """
        active, panes = {*focused.ancestors_with_self}, [*panes]
        if not active.isdisjoint(panes):
            for pane in panes:
                pane.set_class(pane not in active, "-aside")

    def action_copy_id(self) -> None:
        """Copy the id of the selection."""
        self._copy("id", [sanitize(detail.upload.id) for detail in self.selection()])

    def action_copy_json(self) -> None:
        """Copy the raw response of the selection."""
        self._copy("response", [escape_invisible(detail.raw) for detail in self.selection()])

    def action_copy_curl(self) -> None:
        """Copy the request as a curl command."""
        selected = self.selection()
        if any(map(_is_of_source, selected)):
            self.notify("Uploads of a source have no request to copy.", severity="warning", timeout=4)
        else:
            self._copy("request", [curl_command(detail.row.service, detail.upload.id) for detail in selected])

    def _copy(self, noun: str, texts: Sequence[str]) -> None:
        if texts:
            self.app.copy_to_clipboard("\n".join(texts))
            self.notify(f"Copied {plural(len(texts), noun)}", timeout=2)


_MAX_CHANGES = 10_000


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

    _controls: PlaybackControls | None = None
    """The controls of a demo or a replay; None for a service."""

    def __init__(self, session: Session, display_options: DisplayOptions) -> None:
        super().__init__()
        self._session = session
        self._shows_source = False
        self.set_reactive(SessionScreen.display_options, display_options)

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The bindings to offer: none that the origin of the shown upload does not have. A key of those still works, and says so."""
        active = super().active_bindings
        if not self._shows_source:
            return active
        return {key: one for key, one in active.items() if one.binding.action not in SERVICE_ACTIONS}

    def follow_origin(self, detail: Detail | None) -> None:
        """Offer what the origin of the shown upload has."""
        if self._shows_source is not _is_of_source(detail):
            self._shows_source = not self._shows_source
            self.refresh_bindings()

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

    def read_status(self, now: datetime) -> None:
        """Read what the status bar shows."""
        self.speed = None if self._controls is None else self._controls.speed
        self.active_faults = _active_faults(self._controls)
        self.session_title = self._session.title
        self.projects = tuple(self._session.projects)
        self.connection = self._session.connection()
        self.now = now

    def read_detail(self, key: UploadKey | None) -> Detail | None:
        """An upload as it is now; since when it is gone was seen in this session if it is not stored. None if it is not known."""
        detail = None if key is None else self._session.picture.detail(*key)
        if detail is None or not detail.row.is_gone or detail.gone_on is not None:
            return detail
        changes = reversed(self._session.changes.history(_MAX_CHANGES))
        of_upload = (one for one in changes if isinstance(one, UploadGone) and one.upload.key == detail.row.key)
        return replace(detail, gone_on=next((one.at for one in of_upload), None))

    @abstractmethod
    def selected_key(self) -> UploadKey | None:
        """The upload that the keys apply to; None, and a notification, if there is none."""

    def show_upload(self, key: UploadKey, first_pane: str = "upload-timeline") -> None:
        """Open the screen of an upload."""
        from upload_tui.tui.screens.upload import UploadScreen

        self.app.push_screen(UploadScreen(self._session, key, self.display_options, first_pane, self._controls))

    def action_raw(self) -> None:
        """Show the raw response."""
        if key := self.selected_key():
            self.show_upload(key, first_pane="upload-raw")

    def action_shapes(self) -> None:
        """Show the status in three formats."""
        from upload_tui.tui.screens.shapes import ShapesScreen

        key = self.selected_key()
        if key and _is_of_source(self._session.picture.detail(*key)):
            self.notify("Uploads of a source have no status in these formats.", severity="warning", timeout=4)
        elif key:
            self.app.push_screen(ShapesScreen(self._session, key, self.display_options))

    def action_history(self) -> None:
        """Show everything that was seen of the upload."""
        from upload_tui.tui.screens.history import HistoryScreen

        if key := self.selected_key():
            self.app.push_screen(HistoryScreen(self._session, key, self.display_options))

    def action_refresh(self) -> None:
        """Refresh now."""
        self._session.refresh()

    def action_times(self) -> None:
        """Toggle relative and absolute times."""
        self.display_options = replace(self.display_options, absolute_times=not self.display_options.absolute_times)

    def action_density(self) -> None:
        """Toggle one and two lines for each upload."""
        self.display_options = replace(self.display_options, is_roomy=not self.display_options.is_roomy)


_NAME_CELLS = 40
_NOTIFICATION_SECONDS = 4.0


class AcknowledgeScreen(SessionScreen):
    """A screen that acknowledges what is wrong with its selection."""

    def action_acknowledge(self) -> None:
        """Acknowledge what is wrong with the selection, with a note; take it back if all that was wrong is acknowledged."""
        from upload_tui.tui.screens.prompts import acknowledge_prompt

        selected = self.selection()
        wrong = [detail for detail in selected if detail.row.trouble is not None]
        acknowledged = [detail for detail in selected if detail.row.is_acknowledged]
        if wrong:
            self.app.push_screen(acknowledge_prompt(_names_of(wrong)), partial(self._acknowledge_with_note, wrong))
        elif acknowledged:
            self._acknowledge(acknowledged, None)
            self.notify(f"{_names_of(acknowledged)} no longer acknowledged", timeout=_NOTIFICATION_SECONDS)
        elif selected:
            self.notify("Nothing is wrong with the selection.", timeout=2)

    def _acknowledge_with_note(self, wrong: Sequence[Detail], note: str | None) -> None:
        from upload_tui.tui.screens.prompts import parse_acknowledgement

        if note is not None:
            self._acknowledge(wrong, parse_acknowledgement(note, self._session.picture.clock.now()))
            which = "it" if len(wrong) == 1 else "them"
            taken_back = f"{key_of(self, 'acknowledge')} on {which} takes it back"
            self.notify(f"{_names_of(wrong)} acknowledged; {taken_back}", timeout=_NOTIFICATION_SECONDS)

    def _acknowledge(self, details: Sequence[Detail], acknowledgement: Acknowledgement | None) -> None:
        picture, keys = self._session.picture, [detail.row.key for detail in details]
        for service in {key.service for key in keys}:
            picture.acknowledge([key.id for key in keys if key.service == service], acknowledgement, service)
        self._session.changes.publish(PictureChanged(at=picture.clock.now()))


def _names_of(details: Sequence[Detail]) -> str:
    """The name of an upload, or how many there are."""
    if len(details) != 1:
        return plural(len(details), "upload")
    return truncate_middle(name_or_id(details[0].upload.name, details[0].upload.id), _NAME_CELLS)


class ExportScreen(CopyScreen):
    """A screen with a table of uploads and a log of changes, which it exports."""

    @abstractmethod
    def visible_query(self) -> tuple[Picture, Query]:
        """The picture and the query of the table."""

    @abstractmethod
    def marked(self) -> frozenset[UploadKey]:
        """The marked uploads, which are exported instead of all; empty if none is."""

    @abstractmethod
    def visible_changes(self) -> Sequence[Change]:
        """The changes that the log shows."""

    def action_export(self) -> None:
        """Choose what to export in a menu."""
        from upload_tui.tui.screens.menu import export_menu

        self.app.push_screen(export_menu(len(self.marked())), self._export)

    def _export(self, kind: str | None) -> None:
        if kind is not None:
            self.run_worker(self._compose_file(kind), exclusive=True, group="export")

    async def _compose_file(self, name: str) -> None:
        """Compose the text in parts, so that keys still work meanwhile, then post it."""
        from upload_tui.tui.exports import ExportKind, changes_text, file_name, upload_texts

        kind = ExportKind(name)
        picture, query = self.visible_query()
        file = io.StringIO()
        match kind:
            case ExportKind.SVG:
                file.write(self.app.export_screenshot())
            case ExportKind.JSONL:
                file.write(changes_text(self.visible_changes()))
            case _:
                for text in upload_texts(picture, query, kind, self.marked()):
                    file.write(text)
                    await asyncio.sleep(0)
        file.seek(0)
        self.post_message(ExportReady(file, file_name(kind, picture.clock.now())))
