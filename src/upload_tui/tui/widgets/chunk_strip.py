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
from upload_tui.tui.formatting import plural, size_text
from upload_tui.tui.glyphs import Glyphs
from upload_tui.tui.look import Look
from upload_tui.tui.widgets.chunk_facts import ChunkFacts, ChunkState, Numbers, chunk_facts, spans_of

if TYPE_CHECKING:
    from upload_tui.wire.upload import Upload

__all__ = ["CHUNK_TONES", "ChunkStrip", "chunk_lines", "contradiction_lines"]

CHUNK_TONES = frozenset(
    f"chunks--{tone}" for tone in ("quiet", "there", "odd", "repeated", "missing", "warning", "contradiction")
)
"""The component classes of whoever shows these lines."""

_STRIP_LINES = 2
_CELLS_AT_LEAST = 6
"""Where the numbers of the ends leave less than this to the strip, they are left out."""
_NAMED_AT_MOST = 40
_PLAIN_BELOW = 10**6
"""Higher numbers stand at the ends in short, and are no wider than these: `9.2e+18`."""

_QUIET = ".chunks--quiet"
_Part = tuple[str, Numbers]
"""Words, and the numbers that they stand for."""


class ChunkStrip(Widget):
    """The chunks of `upload`: their number and bytes, a sign for each, and in words what is odd; as tall as what it has to say.

    Args:
        upload: whose chunks; None while there is none.
        look: how facts are written.

    >>> from upload_tui.testing import an_upload
    >>> from upload_tui.widgets import ChunkStrip, GivenPicture
    >>> picture = GivenPicture([answer := an_upload("scan.tiff", chunks=(1, 2, 4))])
    >>> strip = ChunkStrip(picture.detail(answer["id"]).upload)
    >>> picture.close()
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {*CHUNK_TONES}

    upload: reactive["Upload | None"] = reactive(None, layout=True)
    look: reactive[Look] = reactive(Look, layout=True)

    def __init__(
        self,
        upload: "Upload | None" = None,
        *,
        look: Look | None = None,
        id: str | None = None,  # noqa: A002  # Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(ChunkStrip.upload, upload)
        self.set_reactive(ChunkStrip.look, look or Look())

    def render(self) -> Content:
        return self._text(self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        # How much it has to say follows from the width that it gets, not from the one that it has.
        return self._text(width).get_height(self.styles.get_rules(), width) if width else 0

    def _text(self, width: int) -> Content:
        if self.upload is None:
            return Content.styled("No upload chosen", _QUIET)
        glyphs = self.look.glyphs
        lines = (*contradiction_lines(self.upload, glyphs), *chunk_lines(self.upload, glyphs, max(width, 1)))
        return Content("\n").join(lines)


def contradiction_lines(upload: "Upload", glyphs: Glyphs) -> Iterator[Content]:
    """A sentence if the service says verified and the chunks say otherwise; nothing if they agree, or were purged since."""
    if upload.stage is not Stage.VERIFIED or upload.chunks is None or upload.timeline.purged_on is not None:
        return
    facts = chunk_facts(upload)
    if facts.missing or facts.repeated or facts.strays or facts.lacking_bytes:
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
        painter = _Painter(chunk_facts(upload), glyphs, width, is_open, is_purged)
        yield _sum_line(upload)
        yield from painter.strip()
        yield from painter.sizes()
        yield from painter.oddities()


def _sum_line(upload: "Upload") -> Content:
    """How many chunks there are, and how much of what was promised."""
    words = f"{plural(len(upload.chunks or ()), 'chunk')}, {size_text(upload.chunk_bytes)}"
    if upload.size_bytes is not None:
        words += f" of {size_text(upload.size_bytes)}"
    if upload.size_bytes:
        words += f", {_share_text(upload.chunk_bytes, upload.size_bytes)}"
    return Content.styled(words, _QUIET)


def _share_text(there_bytes: int, promised_bytes: int) -> str:
    """In whole parts of a hundred, which are 100 only if nothing is missing."""
    percent = there_bytes * 100 // promised_bytes
    return f"{percent} %" if percent < 1000 else "over 999 %"


class _Painter(Struct, frozen=True):
    """What is not there is wrong only once the client has said that all is (no longer `is_open`), and before a purge."""

    facts: ChunkFacts
    glyphs: Glyphs
    width: int
    is_open: bool
    is_purged: bool

    def strip(self) -> Iterator[Content]:
        """A sign for each number, or for several where there are more than cells; each line between the numbers of its ends."""
        ends = self.width - 2 * len(self._last()) - 2
        has_ends = ends >= _CELLS_AT_LEAST and self.facts.expected > 1
        room = ends if has_ends else self.width
        cells = self.facts.cells(room * _STRIP_LINES)
        for start in range(0, len(cells), room):
            runs = groupby(cells[start : start + room])
            signs = [(self._sign(state) * len([*run]), self._tone(state)) for state, run in runs]
            first, last = self._ends(start, start + room, cells) if has_ends else ("", "")
            yield Content.assemble((first, _QUIET), *signs, (last, _QUIET))
        if len(cells) < self.facts.expected:
            yield Content.styled(f"a sign for about {-(-self.facts.expected // len(cells)):,} chunks", _QUIET)

    def _last(self) -> str:
        sign = self.glyphs.estimate if self.facts.expected > self.facts.highest else ""
        return f"{sign}{_number_text(self.facts.expected)}"

    def _ends(self, start: int, end: int, cells: Sequence[ChunkState]) -> tuple[str, str]:
        """The numbers at the ends of a line that shows cells from `start` to before `end`."""
        total = len(cells)
        wide = len(self._last()) if end - start < total else 0
        first = _number_text(self.facts.first_in(start, total))
        last = self._last() if end >= total else _number_text(self.facts.first_in(end, total) - 1)
        return f"{first:>{wide}} ", f" {last}"

    def _sign(self, state: ChunkState) -> str:
        glyphs = self.glyphs
        return (glyphs.chunk, glyphs.to_come, glyphs.odd, glyphs.repeated, glyphs.gap)[state]

    def _tone(self, state: ChunkState) -> str:
        may_lack = self.is_open or self.is_purged
        is_calm = state is ChunkState.TO_COME or (state is ChunkState.MISSING and may_lack)
        return _QUIET if is_calm else f".chunks--{state.name.lower()}"

    def sizes(self) -> Iterator[Content]:
        """The size that most have, and the last one's; nothing where one chunk says it all."""
        facts = self.facts
        if facts.there < 2:
            return
        if facts.usual_bytes is None:
            smallest, largest = map(size_text, facts.range_bytes)
            words = f"about {smallest}" if smallest == largest else f"{smallest} to {largest}"
            yield Content.styled(f"each {words}", _QUIET)
            return
        usual, last = size_text(facts.usual_bytes), size_text(facts.last_bytes)
        # A last one that reads as all the others do is one of them.
        ends_smaller = last != usual and facts.highest not in facts.odd_bytes
        end = f", last {last}" if ends_smaller else ""
        yield Content.styled(f"{facts.there - len(facts.odd_bytes) - ends_smaller:,} x {usual}{end}", _QUIET)

    def oddities(self) -> Iterator[Content]:
        """What the signs of the strip mean, by number, the worst first; and what no sign can say."""
        facts = self.facts
        missing = [(_span_text(span), span) for span in facts.missing]
        yield from self._naming(ChunkState.MISSING, "missing so far" if self.is_open else "missing", missing)
        repeated = [(f"{_span_text(span)} {_times_text(times)}", span) for span, times in spans_of(facts.repeated)]
        yield from self._naming(ChunkState.REPEATED, "", repeated)
        odd = [(f"{_span_text(span)} ({size_text(size)})", span) for span, size in spans_of(facts.odd_bytes)]
        yield from self._naming(ChunkState.ODD, "odd size", odd)
        if facts.strays:
            strays = [(str(number), (number, number)) for number in facts.strays]
            yield self._warning(f"not from 1 on: {_named(strays, self.width - 17)}")
        if facts.lacking_bytes and not (self.is_open or self.is_purged):
            many = "few" if facts.lacking_bytes > 0 else "many"
            yield self._warning(f"{size_text(abs(facts.lacking_bytes))} too {many}")

    def _naming(self, state: ChunkState, words: str, parts: Sequence[_Part]) -> Iterator[Content]:
        if parts:
            start = f"{self._sign(state)} {words} " if words else f"{self._sign(state)} "
            yield Content.styled(f"{start}{_named(parts, self.width - len(start))}", self._tone(state))

    def _warning(self, words: str) -> Content:
        return Content.styled(f"{self.glyphs.warning} {words}", ".chunks--warning")


def _named(parts: Sequence[_Part], room: int) -> str:
    """As many of the parts as there is room for, but one at least, and how many numbers are left."""
    total = sum(last - first + 1 for _, (first, last) in parts)
    shown = parts[:_NAMED_AT_MOST]
    while True:
        left = total - sum(last - first + 1 for _, (first, last) in shown)
        text = ", ".join(words for words, _ in shown) + (f" and {left:,} more" if left else "")
        if len(text) <= room or len(shown) <= 1:
            return text
        shown = shown[:-1]


def _span_text(span: Numbers) -> str:
    first, last = span
    return str(first) if first == last else f"{first}-{last}"


def _times_text(times: int) -> str:
    return "twice" if times == 2 else f"({times:,} times)"


def _number_text(number: int) -> str:
    return f"{number:,}" if number < _PLAIN_BELOW else f"{number:.1e}"
