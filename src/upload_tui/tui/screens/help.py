"""Dialogs of text: the help on the stages and the active keys, and the output of a command."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from upload_tui.status import Stage
from upload_tui.text import plural, sanitize
from upload_tui.tui.appearance.glyphs import UNICODE, Glyphs
from upload_tui.tui.bindings import key_of, keys_of, keys_text
from upload_tui.tui.fitting import hanging_lines
from upload_tui.tui.screens.dialog import Dialog

__all__ = ["HelpScreen", "KeyGroup", "KeyHelp", "OutputScreen", "grouped", "help_lines", "key_helps"]

_OTHER_TITLE = "More"
_GROUPS: tuple[tuple[str, str], ...] = (
    ("Problems", "trouble next.failed next.stuck failures acknowledge"),
    (
        "Find, filter and sort",
        "search views view. stage. last. projects sort reverse follow activity.time clear table.next_match table.previous_match",
    ),
    (
        "Find, filter and sort",
        "activity.initiated activity.completed activity.verified activity.error activity.last. activity.clear",
    ),
    ("Find, filter and sort", "activity.next_match activity.previous_match"),
    ("Inspect", "table.open activity.open raw shapes history latencies times density columns pause refresh"),
    ("Copy, export and run", "open.page command. table.mark copy.id copy.json copy.curl activity.copy copy. export"),
    ("Demo and replay", "demo. replay."),
    ("Panes", "pane. help quit quit. upload.back suspend"),
    ("Move", "table.down table.up table. activity.down activity.up activity. timeline.down timeline.up timeline."),
)
"""Titles with binding ids, or prefixes that end with a dot. A whole id has priority. A title may occur several times."""

_WIDE_CELLS = 88
_GAP_CELLS = 3


class KeyHelp(Struct, frozen=True):
    """One line of the help: a binding's id, the labels of its keys, its description."""

    id: str
    keys: str
    description: str


class KeyGroup(Struct, frozen=True):
    """Help lines under one title."""

    title: str
    keys: tuple[KeyHelp, ...]


def key_helps(screen: Screen[Any]) -> Sequence[KeyHelp]:
    """The help of every binding that is active on a screen."""
    return [
        KeyHelp(active.binding.id or "", keys_text(keys), active.tooltip or active.binding.tooltip)
        for active, keys in keys_of(screen)
    ]


def grouped(keys: Iterable[KeyHelp]) -> Sequence[KeyGroup]:
    """The groups that are not empty. Within a group, keys follow the order of `_GROUPS`; keys of one prefix keep their order."""
    titles = [*dict.fromkeys(title for title, _ in _GROUPS), _OTHER_TITLE]
    found: dict[str, list[tuple[int, KeyHelp]]] = {title: [] for title in titles}
    for key in keys:
        title, position = _position_of(key.id)
        found[title].append((position, key))
    in_order = {title: sorted(members, key=lambda member: member[0]) for title, members in found.items()}
    return [KeyGroup(title, tuple(key for _, key in members)) for title, members in in_order.items() if members]


def _position_of(key_id: str) -> tuple[str, int]:
    entries = [(title, name) for title, names in _GROUPS for name in names.split()]
    for position, (title, name) in enumerate(entries):
        if name == key_id:
            return title, position
    for position, (title, name) in enumerate(entries):
        if name.endswith(".") and key_id.startswith(name):
            return title, position
    return _OTHER_TITLE, 0


def help_lines(groups: Sequence[KeyGroup], width: int) -> Sequence[Content]:
    """The groups as lines of at most `width` cells, in two columns from 88 cells on."""
    if width < _WIDE_CELLS:
        return _joined(list(_blocks(groups, width)))
    cells = (width - _GAP_CELLS) // 2
    left, right = _split_columns(list(_blocks(groups, cells)))
    blank = [Content("")]
    left, right = left + blank * (len(right) - len(left)), right + blank * (len(left) - len(right))
    return [
        Content.assemble(one, " " * (cells - one.cell_length + _GAP_CELLS), other)
        for one, other in zip(left, right, strict=True)
    ]


def _split_columns(blocks: Sequence[Sequence[Content]]) -> tuple[list[Content], list[Content]]:
    """Split the blocks into two columns whose longer one is as short as possible."""
    splits = ((_joined(blocks[:split]), _joined(blocks[split:])) for split in range(len(blocks) + 1))
    return min(splits, key=lambda columns: max(map(len, columns)))


def _joined(blocks: Sequence[Sequence[Content]]) -> list[Content]:
    return [line for block in blocks for line in block]


