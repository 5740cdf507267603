"""Views: queries with an order and columns, shown by a key or from a menu, and saved from the screen."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace
from textual import on
from textual.binding import Binding
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor import Query, Session
from upload_tui.status import Stage
from upload_tui.text import sanitize
from upload_tui.tui.appearance.columns import ColumnSpec
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bindings import free_key
from upload_tui.tui.bridge import ColumnsChosen, ViewsChanged
from upload_tui.tui.preferences import Preferences, ScreenState, TableOrder, View
from upload_tui.tui.screens.query_screen import QueryScreen
from upload_tui.tui.widgets.footer import SearchBar
from upload_tui.tui.widgets.table.upload_table import UploadTable

__all__ = ["ViewScreen", "query_text"]

_YES = "yes"
_QUOTED = re.compile(r'(["\\])')


class ViewScreen(QueryScreen):
    """A screen with views, which comes back as it was left.

    Args:
        session: the session to show.
        display_options: how to show it.
        preferences: the views, and how the screen was left.
    """

    view: reactive[str] = reactive("", init=False, repaint=False)
    """The name of the view that is shown; empty if its query was changed since."""

    def __init__(self, session: Session, display_options: DisplayOptions, preferences: Preferences) -> None:
        state = preferences.state
        super().__init__(session, replace(display_options, is_roomy=display_options.is_roomy or state.is_roomy))
        self._views = tuple(preferences.views)
        self._keymap = preferences.keymap
        self._command_keys = {one.key: f"the command {one.name}" for one in preferences.commands if one.key}
        self._query_before_view = Query(**_order_fields(TableOrder()))
        self._search_bar = SearchBar(state.searches)
        self._usual_columns = (display_options.columns, display_options.view_columns)
        self.set_reactive(ViewScreen.rows_query, state.rows_query)
        shown = next((view for view in self._views if view.name == state.view and view.query == state.query), None)
        if shown is not None:
            self.set_reactive(ViewScreen.view, shown.name)
            self.set_reactive(ViewScreen.display_options, self._with_columns_of(shown))
        self._bind_views()

    def on_mount(self) -> None:
        """Leave a view when its query is changed."""
        self.watch(self, "rows_query", self._leave_changed_view, init=False)

    @property
    def state(self) -> ScreenState:
        """How the screen is now, with the order before it followed the newest upload."""
        query = self._query_before_follow
        return ScreenState.of(
            query, self.view, is_roomy=self.display_options.is_roomy, searches=self._search_bar.searches
        )

    @property
    def _has_view_columns(self) -> bool:
        """True while the columns are those of a view."""
        return any(view.columns for view in self._views if view.name == self.view)

    def _bind_views(self) -> None:
        """Bind the keys of the views, in place of those before."""
        bound = self._bindings.key_to_bindings
        for key, bindings in list(bound.items()):
            bound[key] = [one for one in bindings if not (one.id or "").startswith("view.")]
        for view in self._views:
            if view.key:
                help_text = f"Show the view {sanitize(view.name)}"
                action = f"show_view({view.name!r})"
                binding = Binding(view.key, action, view.name, False, id=f"view.{view.name}", tooltip=help_text)
                bound.setdefault(view.key, []).append(binding)

    def action_show_view(self, name: str) -> None:
        """Show a view."""
        from upload_tui.monitor import parse_query_as_typed

        view = next((view for view in self._views if view.name == name), None)
        if view is None:
            return
        if not self.view:
            self._query_before_view = self.rows_query
        order = view.order or TableOrder(self.rows_query.sort, self.rows_query.descending)
        where = parse_query_as_typed(view.query)
        query = Query(where=where, project_ids=self.rows_query.project_ids, marked=self._marked_for(where))
        self.rows_query = replace(query, sort=order.sort, descending=order.descending)
        self.view = name
        self.display_options = self._with_columns_of(view)

    def _with_columns_of(self, view: View) -> DisplayOptions:
        columns, view_columns = (view.columns, ()) if view.columns else self._usual_columns
        return replace(self.display_options, columns=columns, view_columns=view_columns)

    def action_clear(self) -> None:
        """Leave the view, and return to the query and order before it; without a view, clear the search and so on."""
        if self.view and not self.query_one(SearchBar).is_open:
            self._leave_view()
            self.rows_query = replace(self._query_before_view, project_ids=self.rows_query.project_ids)
        else:
            super().action_clear()

    @on(SearchBar.Closed)
    def leave_searched_view(self) -> None:
        """Leave a view whose search was changed."""
        self._leave_changed_view(self.rows_query)

    def _leave_changed_view(self, query: Query) -> None:
        """Leave the view when the query is no longer that of the view. A search may still be cancelled while it is typed."""
        if self.query_one(SearchBar).is_open:
            return
        if self.view and query.where.text not in (view.query for view in self._views if view.name == self.view):
            self._leave_view()

    def _leave_view(self) -> None:
        """Return to the usual columns."""
        self.display_options = self._with_columns_of(View(""))
        self.view = ""

    def action_columns(self) -> None:
        """Choose columns."""
        from upload_tui.tui.screens.columns import ColumnScreen

        table = self.query_one(UploadTable)
        self.app.push_screen(ColumnScreen(table.column_specs, table.left_out, table.default_specs), self._apply_columns)

    def _apply_columns(self, columns: tuple[ColumnSpec, ...] | None) -> None:
        view = self.query_one(UploadTable).view_kind
        if columns is not None and columns != self.display_options.columns_of(view):
            self.display_options = self.display_options.with_columns(view, columns)
            if not self._has_view_columns:
                self.post_message(ColumnsChosen(view, columns))

    def action_views(self) -> None:
        """Choose, save or remove a view in a menu."""
        from upload_tui.tui.screens.menu import ViewMenu

        self.app.push_screen(ViewMenu(self._views, self.view), self._do_with_views)

    def _do_with_views(self, choice: str | None) -> None:
        from upload_tui.tui.screens.menu import ViewChoice
        from upload_tui.tui.screens.prompts import PromptScreen

        what, _, name = (choice or "").partition(" ")
        if what == ViewChoice.ALL:
            if self.view:
                self._leave_view()
            self.rows_query = Query(project_ids=self.rows_query.project_ids, **_order_fields(TableOrder()))
        elif what == ViewChoice.SHOW:
            self.action_show_view(name)
        elif what == ViewChoice.REMOVE:
            self._ask(f"Remove the view {name}", partial(self._remove_view, name))
        elif what == ViewChoice.SAVE:
            note = "A key may follow after a comma: night, f5"
            prompt = PromptScreen("Save view", "save", "name, such as: night", note, self._mistake_of)
            self.app.push_screen(prompt, self._save_view)

    def _ask(self, question: str, act: Callable[[], None]) -> None:
        """Do something if the user says yes."""
        from upload_tui.tui.screens.menu import MenuScreen

        lines = [("", Content("Cancel")), (_YES, Content(sanitize(question)))]
        self.app.push_screen(MenuScreen("Views", "choose", lines), lambda choice: act() if choice == _YES else None)

    def _remove_view(self, name: str) -> None:
        self._change_views([view for view in self._views if view.name != name])

    def _mistake_of(self, text: str) -> str | None:
        """Why a view cannot be saved under a name and with a key; None if it can."""
        from upload_tui.tui.screens.menu import ALL_VIEWS_TITLE

        name, key = _name_and_key(text)
        if not name:
            return "Not saved: a view needs a name."
        if name.casefold() == ALL_VIEWS_TITLE.casefold():
            return f"Not saved: {ALL_VIEWS_TITLE} is the name of the line without a view."
        if any(view.name == name and not view.is_saved for view in self._views):
            return f"Not saved: {name} is a view of the settings. Use another name."
        try:
            self._key_for(name, key)
        except ValueError as error:
            return f"Not saved: {error}."
        return None

    def _key_for(self, name: str, key: str) -> str:
        taken = self._command_keys | {view.key: f"the view {view.name}" for view in self._views if view.name != name}
        return free_key(key, self._keymap, taken) if key else ""

    def _save_view(self, text: str | None) -> None:
        """Save what is on screen under a name, and the key that may follow it; ask before a view is replaced."""
        name, key = _name_and_key(text or "")
        if not name:
            return
        act = partial(self._replace_view, name, self._key_for(name, key))
        if any(view.name == name for view in self._views):
            self._ask(f"Replace the view {name}", act)
        else:
            act()

    def _replace_view(self, name: str, key: str) -> None:
        others = [view for view in self._views if view.name != name]
        table, query = self.query_one(UploadTable), self.rows_query
        columns = () if table.column_specs == table.default_specs else table.column_specs
        order = TableOrder(query.sort, query.descending)
        self._change_views([*others, View(name, query_text(query), order, columns, key, is_saved=True)])
        self.action_show_view(name)

    def _change_views(self, views: Sequence[View]) -> None:
        """Use other views, and save those that are not of the settings."""
        self._views = tuple(views)
        self._bind_views()
        self._leave_changed_view(self.rows_query)
        self.post_message(ViewsChanged([view for view in self._views if view.is_saved]))


def _name_and_key(text: str) -> tuple[str, str]:
    name, _, key = text.partition(",")
    return name.strip(), key.strip()


def _order_fields(order: TableOrder) -> Mapping[str, Any]:
    return {"sort": order.sort, "descending": order.descending}


def query_text(query: Query) -> str:
    """The search and the filters of a query as the text of one query."""
    filters = list(_filter_texts(query))
    text = f"({query.where.text})" if filters and re.search(r"\bOR\b", query.where.text) else query.where.text
    return " ".join(filter(None, (text, *filters)))


def _filter_texts(query: Query) -> Iterator[str]:
    if query.stages:
        yield f"stage:{','.join(stage for stage in Stage if stage in query.stages)}"
    if query.trouble_only:
        yield "is:trouble"
    if query.late_only:
        yield "is:overdue"
    if query.recent_seconds is not None:
        yield f"age<={query.recent_seconds}s"
    if query.is_by_failure:
        yield "is:failed"
    for name, value in (("error", query.cause), ("storage", query.storage_provider), ("by", query.uploader)):
        if value is not None:
            quoted = _QUOTED.sub(r"\\\1", value)
            yield f'{name}="{quoted}"'
