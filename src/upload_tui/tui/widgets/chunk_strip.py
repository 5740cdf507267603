"""The chunks of an upload as a strip: numbers from 1, gaps, repeats, and the bytes so far against those promised."""

from collections import Counter
from collections.abc import Iterator, Sequence

from textual.content import Content

from upload_tui.status import Stage
from upload_tui.tui.formatting import plural, size_text
from upload_tui.tui.glyphs import Glyphs
from upload_tui.wire.upload import Chunk, Upload

__all__ = ["chunk_lines", "strip_text"]

_STRIP_LINES = 2


def chunk_lines(upload: Upload, glyphs: Glyphs, width: int) -> Iterator[Content]:
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


def strip_text(chunks: Sequence[Chunk], glyphs: Glyphs, width: int) -> Iterator[Content]:
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
