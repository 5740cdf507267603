"""The lines of the chunk strip: numbers, gaps, repeats, unexpected sizes and received bytes; contradictions in a timeline."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.testing import NOW, FrozenClock, a_chunk, an_upload
from upload_tui.tui.appearance.glyphs import ASCII, UNICODE, Glyphs
from upload_tui.tui.widgets.chunk_strip import chunk_lines, contradiction_lines
from upload_tui.tui.widgets.chunk_summary import ChunkState, summarize_chunks
from upload_tui.tui.widgets.timeline_view import timeline_lines
from upload_tui.widgets import DisplayOptions, InMemoryPicture
from upload_tui.wire import CHUNK_HASH_DIFFERS, SIZE_DIFFERS, StatusShape, Upload, parse_upload
from upload_tui.wire.upload import Chunk

MIB = 1 << 20
HUGE = 2**63 - 1


def upload_of(**facts: Any) -> Upload:
    return parse_upload(an_upload("a", **facts), read_on=NOW)


def lines(upload: Upload, width: int = 42, glyphs: Glyphs = UNICODE) -> list[str]:
    return [line.plain for line in chunk_lines(upload, glyphs, width)]


def sized(sizes: dict[int, int]) -> list[Any]:
    return [a_chunk(number, size) for number, size in sizes.items()]


def test_complete_chunks_show_end_numbers_and_typical_size() -> None:
    chunks = sized({**dict.fromkeys(range(1, 5), 16 * MIB), 5: 3_355_443})
    upload = upload_of(completed=9, chunks=chunks, size_bytes=64 * MIB + 3_355_443)
    assert lines(upload) == ["5 chunks, 67.2 MiB of 67.2 MiB, 100%", "1 ■■■■■ 5", "4 x 16.0 MiB, last 3.20 MiB"]


def test_a_last_chunk_whose_size_reads_the_same_is_counted_with_the_others() -> None:
    upload = upload_of(completed=9, chunks=sized({1: 211_000, 2: 211_000, 3: 210_998}), size_bytes=632_998)
    assert lines(upload)[1:] == ["1 ■■■ 3", "3 x 206 KiB"]


def test_outstanding_chunks_are_estimated_from_the_typical_size_while_initiated() -> None:
    upload = upload_of(chunks=sized(dict.fromkeys((1, 2, 3), 16 * MIB)), size_bytes=75 * MIB)
    assert lines(upload)[:2] == ["3 chunks, 48.0 MiB of 75.0 MiB, 64%", "1 ■■■·· ~5"]
    completed = upload_of(completed=9, chunks=sized(dict.fromkeys((1, 2, 3), 16 * MIB)), size_bytes=75 * MIB)
    assert lines(completed)[1:] == ["1 ■■■ 3", "3 x 16.0 MiB", "▲ 27.0 MiB missing"]


def test_the_percentage_is_100_only_if_nothing_is_missing() -> None:
    upload = upload_of(chunks=sized({1: 99_999}), size_bytes=100_000)
    assert lines(upload)[0].endswith("99%")


def test_gaps_are_shown_in_the_strip_and_listed_below() -> None:
    upload = upload_of(completed=9, chunks=sized(dict.fromkeys((2, 3, 4, 5, 6, 10), MIB)), size_bytes=10 * MIB)
    assert lines(upload)[1:] == ["1 □■■■■■□□□■ 10", "6 x 1.00 MiB", "□ missing: 1, 7-9", "▲ 4.00 MiB missing"]


def test_a_gap_is_no_warning_while_the_upload_is_initiated() -> None:
    upload = upload_of(chunks=sized({1: MIB, 3: MIB}), size_bytes=3 * MIB)
    shown = list(chunk_lines(upload, UNICODE, 42))
    assert [line.plain for line in shown][1:] == ["1 ■□■ 3", "2 x 1.00 MiB", "□ missing so far: 2"]
    assert not {str(span.style) for line in shown for span in line.spans} & {".chunks--missing", ".chunks--warning"}


def test_repeated_numbers_are_listed_with_their_count() -> None:
    upload = upload_of(completed=9, chunks=[a_chunk(n, MIB) for n in (1, 2, 2, 3, 4, 4, 4)], size_bytes=4 * MIB)
    assert lines(upload)[1:] == [
        "1 ■▣■▣ 4",
        "4 x 1.00 MiB",
        "▣ repeated: 2 (2 times), 4 (3 times)",
        "▲ 3.00 MiB more than declared",
    ]


def test_an_unexpected_size_is_listed_unless_it_is_a_smaller_last_chunk() -> None:
    upload = upload_of(completed=9, chunks=sized({1: MIB, 2: MIB, 3: 5, 4: MIB, 5: 7}), size_bytes=3 * MIB + 12)
    assert lines(upload)[1:] == ["1 ■■◧■■ 5", "3 x 1.00 MiB, last 7 B", "◧ unexpected size: chunk 3 (5 B)"]
    larger = upload_of(completed=9, chunks=sized({1: MIB, 2: MIB, 3: 2 * MIB}), size_bytes=4 * MIB)
    assert lines(larger)[1:] == ["1 ■■◧ 3", "2 x 1.00 MiB", "◧ unexpected size: chunk 3 (2.00 MiB)"]
    by_one = upload_of(completed=9, chunks=sized({1: MIB, 2: MIB + 1, 3: MIB, 4: MIB}), size_bytes=4 * MIB + 1)
    assert lines(by_one)[1:] == ["1 ■◧■■ 4", "3 x 1.00 MiB", "◧ unexpected size: chunk 2 (1 byte more)"]


def test_no_size_is_unexpected_if_all_differ() -> None:
    upload = upload_of(completed=9, chunks=sized({n: n * MIB for n in range(1, 6)}), size_bytes=15 * MIB)
    assert lines(upload)[1:] == ["1 ■■■■■ 5", "each 1.00 MiB to 5.00 MiB"]


def test_a_cell_for_several_numbers_shows_their_worst_state() -> None:
    there = dict.fromkeys((number for number in range(1, 1001) if number not in {37, 500, 501, 502}), MIB)
    upload = upload_of(completed=9, chunks=sized({**there, 900: 3}), size_bytes=999 * MIB)
    shown = lines(upload)
    assert shown[1] == "    1 ■■□■■■■■■■■■■■■■■■■■■■■■■■■■■□ 500"
    assert shown[2] == "  501 □■■■■■■■■■■■■■■■■■■■■■■◧■■■■■■ 1,000"
    assert shown[3:6] == ["each block ≈ 17 chunks", "995 x 1.00 MiB", "□ missing: 37, 500-502"]


def test_a_long_list_of_missing_numbers_is_cut_and_counted() -> None:
    upload = upload_of(completed=9, chunks=sized(dict.fromkeys(range(1, 200, 2), MIB)), size_bytes=199 * MIB)
    named = next(line for line in lines(upload) if "missing" in line)
    assert named == "□ missing: 2, 4, 6, 8, 10, 12 and 93 more"
    assert "_ missing: 2 and 98 more" in lines(upload, 20, ASCII)


def test_ascii_signs_show_the_same_states() -> None:
    chunks = [a_chunk(n, size) for n, size in ((1, MIB), (2, MIB), (2, MIB), (4, 5), (5, MIB))]
    shown = lines(upload_of(chunks=chunks, size_bytes=9 * MIB), glyphs=ASCII)
    assert shown[1] == "1 #=_%#..... ~10"
    assert all(line.isascii() for line in shown)


def test_end_numbers_are_left_out_of_a_narrow_strip() -> None:
    upload = upload_of(completed=9, chunks=sized(dict.fromkeys(range(1, 31), MIB)), size_bytes=30 * MIB)
    assert lines(upload, 9)[1:3] == ["■■■■■■■■■"] * 2
    assert lines(upload, 1)[1:3] == ["■"] * 2


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"chunks": None}, ["not chunked"]),
        ({"chunks": ()}, ["0 chunks, 0 B of 3.81 MiB, 0%"]),
        ({"chunks": (), "size_bytes": 0}, ["0 chunks, 0 B of 0 B"]),
        ({"chunks": [a_chunk(1, 5)], "size": None}, ["1 chunk, 5 B", "■"]),
        (
            {"chunks": (), "completed": 9, "verified": 8, "purged": 5, "status_shape": StatusShape.DEPLOYED},
            ["chunks purged"],
        ),
        (
            {"chunks": [a_chunk(1, MIB), a_chunk(0, 5)], "completed": 9, "size_bytes": 1},
            ["2 chunks, 1.00 MiB of 1 B, over 999%", "■", "▲ invalid numbers: 0", "▲ 1.00 MiB more than declared"],
        ),
    ],
    ids=["not chunked", "none yet", "empty", "no declared size", "purged", "from 0"],
)
def test_uploads_without_an_ordinary_strip(facts: dict[str, Any], expected: Sequence[str]) -> None:
    assert lines(upload_of(**facts)) == expected


def test_unreadable_chunks_are_ignored() -> None:
    chunks = [{"number": 1, "size": None}, {"number": None, "size": 3}, {"number": -4, "size": 3}, a_chunk(2, 3)]
    assert lines(upload_of(chunks=chunks))
    assert lines(upload_of(chunks=chunks[:2] + chunks[3:]))[0].startswith("1 chunk, 3 B of")


STRIP_LINE = re.compile(r"( *[\d,.e+]+ )?[■□▣◧·]+( ~?[\d,.e+]+)?")
CHUNKS = st.builds(Chunk, st.integers(-3, 40) | st.integers(-HUGE, HUGE), st.sampled_from([0, 1, 5, MIB, HUGE]))


@given(
    chunks=st.lists(CHUNKS, max_size=60),
    width=st.integers(1, 60),
    size_bytes=st.none() | st.integers(0, 100) | st.integers(0, HUGE),
    completed=st.none() | st.just(9.0),
)
def test_strips_of_any_numbers_and_sizes_stay_within_the_width(
    chunks: list[Chunk], width: int, size_bytes: int | None, completed: float | None
) -> None:
    timeline = upload_of(completed=completed).timeline
    upload = Upload(id="a", size_bytes=size_bytes, chunks=tuple(chunks), timeline=timeline, read_on=NOW)
    summary = summarize_chunks(upload)
    strip = [line for line in lines(upload, width) if STRIP_LINE.fullmatch(line)]
    assert all(len(line) <= width for line in strip)
    assert bool(strip) == bool(summary.highest)
    shown = {chunk.number for chunk in chunks if chunk.number >= 1}
    assert summary.received == len(shown)
    assert summary.highest == max(shown, default=0)
    assert summary.received + sum(last - first + 1 for first, last in summary.missing) == summary.highest
    if summary.expected <= 200:
        states = summary.cells(200)
        assert [n for n, state in enumerate(states, 1) if state is ChunkState.MISSING] == [
            n for n in range(1, summary.highest + 1) if n not in shown
        ]
        assert states[summary.highest :] == [ChunkState.OUTSTANDING] * (summary.expected - summary.highest)


def test_ten_thousand_chunks_take_two_lines() -> None:
    upload = upload_of(completed=9, chunks=sized(dict.fromkeys(range(1, 10_001), MIB)), size_bytes=10_000 * MIB)
    assert len(lines(upload)) == 5


@pytest.mark.parametrize(
    ("facts", "is_contradiction"),
    [
        ({"verified": 8}, False),
        ({"verified": 8, "chunks": (1, 3, 4)}, True),
        ({"verified": 8, "chunks": (1, 2, 3, 4, 4)}, True),
        ({"verified": 8, "size_bytes": 4_000_001}, True),
        ({"verified": 8, "chunks": ()}, True),
        ({"verified": 8, "chunks": (), "purged": 5, "status_shape": StatusShape.DEPLOYED}, False),
        ({"verified": 8, "chunks": None}, False),
        ({"chunks": (1, 3, 4)}, False),
        ({"error": 8, "chunks": (1, 3, 4)}, False),
    ],
    ids=["agree", "gap", "repeat", "bytes", "none", "purged", "not chunked", "completed", "error"],
)
def test_a_verified_upload_whose_chunks_do_not_match_has_a_warning(
    facts: dict[str, Any], is_contradiction: bool
) -> None:
    shown = [line.plain for line in contradiction_lines(upload_of(completed=9, **facts), UNICODE)]
    assert shown == (["▲ Reported as verified, but the chunks do not match."] if is_contradiction else [])


def timeline_of(upload: dict[str, Any], glyphs: Glyphs = UNICODE) -> list[str]:
    picture = InMemoryPicture([upload], clock=FrozenClock())
    detail = picture.detail(upload["id"])
    assert detail is not None
    shown = [line.plain for line in timeline_lines(detail, NOW, DisplayOptions(glyphs), 44)]
    picture.close()
    return shown


def test_a_contradiction_is_below_the_heading_of_a_timeline() -> None:
    shown = timeline_of(an_upload("a", completed=30, verified=20, chunks=(1, 3, 4)))
    assert shown[2:4] == ["▲ Reported as verified, but the chunks do not match.", ""]


@pytest.mark.parametrize(
    ("glyphs", "line"),
    [(UNICODE, "│ retries ×××××· next in about 45m"), (ASCII, "| retries xxxxx. next in about 45m")],
    ids=["unicode", "ascii"],
)
def test_retries_are_shown_with_signs_that_differ_from_those_of_chunks(glyphs: Glyphs, line: str) -> None:
    assert line in timeline_of(
        an_upload("a", initiated=9000, completed=1200, status_shape=StatusShape.DEPLOYED), glyphs
    )


@pytest.mark.parametrize("count", [3, 4, 500])
@pytest.mark.parametrize("width", [20, 42, 100])
def test_the_chunk_with_a_wrong_hash_is_the_one_that_stands_out(count: int, width: int) -> None:
    message = f"{CHUNK_HASH_DIFFERS}: chunk 3: reported 900150983cd2…, stored 098f6bcd4621…"
    upload = upload_of(completed=9, error=3, message=message, chunks=sized(dict.fromkeys(range(1, count + 1), MIB)))
    shown = list(chunk_lines(upload, UNICODE, width))
    strip = shown[1]
    (span,) = [span for span in strip.spans if str(span.style) == ".chunks--bad"]
    assert strip.plain[span.start : span.end] == "✗"
    assert [line.plain for line in shown if "bad hash" in line.plain] == ["✗ bad hash: chunk 3"]


def test_every_chunk_that_the_message_names_stands_out_with_what_is_wrong() -> None:
    problems = (
        f"{SIZE_DIFFERS}: chunk 2: reported 9 bytes, stored 8",
        "chunk 4 was never stored",
        "chunk 5 was never stored",
    )
    message = (
        f"{SIZE_DIFFERS}: reported 50 bytes, stored 48; {'; '.join(problems)}; chunks do not start at 1: the first is 6"
    )
    upload = upload_of(completed=9, error=3, message=message, chunks=sized(dict.fromkeys(range(1, 7), MIB)))
    shown = [line.plain for line in chunk_lines(upload, UNICODE, 42)]
    assert "1 ■✗■✗✗■ 6" in shown
    assert [line for line in shown if line.startswith("✗")] == ["✗ wrong size: chunk 2", "✗ not stored: chunk 4-5"]


@pytest.mark.parametrize(
    "message", ["no room left", f"{CHUNK_HASH_DIFFERS}: chunk 99", f"{CHUNK_HASH_DIFFERS}: chunk ٣", ""]
)
def test_no_chunk_stands_out_if_the_message_names_none_of_them(message: str) -> None:
    upload = upload_of(completed=9, error=3, message=message, chunks=(1, 2, 3))
    assert summarize_chunks(upload).bad == {}