def _blocks(groups: Sequence[KeyGroup], width: int) -> Iterator[list[Content]]:
    column = max((len(key.keys) for group in groups for key in group.keys), default=0) + 2
    for group in groups:
        yield [
            Content.styled(group.title, "bold underline"),
            *(line for key in group.keys for line in _lines(key, column, width)),
        ]


def _lines(key: KeyHelp, column: int, width: int) -> Iterator[Content]:
    """The keys, and beside them the description, wrapped."""
    for number, line in enumerate(Content(key.description).wrap(max(10, width - column))):
        keys = f"{'' if number else key.keys:<{column}}"
        yield Content.assemble((keys, "bold $primary"), line)


_STATE_MODEL = (
    ("initiated", "the client is sending chunks"),
    ("completed", "the client has sent all chunks; verification is pending"),
    ("verified", "every check passed: the file is safe"),
    ("error", "a check or the storage failed: upload the file again"),
)
_TIMES_NOTE = "Times: reported, ~estimated, or a range when only observed"


def _legend(glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    """Yield the signs and what they mean."""
    signs = (
        f"{glyphs.warning} stuck, overdue, or an anomaly; {glyphs.acknowledged} acknowledged; {glyphs.mark} marked; "
        "NOT WHOLE: verified, but the chunks do not match"
    )
    yield "signs", signs
    yield (
        f"{glyphs.own_state} other",
        "a state of the service's own, neither pending nor over; stage:unknown finds them",
    )
    yield "age", "how long in its stage; >8s: 8s when it was last read, perhaps longer by now"
    chunks = (
        (glyphs.chunk, "received"),
        (glyphs.outstanding, "outstanding"),
        (glyphs.gap, "missing"),
        (glyphs.repeated, "repeated"),
        (glyphs.unexpected_size, "unexpected size"),
        (glyphs.bad, "failed the check"),
    )
    yield "chunks", ", ".join(f"{sign} {word}" for sign, word in chunks)


class _HelpText(Widget):
    """The four stages and the keys, as one text."""

    def __init__(self, keys: Sequence[KeyHelp], glyphs: Glyphs) -> None:
        super().__init__(id="help-text")
        self._groups = grouped(keys)
        self._glyphs = glyphs

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> Sequence[Content]:
        return [*self._stage_lines(width), *help_lines(self._groups, width)]

    def _stage_lines(self, width: int) -> Iterator[Content]:
        for stage, meaning in _STATE_MODEL:
            sign = self._glyphs.stages[Stage(stage)]
            yield from hanging_lines(
                Content.styled(f"{sign} {stage:<10}", f"$stage-{stage} bold"), Content(meaning), width
            )
        for sign, meaning in _legend(self._glyphs):
            yield from hanging_lines(Content.styled(f"{sign:<12}", "$quiet"), Content(meaning), width)
        yield from Content.styled(_TIMES_NOTE, "$quiet").wrap(width)


class HelpScreen(Dialog[None]):
    """The help for these keys. The frame shows how many lines are below.

    Args:
        keys: the keys that were active when the help was opened.
        glyphs: the signs to explain.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", id="help.close", tooltip="Close this dialog"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up"),
        Binding("g,home", "scroll(-10_000)", "First", show=False, id="help.first", tooltip="Scroll to the top"),
        Binding("G,end", "scroll(10_000)", "Last", show=False, id="help.last", tooltip="Scroll to the end"),
    ]

    def __init__(self, keys: Sequence[KeyHelp], glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._keys = keys
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            yield _HelpText(self._keys, self._glyphs)

    def on_mount(self) -> None:
        """Keep the subtitle current while the help is scrolled."""
        self.watch(self.query_one("#help"), "scroll_y", self._update_subtitle)
        self.watch(self.query_one("#help"), "virtual_size", self._update_subtitle_later)

    def on_resize(self) -> None:
        """Update the subtitle after the layout."""
        self._update_subtitle_later()

    def _update_subtitle_later(self) -> None:
        self.call_after_refresh(self._update_subtitle)  # the layout has to be done first

    def _update_subtitle(self) -> None:
        box = self.query_one("#help", VerticalScroll)
        below = box.max_scroll_y - box.scroll_offset.y
        close = f"{key_of(self, 'help.close')} close"
        box.border_subtitle = f"{plural(below, 'more line')}, {close}" if below > 0 else close

    def action_scroll(self, lines: int) -> None:
        """Scroll by this many lines."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)


class OutputScreen(HelpScreen):
    """The output of a command.

    Args:
        title: what ran.
        text: what it printed; it is sanitized here.
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__(())
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with VerticalScroll(id="help") as box:
            box.border_title = Content(sanitize(self._title))
            yield Static(Content("\n".join(map(sanitize, self._text.splitlines()))), id="help-text")
