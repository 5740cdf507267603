"""The chunks of an upload as a strip: one sign per chunk number, and below it the sizes and the problems in words."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from upload_tui.status import Ability, Stage, is_contradictory
from upload_tui.text import compared_size_text, percent_text, plural, size_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.widgets.chunk_summary import ChunkState, ChunkSummary, NumberSpan, group_spans, summarize_chunks

if TYPE_CHECKING:
    from upload_tui.wire import Upload

__all__ = ["CHUNK_CLASSES", "ChunkStrip", "chunk_lines", "contradiction_lines"]

CHUNK_CLASSES = frozenset(
    f"chunks--{name}"
    for name in ("quiet", "received", "unexpected-size", "repeated", "missing", "bad", "warning", "contradiction")
)
"""The component classes that a widget needs to show these lines."""

_STRIP_LINES = 2
_MIN_CELLS = 6
"""If the numbers at both ends leave fewer cells than this to the strip, they are left out."""
_MAX_LISTED = 40
_EXPONENT_FROM = 10**6
"""Numbers from here on are written as `9.2e+18`, which is no wider than a smaller number."""

_QUIET = ".chunks--quiet"
_LabelledSpan = tuple[str, NumberSpan]
"""A text, and the chunk numbers that it describes."""


class ChunkStrip(Widget):
    """The chunks of `upload`. The widget is as high as its content.

    Args:
        upload: the upload; None while none is selected.
        display_options: signs to use.

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
        """The strip."""
        return self._text(self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The lines that the strip needs at this width."""
        # The text depends on the width that the layout offers, not on the current one.
        return self._text(width).get_height(self.styles.get_rules(), width) if width else 0

    def _text(self, width: int) -> Content:
        if self.upload is None:
            return Content.styled("No upload selected", _QUIET)
        glyphs = self.display_options.glyphs
        lines = (*contradiction_lines(self.upload, glyphs), *chunk_lines(self.upload, glyphs, max(width, 1)))
        return Content("\n").join(lines)


def contradiction_lines(upload: "Upload", glyphs: Glyphs) -> Iterator[Content]:
    """A warning if the upload is reported verified and its chunks contradict that; nothing if they were purged."""
    if upload.stage is not Stage.VERIFIED or upload.timeline.is_purged:
        return
    summary = summarize_chunks(upload)
    differs = summary.missing or summary.repeated or summary.invalid_numbers or summary.missing_bytes
    if is_contradictory(upload.stage, upload.anomalies) or (upload.chunks is not None and differs):
        warning = f"{glyphs.warning} Reported as verified, but the chunks do not match."
        yield Content.styled(warning, ".chunks--contradiction")


def chunk_lines(upload: "Upload", glyphs: Glyphs, width: int) -> Iterator[Content]:
    """Number and size of the chunks, the strip, and its problems in words. Lines wider than `width` are left to be wrapped."""
    if upload.chunks is None:
        yield Content.styled(_unlisted_text(upload), _QUIET)
    elif upload.timeline.is_purged and not upload.chunks:
        yield Content.styled("chunks purged", _QUIET)
    else:
        is_open, is_purged = upload.stage is Stage.INITIATED, upload.timeline.is_purged
        painter = _Painter(summarize_chunks(upload), glyphs, width, is_open, is_purged)
        yield _total_line(upload)
        yield from painter.strip()
        yield from painter.sizes()
        yield from painter.problems()


def _unlisted_text(upload: "Upload") -> str:
    """What is known of an upload without a list of chunks."""
    if upload.origin.has(Ability.CHUNK_LISTS):
        return "not chunked"
    count = "" if upload.chunk_count is None else f"{plural(upload.chunk_count, 'chunk')}, "
    return f"{count}{_share_text(upload)} received" if upload.has_received_bytes else "chunks unknown"


def _share_text(upload: "Upload") -> str:
    """The received size and its share of the declared size."""
    text = size_text(upload.chunk_bytes)
    if upload.size_bytes is not None:
        text += f" of {size_text(upload.size_bytes)}"
    if upload.size_bytes:
        text += f", {percent_text(upload.chunk_bytes, upload.size_bytes)}"
    return text


def _total_line(upload: "Upload") -> Content:
    """Number of chunks, received size and its share of the declared size."""
    return Content.styled(f"{plural(len(upload.chunks or ()), 'chunk')}, {_share_text(upload)}", _QUIET)


class _Painter(Struct, frozen=True):
    """Composes the lines. Missing chunks are a problem only if the upload is completed (not `is_open`) and not purged."""

    summary: ChunkSummary
    glyphs: Glyphs
    width: int
    is_open: bool
    is_purged: bool

    def strip(self) -> Iterator[Content]:
        """One sign per number, or per several numbers if there are more than cells; the numbers at the ends of each line."""
        cells_between = self.width - 2 * len(self._last_number()) - 2
        has_numbers = cells_between >= _MIN_CELLS and self.summary.expected > 1
        line_cells = cells_between if has_numbers else self.width
        cells = self.summary.cells(line_cells * _STRIP_LINES)
        for start in range(0, len(cells), line_cells):
            runs = groupby(cells[start : start + line_cells])
            signs = [(self._sign(state) * len([*run]), self._component_class(state)) for state, run in runs]
            first, last = self._end_numbers(start, start + line_cells, cells) if has_numbers else ("", "")
            yield Content.assemble((first, _QUIET), *signs, (last, _QUIET))
        if len(cells) < self.summary.expected:
            chunks_per_cell = -(-self.summary.expected // len(cells))
            yield Content.styled(f"each block {self.glyphs.about} {chunks_per_cell:,} chunks", _QUIET)

    def _last_number(self) -> str:
        sign = self.glyphs.estimate if self.summary.expected > self.summary.highest else ""
        return f"{sign}{_number_text(self.summary.expected)}"

    def _end_numbers(self, start: int, end: int, cells: Sequence[ChunkState]) -> tuple[str, str]:
        """The chunk numbers before and after a line of the cells from `start` to before `end`."""
        total = len(cells)
        first_width = len(self._last_number()) if end - start < total else 0
        first = _number_text(self.summary.first_number_in(start, total))
        last = self._last_number() if end >= total else _number_text(self.summary.first_number_in(end, total) - 1)
        return f"{first:>{first_width}} ", f" {last}"

    def _sign(self, state: ChunkState) -> str:
        glyphs = self.glyphs
        return (glyphs.chunk, glyphs.outstanding, glyphs.unexpected_size, glyphs.repeated, glyphs.gap, glyphs.bad)[
            state
        ]

    def _component_class(self, state: ChunkState) -> str:
        can_lack_chunks = self.is_open or self.is_purged
        is_quiet = state is ChunkState.OUTSTANDING or (state is ChunkState.MISSING and can_lack_chunks)
        return _QUIET if is_quiet else f".chunks--{state.name.lower().replace('_', '-')}"

    def sizes(self) -> Iterator[Content]:
        """The typical size and that of the last chunk; nothing for a single chunk."""
        summary = self.summary
        if summary.received < 2:
            return
        if summary.typical_bytes is None:
            smallest, largest = map(size_text, summary.range_bytes)
            text = f"about {smallest}" if smallest == largest else f"{smallest} to {largest}"
            yield Content.styled(f"each {text}", _QUIET)
            return
        typical, last = size_text(summary.typical_bytes), size_text(summary.last_bytes)
        # A last chunk whose size reads the same is counted with the others.
        is_last_smaller = last != typical and summary.highest not in summary.unexpected_size_bytes
        count = summary.received - len(summary.unexpected_size_bytes) - is_last_smaller
        yield Content.styled(f"{count:,} x {typical}{f', last {last}' if is_last_smaller else ''}", _QUIET)

    def problems(self) -> Iterator[Content]:
        """The problems that the signs of the strip stand for, with chunk numbers, the worst first; then those without a sign."""
        summary = self.summary
        bad = [*group_spans(summary.bad)]
        for why in dict.fromkeys(summary.bad.values()):
            spans = [(f"chunk {_span_text(span)}", span) for span, other in bad if other == why]
            yield from self._problem_line(ChunkState.BAD, why, spans)
        missing = [(_span_text(span), span) for span in summary.missing]
        yield from self._problem_line(ChunkState.MISSING, "missing so far" if self.is_open else "missing", missing)
        repeated = [(f"{_span_text(span)} ({times:,} times)", span) for span, times in group_spans(summary.repeated)]
        yield from self._problem_line(ChunkState.REPEATED, "repeated", repeated)
        typical = summary.typical_bytes or 0
        unexpected = [
            (f"chunk {_span_text(span)} ({compared_size_text(size, typical)})", span)
            for span, size in group_spans(summary.unexpected_size_bytes)
        ]
        yield from self._problem_line(ChunkState.UNEXPECTED_SIZE, "unexpected size", unexpected)
        if summary.invalid_numbers:
            invalid = [(str(number), (number, number)) for number in summary.invalid_numbers]
            yield self._warning(f"invalid numbers: {_list_text(invalid, self.width - 19)}")
        if summary.missing_bytes and not (self.is_open or self.is_purged):
            word = "missing" if summary.missing_bytes > 0 else "more than declared"
            yield self._warning(f"{size_text(abs(summary.missing_bytes))} {word}")

    def _problem_line(self, state: ChunkState, label: str, spans: Sequence[_LabelledSpan]) -> Iterator[Content]:
        if spans:
            start = f"{self._sign(state)} {label}: "
            yield Content.styled(f"{start}{_list_text(spans, self.width - len(start))}", self._component_class(state))

    def _warning(self, text: str) -> Content:
        return Content.styled(f"{self.glyphs.warning} {text}", ".chunks--warning")


def _list_text(spans: Sequence[_LabelledSpan], width: int) -> str:
    """As many of the texts as fit, but at least one, and how many chunk numbers are left out."""
    total = sum(last - first + 1 for _, (first, last) in spans)
    shown = spans[:_MAX_LISTED]
    while True:
        left = total - sum(last - first + 1 for _, (first, last) in shown)
        text = ", ".join(label for label, _ in shown) + (f" and {left:,} more" if left else "")
        if len(text) <= width or len(shown) <= 1:
            return text
        shown = shown[:-1]


def _span_text(span: NumberSpan) -> str:
    first, last = span
    return str(first) if first == last else f"{first}-{last}"


def _number_text(number: int) -> str:
    return f"{number:,}" if number < _EXPONENT_FROM else f"{number:.1e}"
