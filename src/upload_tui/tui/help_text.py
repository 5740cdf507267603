"""The help text: active keys in groups, as lines in one or two columns."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from textual.content import Content
from textual.screen import Screen

from upload_tui.tui.bindings import keys_of, keys_text

__all__ = ["KeyGroup", "KeyHelp", "grouped", "help_lines", "key_helps"]

_OTHER_TITLE = "More"
_GROUPS: tuple[tuple[str, str], ...] = (
    ("Problems", "trouble next.failed next.stuck failures acknowledge"),
    (
        "Find, filter and sort",
        "search views view. stage. last. projects sort reverse follow activity.time clear table.next_match table.previous_match",
    ),
    ("Find, filter and sort", "tail.initiated tail.completed tail.verified tail.error tail.last. tail.clear"),
    ("Find, filter and sort", "tail.next_match tail.previous_match"),
    ("Inspect", "table.open tail.open raw shapes history latencies times density columns pause refresh"),
    ("Copy, export and run", "open.page command. table.mark copy.id copy.json copy.curl tail.copy copy. export"),
    ("Demo and replay", "story."),
    ("Panes", "pane. help quit quit. upload.back suspend"),
    ("Move", "table.down table.up table. tail.down tail.up tail. timeline.down timeline.up timeline."),
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
