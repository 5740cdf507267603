"""Fit texts into terminal cells: truncate, pad, and choose the wording of a cause that fits."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct
from rich.cells import cell_len, get_character_cell_size
from textual.content import Content
from textual.css.styles import RulesMap
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual

from upload_tui.lazy import lazy_pattern
from upload_tui.text import cause_words, detailed_short_cause, sanitize, short_cause

__all__ = [
    "FRAME_CELLS",
    "MAX_CAUSES",
    "cause_text",
    "causes_text",
    "detailed_cause_text",
    "HangingLines",
    "TitlePart",
    "distinct_name",
    "first_that_fits",
    "fit_to_width",
    "hanging_lines",
    "join_parts",
    "json_line",
    "truncate_at_word",
    "truncate_middle",
    "widest",
]

MAX_CAUSES = 3
"""A line that counts failures by cause has at most this many causes."""
_MAX_CHARACTERS = 2000
_ELLIPSIS = "…"
"""The service may have truncated a text already: its ellipsis is not repeated."""
_PART_ENDS = lazy_pattern("[:,;] ")


def truncate_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Sanitize a text and, if it is wider than `width` cells, shorten it in the middle, so that its ending stays."""
    if len(text) > _MAX_CHARACTERS:  # `sanitize` would cut off the ending
        text = text[: _MAX_CHARACTERS // 2] + text[-_MAX_CHARACTERS // 2 :]
    text = sanitize(text)
    if cell_len(text) <= width:
        return text
    if width <= len(ellipsis):
        return ellipsis[: max(width, 0)]
    room = width - len(ellipsis)
    tail = _last_cells(text, min(room // 2, max(room // 3, 10)))
    head = _first_cells(text, room - cell_len(tail))
    return head.rstrip(_ELLIPSIS) + ellipsis + tail.lstrip(_ELLIPSIS)


def first_that_fits(texts: Sequence[str], width: int, otherwise: str | None = None) -> str:
    """The first text of at most `width` cells; if there is none, `otherwise`, or the last text if that is None."""
    return next((text for text in texts if cell_len(text) <= width), texts[-1] if otherwise is None else otherwise)


def truncate_at_word(text: str, width: int, ellipsis: str = "…") -> str:
    """Shorten a sanitized text to `width` cells at the end of a word."""
    if cell_len(text) <= width:
        return text
    head = _first_cells(text, max(width - len(ellipsis), 0))
    has_whole_words = text[len(head) : len(head) + 1] == " "
    words = (head if has_whole_words else head.rpartition(" ")[0]).rstrip(" ,:;")
    # If very little is left of it, part of the next word is better than none.
    return (words if len(words) * 3 >= len(head) else head).rstrip(_ELLIPSIS) + ellipsis[:width]


def fit_to_width(text: str, width: int, *, align_right: bool = False) -> str:
    """Pad or cut a sanitized text to exactly `width` cells; one that is cut ends with an ellipsis."""
    cells = cell_len(text)
    if cells > width:
        text = _first_cells(text, width - len(_ELLIPSIS)).rstrip(_ELLIPSIS) + _ELLIPSIS[: max(width, 0)]
        cells = cell_len(text)
    padding = " " * (width - cells)
    return padding + text if align_right else text + padding


FRAME_CELLS = 6
"""The cells of a frame's line that its title cannot use: two corners, two pieces of the line and two spaces."""


class TitlePart(Struct, frozen=True):
    """A part of a title.

    Attributes:
        texts: its text, and shorter ones for a narrow title; the last is empty if it may be left out.
        rank: the part with the highest rank is shortened first.
    """

    texts: tuple[str, ...]
    rank: int = 0


def join_parts(parts: Sequence[TitlePart], separator: str, width: int) -> str:
    """The texts of the parts in `width` cells. Texts become shorter or are left out, the least important first, never cut."""
    chosen = [0] * len(parts)

    def joined() -> str:
        return separator.join(filter(None, (part.texts[index] for part, index in zip(parts, chosen, strict=True))))

    for number in sorted(range(len(parts)), key=lambda number: (parts[number].rank, number), reverse=True):
        while cell_len(joined()) > width and chosen[number] + 1 < len(parts[number].texts):
            chosen[number] += 1
    return joined()


def widest(texts: Iterable[str]) -> int:
    """The width of the widest text in cells; 0 if there is none."""
    return max((cell_len(sanitize(text)) for text in texts), default=0)


def cause_text(message: str, width: int, ellipsis: str) -> str:
    """An error message in at most `width` cells; a long message of the service gives way to a short cause."""
    text = sanitize(message) or "no reason given"
    if cell_len(text) > width:
        text = short_cause(message) or text
    return truncate_at_word(text, width, ellipsis)


def causes_text(failures: Mapping[str, int], shown: int, cause_cells: int) -> str:
    """The most frequent causes, each in at most `cause_cells` and, if there are several, with its count: `4 wrong size, 6 more`."""
    counts: Counter[str] = Counter()
    for cause, count in failures.items():
        words = short_cause(cause) or sanitize(cause_words(cause)) or "no reason given"
        counts[truncate_at_word(words, cause_cells)] += count
    causes = counts.most_common()
    if len(causes) == 1:
        return causes[0][0]
    others = sum(count for _, count in causes[shown:])
    texts = [f"{count:,} {cause}" for cause, count in causes[:shown]]
    return ", ".join([*texts, *([f"{others:,} more"] if others else [])])


def detailed_cause_text(message: str, width: int, ellipsis: str) -> str:
    """A short cause with as many whole details as fit: `bad chunk hash: chunk 3`; other messages as they are.

    An ellipsis is for the rest of a detail, as in `wrong size: reported 35703…`, and for other details.
    """
    text = detailed_short_cause(message) or short_cause(message)
    if not text:
        return cause_text(message, width, ellipsis)
    if cell_len(text) <= width:
        return text
    short = short_cause(message)
    parts = (
        text[: end.start()].rstrip(_ELLIPSIS) + ("" if end[0] == ": " else ellipsis)
        for end in _PART_ENDS.finditer(text, len(short) + 1)
    )
    return max(
        (part for part in parts if cell_len(part) <= width), key=len, default=truncate_at_word(short, width, ellipsis)
    )


def distinct_name(name: str, names: tuple[str, ...], cells: int, ellipsis: str) -> str:
    """Shorten a name to `cells` cells so that it differs from the other `names`, which are shortened in the same way.

    The end is left out; if names would be the same then, the middle or the start; if they still are, they are numbered.
    """
    if name not in names:
        return truncate_middle(name, cells, ellipsis)
    return _distinct_names(names, cells, ellipsis)[name]


@lru_cache(maxsize=16)
def _distinct_names(names: tuple[str, ...], cells: int, ellipsis: str) -> Mapping[str, str]:
    different = [*dict.fromkeys(names)]
    room = max(0, cells - len(ellipsis))
    ways: Sequence[Callable[[str], str]] = (
        lambda name: _first_cells(name, room).rstrip() + ellipsis,
        lambda name: truncate_middle(name, cells, ellipsis),
        lambda name: ellipsis + _last_cells(name, room),
    )
    clean = {name: sanitize(name) for name in different}
    for shorten in ways:
        short = {
            name: text if cell_len(text) <= cells else _first_cells(shorten(text), cells)
            for name, text in clean.items()
        }
        if len({*short.values()}) == len(different):
            return short
    numbered = {}
    for number, name in enumerate(different, 1):
        end = _first_cells(f"{ellipsis}{number}", cells)
        numbered[name] = _first_cells(clean[name], max(0, cells - len(end))) + end
    return numbered


_JSON_TEXT = r'"(?:[^"\\]|\\.)*"'
_JSON_PARTS = lazy_pattern(rf"(?P<name>{_JSON_TEXT})(?=\s*:)|(?P<text>{_JSON_TEXT}|\".*)|(?P<value>[-+.\w]+)")
_JSON_STYLES = {"name": "$primary", "text": "$foreground", "value": "$accent"}


def json_line(line: str) -> Content:
    """A line of indented JSON in colours: names, texts and other values; what stands between them is quiet."""
    content = Content.styled(line, "$quiet")
    for part in _JSON_PARTS.finditer(line):
        content = content.stylize(_JSON_STYLES[part.lastgroup or "text"], *part.span())
    return content


_MIN_TEXT_CELLS = 10


def hanging_lines(head: Content, text: Content, width: int) -> Iterator[Content]:
    """Yield a text wrapped beside its head; further lines begin below the text, or at the left edge if it is too narrow for that."""
    cells = head.cell_length
    if width - cells < _MIN_TEXT_CELLS:
        yield from Content.assemble(head, text).wrap(max(1, width))
        return
    for number, line in enumerate(text.wrap(width - cells) or [text]):
        yield Content.assemble(" " * cells if number else head, line)


class HangingLines(Visual):
    """Lines that keep their indent where they are wrapped.

    Args:
        lines: the head of each line, which stays at the left, and its text.
    """

    def __init__(self, *lines: tuple[Content, Content]) -> None:
        self._lines = lines
        self._wrapped: tuple[int, Content] | None = None

    def is_same(self, other: object) -> bool:
        """Whether another text looks the same."""
        return isinstance(other, HangingLines) and repr(other) == repr(self)

    def __repr__(self) -> str:
        return f"HangingLines{self._lines!r}"

    def wrapped(self, width: int) -> Content:
        """The lines at a width; those of the last one are kept, as each paint asks for them again."""
        if self._wrapped is None or self._wrapped[0] != width:
            lines = (line for head, text in self._lines for line in hanging_lines(head, text, width))
            self._wrapped = width, Content("\n").join(lines)
        return self._wrapped[1]

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """The lines as strips."""
        return self.wrapped(width).render_strips(width, height, style, options)

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """The width of the longest line."""
        return max((head.cell_length + text.cell_length for head, text in self._lines), default=0)

    def get_height(self, rules: RulesMap, width: int) -> int:
        """The number of lines at a width."""
        return self.wrapped(width).get_height(rules, width)


def _first_cells(text: str, cells: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > cells:
            return text[:index]
    return text


def _last_cells(text: str, cells: int) -> str:
    last = _first_cells(text[::-1], cells)[::-1]
    marks = (index for index, character in enumerate(last) if get_character_cell_size(character))
    return last[next(marks, len(last)) :]  # a combining mark without its letter would join the ellipsis
