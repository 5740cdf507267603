"""What the numbers and sizes of an upload's chunks say: what is missing, repeated or of an odd size, and what is still to come.

Pure, and as cheap as the list is long: any number may stand in it, however high.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.wire import Upload

__all__ = ["ChunkSummary", "ChunkState", "NumberSpan", "summarize_chunks", "group_spans"]

NumberSpan = tuple[int, int]
"""The first and the last of neighbouring numbers."""


class ChunkState(IntEnum):
    """How it is with a chunk's number, the worst last."""

    RECEIVED = 0
    OUTSTANDING = 1
    UNEXPECTED_SIZE = 2
    """Of another size than most, and not the last."""
    REPEATED = 3
    MISSING = 4


class ChunkSummary(Struct, frozen=True):
    """What the list says.

    Attributes:
        there: how many numbers from 1 on are there, however often.
        highest: the highest number; 0 if there is none.
        expected: the number of the last chunk; beyond the highest it is a guess from the sizes so far.
        missing: the numbers below the highest that are not there.
        repeated: how often each number is there that is there more than once.
        typical_bytes: the size that most chunks have; None if no size is that of most, or if there are no chunks.
        unexpected_size_bytes: the size of each that differs from the usual one; the last may be smaller.
        last_bytes: the size of the one with the highest number; None if there is none.
        range_bytes: the smallest and the largest size.
        strays: numbers that no chunk can have: below 1.
        missing_bytes: how much less than promised is there, below 0 if it is more; 0 as well if nothing was promised.
    """

    received: int
    highest: int
    expected: int
    missing: Sequence[NumberSpan]
    repeated: Mapping[int, int]
    typical_bytes: int | None
    unexpected_size_bytes: Mapping[int, int]
    last_bytes: int | None
    range_bytes: tuple[int, int]
    invalid_numbers: Sequence[int]
    missing_bytes: int

    def cells(self, max_cells: int) -> Sequence[ChunkState]:
        """The numbers from 1 to the expected in at most so many cells; one that stands for several is as the worst of them."""
        count = min(self.expected, max_cells)
        cells = [ChunkState.RECEIVED] * count
        for state, (first, last) in self._problem_spans():
            start, end = ((number - 1) * count // self.expected for number in (first, last))
            for place in range(start, end + 1):
                cells[place] = max(state, cells[place])
        return cells

    def first_number_in(self, cell: int, count: int) -> int:
        """The first number in a cell (from 0) of so many."""
        return -(-cell * self.expected // count) + 1

    def _problem_spans(self) -> Iterator[tuple[ChunkState, NumberSpan]]:
        """What is not simply there."""
        if self.expected > self.highest:
            yield ChunkState.OUTSTANDING, (self.highest + 1, self.expected)
        yield from ((ChunkState.UNEXPECTED_SIZE, (number, number)) for number in self.unexpected_size_bytes)
        yield from ((ChunkState.REPEATED, (number, number)) for number in self.repeated)
        yield from ((ChunkState.MISSING, span) for span in self.missing)


def summarize_chunks(upload: "Upload") -> ChunkSummary:
    """What an upload's chunks say; none are to come once it is completed."""
    listed: dict[int, list[int]] = {}
    for chunk in upload.chunks or ():
        listed.setdefault(chunk.number, []).append(chunk.size_bytes)
    sizes = {number: listed[number] for number in sorted(listed) if number >= 1}
    highest, usual = max(sizes, default=0), _typical_size([*sizes.values()])
    missing = [(below + 1, above - 1) for below, above in pairwise([0, *sizes]) if above - below > 1]
    to_come = _outstanding_count(upload, sizes, usual, missing)
    every = [size for some in sizes.values() for size in some]
    return ChunkSummary(
        received=len(sizes),
        highest=highest,
        expected=highest + to_come,
        missing=missing,
        repeated={number: len(some) for number, some in sizes.items() if len(some) > 1},
        typical_bytes=usual,
        unexpected_size_bytes={} if usual is None else dict(_unexpected_sizes(sizes, usual, 0 if to_come else highest)),
        last_bytes=sizes[highest][0] if sizes else None,
        range_bytes=(min(every, default=0), max(every, default=0)),
        invalid_numbers=sorted(number for number in listed if number < 1),
        missing_bytes=0 if upload.size_bytes is None else upload.size_bytes - upload.chunk_bytes,
    )


def _typical_size(sizes: Sequence[Sequence[int]]) -> int | None:
    """The size of more than half of them; the last has a say only where it is alone."""
    voting = [size for some in sizes[:-1] or sizes for size in some]
    for size, times in Counter(voting).most_common(1):
        return size if 2 * times > len(voting) else None
    return None


def _outstanding_count(
    upload: "Upload", sizes: Mapping[int, Sequence[int]], typical: int | None, missing: Sequence[NumberSpan]
) -> int:
    """How many chunks beyond the highest the promised size has room for, if they are like those that are there."""
    if upload.stage is not Stage.INITIATED or upload.size_bytes is None or not sizes:
        return 0
    present = sum(some[0] for some in sizes.values())
    typical = max(1, present // len(sizes) if typical is None else typical)
    beyond = upload.size_bytes - present - typical * sum(last - first + 1 for first, last in missing)
    return max(0, -(-beyond // typical))


def _unexpected_sizes(sizes: Mapping[int, Sequence[int]], typical: int, last: int) -> Iterator[tuple[int, int]]:
    """Those of another size; the last (0 if it is not there yet) may be smaller."""
    for number, some in sizes.items():
        odd = next((size for size in some if size != typical), None)
        if odd is not None and not (number == last and max(some) <= typical):
            yield number, odd


def group_spans(values: Mapping[int, int]) -> Iterator[tuple[NumberSpan, int]]:
    """Neighbouring numbers of one value together; the numbers must be in order."""
    for (_, value), some in groupby(enumerate(values.items()), lambda pair: (pair[1][0] - pair[0], pair[1][1])):
        numbers = [number for _, (number, _) in some]
        yield (numbers[0], numbers[-1]), value
