"""The chunks of an upload as a strip: numbers from 1 to the last, gaps, repeats, odd sizes, and the bytes so far."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from upload_tui.status import Stage
from upload_tui.text import plural, size_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.widgets.timeline.chunk_summary import (
    ChunkState,
    ChunkSummary,
    NumberSpan,
    group_spans,
    summarize_chunks,
)

if TYPE_CHECKING:
    from upload_tui.wire import Upload

__all__ = ["CHUNK_CLASSES", "ChunkStrip", "chunk_lines", "contradiction_lines"]

CHUNK_CLASSES = frozenset(
    f"chunks--{tone}" for tone in ("quiet", "there", "odd", "repeated", "missing", "warning", "contradiction")
)
"""The component classes of whoever shows these lines."""

_STRIP_LINES = 2
_MIN_CELLS = 6
"""Where the numbers of the ends leave less than this to the strip, they are left out."""
_MAX_LISTED = 40
_EXPONENT_FROM = 10**6
"""Higher numbers stand at the ends in short, and are no wider than these: `9.2e+18`."""

_QUIET = ".chunks--quiet"
_LabelledSpan = tuple[str, NumberSpan]
"""Words, and the numbers that they stand for."""


class ChunkStrip(Widget):
    """The chunks of `upload`: their number and bytes, a sign for each, and in words what is odd; as tall as what it has to say.

    Args:
        upload: whose chunks; None while there is none.
        display_options: how facts are written.

    >>> from upload_tui.testing import an_upload
    >>> from upload_tui.widgets import ChunkStrip, InMemoryPicture
    >>> picture = InMemoryPicture([answer := an_upload("scan.tiff", chunks=(1, 2, 4))])
    >>> strip = ChunkStrip(picture.detail(answer["id"]).upload)
    >>> picture.close()
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {*CHUNK_CLASSES}

    upload: reactive["Upload | None"] = reactive(None, layout=True)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, layout=True)

    def __init__(
        self,
        upload: "Upload | None" = None,
        *,
        display_options: DisplayOptions | None = None,
        id: str | None = None,  # noqa: A002  # Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(ChunkStrip.upload, upload)
        self.set_reactive(ChunkStrip.display_options, display_options or DisplayOptions())

    def render(self) -> Content:
        return self._text(self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        # How much it has to say follows from the width that it gets, not from the one that it has.
        return self._text(width).get_height(self.styles.get_rules(), width) if width else 0

    def _text(self, width: int) -> Content:
        if self.upload is None:
            return Content.styled("No upload chosen", _QUIET)
        glyphs = self.display_options.glyphs
        lines = (*contradiction_lines(self.upload, glyphs), *chunk_lines(self.upload, glyphs, max(width, 1)))
        return Content("\n").join(lines)


def contradiction_lines(upload: "Upload", glyphs: Glyphs) -> Iterator[Content]:
    """A sentence if the service says verified and the chunks say otherwise; nothing if they agree, or were purged since."""
    if upload.stage is not Stage.VERIFIED or upload.chunks is None or upload.timeline.purged_on is not None:
        return
    facts = summarize_chunks(upload)
    if facts.missing or facts.repeated or facts.invalid_numbers or facts.missing_bytes:
        sentence = f"{glyphs.warning} The service says verified; its chunks do not agree."
        yield Content.styled(sentence, ".chunks--contradiction")


def chunk_lines(upload: "Upload", glyphs: Glyphs, width: int) -> Iterator[Content]:
    """How many there are, the strip, and in words what it shows; what is wider than `width` is left to be wrapped."""
    if upload.chunks is None:
        yield Content.styled("not chunked", _QUIET)
    elif upload.timeline.purged_on is not None and not upload.chunks:
        yield Content.styled("chunks purged", _QUIET)
    else:
        is_open, is_purged = upload.stage is Stage.INITIATED, upload.timeline.purged_on is not None
        painter = _Painter(summarize_chunks(upload), glyphs, width, is_open, is_purged)
        yield _total_line(upload)
        yield from painter.strip()
        yield from painter.sizes()
        yield from painter.problems()


def _total_line(upload: "Upload") -> Content:
    """How many chunks there are, and how much of what was promised."""
    words = f"{plural(len(upload.chunks or ()), 'chunk')}, {size_text(upload.chunk_bytes)}"
    if upload.size_bytes is not None:
        words += f" of {size_text(upload.size_bytes)}"
    if upload.size_bytes:
        words += f", {_percent_text(upload.chunk_bytes, upload.size_bytes)}"
    return Content.styled(words, _QUIET)


def _percent_text(received_bytes: int, declared_bytes: int) -> str:
    """In whole parts of a hundred, which are 100 only if nothing is missing."""
    percent = received_bytes * 100 // declared_bytes
    return f"{percent} %" if percent < 1000 else "over 999 %"


class _Painter(Struct, frozen=True):
    """What is not there is wrong only once the client has said that all is (no longer `is_open`), and before a purge."""

    summary: ChunkSummary
    glyphs: Glyphs
    width: int
    is_open: bool
    is_purged: bool

    def strip(self) -> Iterator[Content]:
        """A sign for each number, or for several where there are more than cells; each line between the numbers of its ends."""
        ends = self.width - 2 * len(self._last_number()) - 2
        has_ends = ends >= _MIN_CELLS and self.summary.expected > 1
        room = ends if has_ends else self.width
        cells = self.summary.cells(room * _STRIP_LINES)
        for start in range(0, len(cells), room):
            runs = groupby(cells[start : start + room])
            signs = [(self._sign(state) * len([*run]), self._component_class(state)) for state, run in runs]
            first, last = self._end_numbers(start, start + room, cells) if has_ends else ("", "")
            yield Content.assemble((first, _QUIET), *signs, (last, _QUIET))
        if len(cells) < self.summary.expected:
            yield Content.styled(f"a sign for about {-(-self.summary.expected // len(cells)):,} chunks", _QUIET)

    def _last_number(self) -> str:
        sign = self.glyphs.estimate if self.summary.expected > self.summary.highest else ""
        return f"{sign}{_number_text(self.summary.expected)}"

    def _end_numbers(self, start: int, end: int, cells: Sequence[ChunkState]) -> tuple[str, str]:
        """The numbers at the ends of a line that shows cells from `start` to before `end`."""
        total = len(cells)
        wide = len(self._last_number()) if end - start < total else 0
        first = _number_text(self.summary.first_number_in(start, total))
        last = self._last_number() if end >= total else _number_text(self.summary.first_number_in(end, total) - 1)
        return f"{first:>{wide}} ", f" {last}"

    def _sign(self, state: ChunkState) -> str:
        glyphs = self.glyphs
        return (glyphs.chunk, glyphs.outstanding, glyphs.unexpected_size, glyphs.repeated, glyphs.gap)[state]

    def _component_class(self, state: ChunkState) -> str:
        may_lack = self.is_open or self.is_purged
        is_calm = state is ChunkState.OUTSTANDING or (state is ChunkState.MISSING and may_lack)
        return _QUIET if is_calm else f".chunks--{state.name.lower()}"

    def sizes(self) -> Iterator[Content]:
        """The size that most have, and the last one's; nothing where one chunk says it all."""
        facts = self.summary
        if facts.received < 2:
            return
        if facts.typical_bytes is None:
            smallest, largest = map(size_text, facts.range_bytes)
            words = f"about {smallest}" if smallest == largest else f"{smallest} to {largest}"
            yield Content.styled(f"each {words}", _QUIET)
            return
        usual, last = size_text(facts.typical_bytes), size_text(facts.last_bytes)
        # A last one that reads as all the others do is one of them.
        ends_smaller = last != usual and facts.highest not in facts.unexpected_size_bytes
        end = f", last {last}" if ends_smaller else ""
        yield Content.styled(
            f"{facts.received - len(facts.unexpected_size_bytes) - ends_smaller:,} x {usual}{end}", _QUIET
        )

    def problems(self) -> Iterator[Content]:
        """What the signs of the strip mean, by number, the worst first; and what no sign can say."""
        facts = self.summary
        missing = [(_span_text(span), span) for span in facts.missing]
        yield from self._problem_line(ChunkState.MISSING, "missing so far" if self.is_open else "missing", missing)
        repeated = [(f"{_span_text(span)} {_times_text(times)}", span) for span, times in group_spans(facts.repeated)]
        yield from self._problem_line(ChunkState.REPEATED, "", repeated)
        odd = [
            (f"{_span_text(span)} ({size_text(size)})", span) for span, size in group_spans(facts.unexpected_size_bytes)
        ]
        yield from self._problem_line(ChunkState.UNEXPECTED_SIZE, "odd size", odd)
        if facts.invalid_numbers:
            strays = [(str(number), (number, number)) for number in facts.invalid_numbers]
            yield self._warning(f"not from 1 on: {_list_text(strays, self.width - 17)}")
        if facts.missing_bytes and not (self.is_open or self.is_purged):
            many = "few" if facts.missing_bytes > 0 else "many"
            yield self._warning(f"{size_text(abs(facts.missing_bytes))} too {many}")

    def _problem_line(self, state: ChunkState, label: str, spans: Sequence[_LabelledSpan]) -> Iterator[Content]:
        if spans:
            start = f"{self._sign(state)} {label} " if label else f"{self._sign(state)} "
            yield Content.styled(f"{start}{_list_text(spans, self.width - len(start))}", self._component_class(state))

    def _warning(self, text: str) -> Content:
        return Content.styled(f"{self.glyphs.warning} {text}", ".chunks--warning")


def _list_text(spans: Sequence[_LabelledSpan], room: int) -> str:
    """As many of the parts as there is room for, but one at least, and how many numbers are left."""
    total = sum(last - first + 1 for _, (first, last) in spans)
    shown = spans[:_MAX_LISTED]
    while True:
        left = total - sum(last - first + 1 for _, (first, last) in shown)
        text = ", ".join(words for words, _ in shown) + (f" and {left:,} more" if left else "")
        if len(text) <= room or len(shown) <= 1:
            return text
        shown = shown[:-1]


def _span_text(span: NumberSpan) -> str:
    first, last = span
    return str(first) if first == last else f"{first}-{last}"


def _times_text(times: int) -> str:
    return "twice" if times == 2 else f"({times:,} times)"


def _number_text(number: int) -> str:
    return f"{number:,}" if number < _EXPONENT_FROM else f"{number:.1e}"
