"""The chunks of an upload as a strip: numbers from 1, gaps, repeats, and the bytes so far against those promised."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from upload_tui.status import Stage
from upload_tui.tui.formatting import plural, size_text
from upload_tui.tui.glyphs import Glyphs
from upload_tui.tui.look import Look

if TYPE_CHECKING:
    from upload_tui.wire.upload import Chunk, Upload

__all__ = ["ChunkStrip", "chunk_lines", "strip_text"]

_STRIP_LINES = 2


class ChunkStrip(Widget):
    """The chunks of `upload`: a sentence and, below it, a sign for each number; as tall as what it has to say.

    Args:
        upload: whose chunks; None while there is none.
        look: how facts are written.

    >>> from upload_tui.testing import an_upload
    >>> from upload_tui.widgets import ChunkStrip, GivenPicture
    >>> picture = GivenPicture([answer := an_upload("scan.tiff", chunks=(1, 2, 4))])
    >>> strip = ChunkStrip(picture.detail(answer["id"]).upload)
    >>> picture.close()
    """

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
        if self.upload is None:
            return Content.styled("No upload chosen", "$quiet")
        return Content("\n").join(chunk_lines(self.upload, self.look.glyphs, max(self.content_size.width, 1)))


def chunk_lines(upload: "Upload", glyphs: Glyphs, width: int) -> Iterator[Content]:
    """A sentence about the chunks and the strip below it."""
    if upload.chunks is None:
        yield Content.styled("not chunked", "$quiet")
        return
    if upload.timeline.purged_on is not None and not upload.chunks:
        yield Content.styled("chunks purged", "$quiet")
        return
    promised = "" if upload.size_bytes is None else f" of {size_text(upload.size_bytes)}"
    wrong = (
        upload.size_bytes is not None
        and upload.chunk_bytes != upload.size_bytes
        and upload.stage is not Stage.INITIATED
    )
    yield Content.assemble(
        (f"{plural(len(upload.chunks), 'chunk')}, ", "$quiet"),
        (f"{size_text(upload.chunk_bytes)}{promised}", "$warning" if wrong else "$quiet"),
    )
    if upload.chunks:
        yield from strip_text(upload.chunks, glyphs, width)


def strip_text(chunks: "Sequence[Chunk]", glyphs: Glyphs, width: int) -> Iterator[Content]:
    """A sign for each number from 1 to the highest; where there are more numbers than cells, a sign stands for several."""
    times = Counter(chunk.number for chunk in chunks)
    highest = max(1, *times)
    cells = min(highest, width * _STRIP_LINES)
    present = [0] * cells
    repeated = [False] * cells
    for number, count in times.items():
        if number >= 1:
            place = (number - 1) * cells // highest
            present[place] += 1
            repeated[place] |= count > 1
    signs = [_sign(place, cells, highest, present[place], repeated[place], glyphs) for place in range(cells)]
    for start in range(0, cells, width):
        yield Content.assemble(*signs[start : start + width])


def _sign(place: int, cells: int, highest: int, present: int, is_repeated: bool, glyphs: Glyphs) -> tuple[str, str]:
    first = -(-place * highest // cells)
    last = -(-(place + 1) * highest // cells)
    if present < last - first:
        return glyphs.gap, "$warning bold"
    return ("2", "$warning bold") if is_repeated else (glyphs.chunk, "$stage-initiated")
