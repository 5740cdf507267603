"""A summary of an upload's chunks: missing and repeated numbers, unexpected sizes, and the chunks still outstanding.

Pure. The cost depends on the length of the list only, not on the numbers in it, which may be very high.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import groupby, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from upload_tui.status import Stage
from upload_tui.text import failed_chunks

if TYPE_CHECKING:
    from upload_tui.wire import Upload

__all__ = ["ChunkState", "ChunkSummary", "NumberSpan", "group_spans", "summarize_chunks"]

Value = TypeVar("Value", int, str)
NumberSpan = tuple[int, int]
"""The first and the last of consecutive numbers."""


class ChunkState(IntEnum):
    """The state of one chunk number; the worst has the highest value."""

    RECEIVED = 0
    OUTSTANDING = 1
    """Not received yet, while the upload is still initiated."""
    UNEXPECTED_SIZE = 2
    """Of another size than most, and not a smaller last chunk."""
    REPEATED = 3
    MISSING = 4
    BAD = 5
    """Named by the error message of the upload."""


class ChunkSummary(Struct, frozen=True):
    """What a list of chunks contains.

    Attributes:
        received: number of different chunk numbers, from 1.
        highest: the highest number; 0 if there is none.
        expected: the number of the last chunk; above `highest` it is estimated from the sizes so far.
        missing: spans of numbers below `highest` that are not listed.
        repeated: for each number listed more than once, how often.
        typical_bytes: the size of most chunks; None if no size has a majority.
        unexpected_size_bytes: the size of each chunk that differs from the typical size; a last chunk may be smaller.
        last_bytes: the size of the chunk with the highest number; None if there is none.
        range_bytes: the smallest and the largest size.
        invalid_numbers: numbers below 1.
        bad: for each chunk that the error message names, what is wrong with it.
        missing_bytes: declared size minus received size; negative if more was received; 0 if no size was declared.
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
    bad: Mapping[int, str] = MappingProxyType({})

    def cells(self, max_cells: int) -> Sequence[ChunkState]:
        """The states of the numbers from 1 to `expected` in at most `max_cells` cells; a cell has the worst state of its numbers."""
        count = min(self.expected, max_cells)
        cells = [ChunkState.RECEIVED] * count
        for state, (first, last) in self._problem_spans():
            start, end = ((number - 1) * count // self.expected for number in (first, last))
            for index in range(start, end + 1):
                cells[index] = max(state, cells[index])
        return cells

    def first_number_in(self, cell: int, count: int) -> int:
        """The first chunk number in a cell (from 0) if `cells` has `count` cells."""
        return -(-cell * self.expected // count) + 1

    def _problem_spans(self) -> Iterator[tuple[ChunkState, NumberSpan]]:
        """All numbers that are not simply received."""
        if self.expected > self.highest:
            yield ChunkState.OUTSTANDING, (self.highest + 1, self.expected)
        yield from ((ChunkState.UNEXPECTED_SIZE, (number, number)) for number in self.unexpected_size_bytes)
        yield from ((ChunkState.REPEATED, (number, number)) for number in self.repeated)
        yield from ((ChunkState.MISSING, span) for span in self.missing)
        yield from ((ChunkState.BAD, (number, number)) for number in self.bad)


def summarize_chunks(upload: "Upload") -> ChunkSummary:
    """Summarize an upload's chunks. Only an initiated upload has outstanding ones."""
    listed: dict[int, list[int]] = {}
    for chunk in upload.chunks or ():
        listed.setdefault(chunk.number, []).append(chunk.size_bytes)
    sizes = {number: listed[number] for number in sorted(listed) if number >= 1}
    highest, typical = max(sizes, default=0), _typical_size([*sizes.values()])
    is_final = upload.has_final_chunks
    gaps = [(before + 1, after - 1) for before, after in pairwise([0, *sizes]) if after - before > 1]
    missing = gaps if is_final else []
    outstanding = _outstanding_count(upload, sizes, typical, missing)
    last = 0 if outstanding else highest
    bad = failed_chunks(upload.timeline.error_message or "")
    all_sizes = [size for same_number in sizes.values() for size in same_number]
    return ChunkSummary(
        received=len(sizes),
        highest=highest,
        expected=highest + outstanding,
        missing=missing,
        repeated={number: len(same_number) for number, same_number in sizes.items() if len(same_number) > 1},
        typical_bytes=typical,
        unexpected_size_bytes={} if typical is None else dict(_unexpected_sizes(sizes, typical, last)),
        last_bytes=sizes[highest][0] if sizes else None,
        range_bytes=(min(all_sizes, default=0), max(all_sizes, default=0)),
        invalid_numbers=sorted(number for number in listed if number < 1),
        missing_bytes=upload.size_bytes - upload.chunk_bytes if is_final and upload.size_bytes is not None else 0,
        bad={number: bad[number] for number in sorted(bad) if number in sizes},
    )


def _typical_size(sizes: Sequence[Sequence[int]]) -> int | None:
    """The size of more than half of the chunks. The last chunk, which may be smaller, counts only if it is the only one."""
    counted = [size for same_number in sizes[:-1] or sizes for size in same_number]
    for size, times in Counter(counted).most_common(1):
        return size if 2 * times > len(counted) else None
    return None


def _outstanding_count(
    upload: "Upload", sizes: Mapping[int, Sequence[int]], typical: int | None, missing: Sequence[NumberSpan]
) -> int:
    """How many chunks above the highest the declared size still needs, if they are of the typical (or average) size."""
    if upload.stage is not Stage.INITIATED or upload.size_bytes is None or not sizes:
        return 0
    received_bytes = sum(same_number[0] for same_number in sizes.values())
    chunk_bytes = max(1, received_bytes // len(sizes) if typical is None else typical)
    rest_bytes = upload.size_bytes - received_bytes - chunk_bytes * sum(last - first + 1 for first, last in missing)
    return max(0, -(-rest_bytes // chunk_bytes))


def _unexpected_sizes(sizes: Mapping[int, Sequence[int]], typical: int, last: int) -> Iterator[tuple[int, int]]:
    """The numbers and sizes of chunks that are not of the typical size; number `last` (0 for none) may be smaller."""
    for number, same_number in sizes.items():
        other = next((size for size in same_number if size != typical), None)
        if other is not None and not (number == last and max(same_number) <= typical):
            yield number, other


def group_spans(values: Mapping[int, Value]) -> Iterator[tuple[NumberSpan, Value]]:
    """Group consecutive numbers with the same value to spans; the numbers must be in order."""
    for (_, value), pairs in groupby(enumerate(values.items()), lambda pair: (pair[1][0] - pair[0], pair[1][1])):
        numbers = [number for _, (number, _) in pairs]
        yield (numbers[0], numbers[-1]), value
