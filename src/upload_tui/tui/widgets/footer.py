"""The bottom line: the keys that work now, the most important first, or the line in which the user types a search."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.style import Style
from textual.suggester import Suggester
from textual.widgets import Input, Label

from upload_tui.errors import QueryError
from upload_tui.text import sanitize
from upload_tui.tui.bindings import FOOTER_FIRST, FOOTER_LAST
from upload_tui.tui.preferences import MAX_SEARCHES
from upload_tui.tui.widgets.cached_lines import DiffedText

if TYPE_CHECKING:
    from upload_tui.monitor import Completion, ValueCounts

__all__ = ["KeyFooter", "SearchBar", "SearchTarget"]

_GAP = "  "


class KeyFooter(DiffedText):
    """One line of keys; a click on one presses it. A key that does not fit completely is left out."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.auto_links = False

    def on_mount(self) -> None:
        """Update the keys when the bindings change."""
        self.screen.bindings_updated_signal.subscribe(self, self._refresh_keys)

    def _refresh_keys(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.refresh_changed()

    def text(self) -> Content:
        """As many keys as fit, then those that are always shown."""
        bindings = _sorted_bindings(self.screen.active_bindings.values())
        right = [self._item(binding) for binding in bindings if binding.id in FOOTER_LAST]
        room = self.size.width - 2 - sum(item.cell_length + len(_GAP) for item in right)
        left: list[Content] = []
        for item in (self._item(binding) for binding in bindings if binding.id not in FOOTER_LAST):
            if item.cell_length > room:
                break
            left.append(item)
            room -= item.cell_length + len(_GAP)
        gap = Content(" " * max(0, room + len(_GAP) * (2 if left else 1)))
        return Content.assemble(" ", Content(_GAP).join(left), gap, Content(_GAP).join(right))

    def _item(self, binding: Binding) -> Content:
        key = self.app.get_key_display(binding)
        press = Style.from_meta({"@click": f"app.simulate_key({binding.key!r})"})
        return Content.assemble((key, "$primary bold"), " ", binding.description).stylize(press)


def _sorted_bindings(active: Iterable[ActiveBinding]) -> Sequence[Binding]:
    """The bindings to show, one for each action, in the footer's order."""
    by_action: dict[str, Binding] = {}
    for each in active:
        if each.enabled and (each.binding.show or each.binding.id in FOOTER_LAST):
            by_action.setdefault(each.binding.action, each.binding)
    return sorted(by_action.values(), key=lambda binding: _position(binding.id))


def _position(binding_id: str | None) -> int:
    order = (*FOOTER_FIRST, None, *FOOTER_LAST)
    return order.index(binding_id if binding_id in order else None)


class SearchTarget(StrEnum):
    """What is searched; the value is the hint in the empty line."""

    UPLOADS = "words, -word, is:stuck, size>1GB, by:NAME"
    CHANGES = "words, -word, stage:error, project:NAME, since:5m"


_SEARCH_KEYS = "Enter apply, Esc cancel"


class _QuerySuggester(Suggester):
    """Suggests how a query may go on, behind the cursor. `searches` has the last query first."""

    def __init__(self, searches: tuple[str, ...]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.searches = searches
        self.values_of: Callable[[str], ValueCounts] | None = None

    async def get_suggestion(self, value: str) -> str | None:
        """The text with its continuation."""
        return self.complete(value).text or None

    def complete(self, value: str) -> "Completion":
        """How a text may go on."""
        from upload_tui.monitor import complete_query

        return (
            complete_query(value, self.searches, self.values_of)
            if self.values_of
            else complete_query(value, self.searches)
        )


def _without_counts(values_of: "Callable[[str], ValueCounts]") -> "Callable[[str], ValueCounts]":
    """The values alone: the numbers of uploads that have them are not those of changes."""
    return lambda field: [(value, None) for value, _ in values_of(field)]


def _mistake(text: str) -> QueryError | None:
    """What is wrong with a query; None if it can be applied."""
    from upload_tui.monitor import parse_query

    try:
        parse_query(text)
    except QueryError as error:
        return error
    return None


class SearchBar(Horizontal):
    """Hidden until `open`, then shown in place of the footer. Enter applies the search, Escape cancels it.

    Tab and the right arrow accept the suggestion behind the cursor. If the search is incomplete, Enter accepts it as well; without
    one it says what is wrong.

    Its messages name what is searched, which it keeps while it is open.

    Args:
        searches: earlier queries, the last one first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "apply", "Apply", show=False, id="search.down", tooltip="Apply the search"),
        Binding("tab", "complete", "Complete", show=False, id="search.complete", tooltip="Accept the suggestion"),
        Binding("escape", "clear", "Cancel", show=False, id="search.clear", tooltip="Cancel the search"),
    ]

    class Changed(Message):
        """The text changed; an empty one matches everything."""

        def __init__(self, target: SearchTarget, value: str) -> None:
            super().__init__()
            self.target = target
            self.value = value

    class Closed(Message):
        """The search was applied or cancelled."""

        def __init__(self, target: SearchTarget) -> None:
            super().__init__()
            self.target = target

    target = SearchTarget.UPLOADS
    """What is searched."""

    def __init__(self, searches: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._suggester = _QuerySuggester(searches)
        self._text_before = ""
        self._refusal = ""
        """Why Enter did not apply the text."""

    @property
    def searches(self) -> tuple[str, ...]:
        """Earlier queries, which are suggested, the last one first; each one that is applied is added."""
        return self._suggester.searches

    @property
    def is_open(self) -> bool:
        """True while the line is visible."""
        return self.has_class("-open")

    def open(self, target: SearchTarget, value: str, values_of: "Callable[[str], ValueCounts]") -> None:
        """Show the line with a text to edit; `values_of` is called once for each field that is typed."""
        self.target = target
        self._suggester.values_of = cache(_without_counts(values_of) if target is SearchTarget.CHANGES else values_of)
        self._text_before = value
        self._set_open(True)
        if not self.children:  # the first frame does not need them
            field = Input(compact=True, suggester=self._suggester)
            field.cursor_blink = self.app.animation_level != "none"
            self.mount(Label("/"), field, Label(_SEARCH_KEYS, id="search-keys"))
            self.watch(field, "value", self._post_change, init=False)
        field = self.query_one(Input)
        field.placeholder = target
        field.can_focus = True
        field.value = value
        field.focus()

    def show_note(self, note: str, matches: str) -> None:
        """Show the number of matches, and help for a field or value that may go on, what is wrong with the query, or the keys.

        Args:
            note: what is wrong with the query; empty if nothing is.
            matches: their number; empty if not the whole text is in force.
        """
        value = self.query_one(Input).value
        completion = self._suggester.complete(value)
        help_text = self._refusal or (completion.help if completion.text else note or completion.help)
        texts = filter(None, [matches if value else "", help_text or _SEARCH_KEYS])
        label, content = self.query_one("#search-keys", Label), Content(sanitize("  ".join(texts)))
        label.update(content, layout=content.cell_length > label.content_size.width)  # one that is wider may stay

    def _post_change(self, value: str) -> None:
        """Post `Changed` for every key typed: at once and to the screen, which then paints the letter with what it finds."""
        self._refusal = ""
        self.screen.post_message(self.Changed(self.target, value))

    @on(Input.Submitted)
    def submit_search(self, event: Input.Submitted) -> None:
        """Apply the search on Enter."""
        event.stop()
        self.action_apply()

    def leave(self, applied_text: str) -> None:
        """Close because another pane has the focus, and keep the part of the text that is in force, unless it has a mistake."""
        if _mistake(applied_text.strip()) is None:
            self.query_one(Input).value = applied_text
            self.action_apply()
        else:
            self.action_clear()

    def action_complete(self) -> None:
        """Accept the suggestion behind the cursor; without one, apply the text."""
        field = self.query_one(Input)
        completed = self._suggester.complete(field.value).text
        if completed and completed != field.value:
            field.value = completed
            field.cursor_position = len(completed)
        else:
            self.action_apply()

    def action_clear(self) -> None:
        """Close, and return to the search that was in force before."""
        self.query_one(Input).value = self._text_before
        self._close()

    def action_apply(self) -> None:
        """Close, and keep the text, completed if it is incomplete; stay open and say what is wrong if it has a mistake."""
        field = self.query_one(Input)
        if (error := _mistake(field.value.strip())) is not None:
            completed = self._suggester.complete(field.value).text
            if not (error.is_unfinished and completed) or _mistake(completed) is not None:
                self.app.bell()
                self._refusal = f"{error.title}. {error.hint}".strip()
                self.show_note("", "")
                return
            field.value = completed
        if text := field.value.strip():
            self._suggester.searches = tuple(dict.fromkeys((text, *self.searches)))[:MAX_SEARCHES]
        self._close()

    def _set_open(self, is_open: bool) -> None:
        self.set_class(is_open, "-open")
        self.screen.query("ToastRack").set_class(is_open, "-above-search")

    def _close(self) -> None:
        self._set_open(False)
        self.query_one(Input).can_focus = False
        self.post_message(self.Closed(self.target))
