"""Sort, filter and search: from the key to the painted rows, compared with tables that hold their rows in memory."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

from tests.benchmarks.figures import Figure
from tests.benchmarks.peers import Peer, installed
from tests.benchmarks.sampling import percentile
from tests.benchmarks.terminal import TerminalProgram, python
from tests.benchmarks.uploads import NEWEST, fill
from upload_tui.monitor import Query, Store, StorePicture, parse_query
from upload_tui.testing import FrozenClock

__all__ = ["BENCHMARKS"]

_DATA_TABLE = python("-m", "tests.benchmarks.programs.data_table")
_FAST_TABLE = Path(__file__).parent / "programs" / "fast_table.py"
_FAST_PEER = Peer("textual-fastdatatable", "0.19.5", ("python",), "name")
_WINDOW_BYTES = 2500
"""A frame with new rows is larger than this, other frames are smaller."""
_QUIET_SECONDS = 0.2
"""The effects of the previous key end within this time."""
_OURS: Mapping[str, tuple[str, str]] = {"sort": ("s", ""), "filter": ("4", "4"), "search": ("7", "\x7f")}
"""The key whose frame is measured, and the one that undoes it; the search bar is open for the search."""
_THEIRS: Mapping[str, tuple[str, str]] = {"sort": ("s", ""), "filter": ("f", "f"), "search": ("x", "x")}
_GOAL = 10 / 13
"""Ten milliseconds where Textual's table needs thirteen for a hundredth of the rows."""


def queries(*, quick: bool, folder: Path | None = None) -> Sequence[Figure]:
    """The dashboard with very many uploads, Textual's table with 10,000 and, with `folder`, textual-fastdatatable with 1,000,000."""
    count, turns, their_turns = (50_000, 9, 3) if quick else (1_000_000, 25, 25)
    with TemporaryDirectory() as home, ExitStack() as stack:
        file = Path(home) / "store.db"
        fill(file, count)
        command = python("-m", "tests.benchmarks.programs.stored_dashboard", str(file))
        ours = stack.enter_context(TerminalProgram(command))
        ours.seconds_until(f"{count:,}")
        theirs = {"a table of 10,000": stack.enter_context(TerminalProgram(_DATA_TABLE))}
        if folder is not None:
            fast = [*installed(_FAST_PEER, folder), str(_FAST_TABLE)]
            theirs["textual-fastdatatable of 1,000,000"] = stack.enter_context(TerminalProgram(fast))
        for program in theirs.values():
            program.seconds_until("sample_")
        return [figure for kind in _OURS for figure in _measured(kind, ours, theirs, count, (turns, their_turns))]


def _measured(
    kind: str, ours: TerminalProgram, theirs: Mapping[str, TerminalProgram], count: int, turns: tuple[int, int]
) -> Sequence[Figure]:
    if kind == "search":
        ours.seconds_to_frame("/", _WINDOW_BYTES)
        ours.seconds_to_frame("_", _WINDOW_BYTES)
        ours.seconds_to_frame("1", _WINDOW_BYTES)
    values: dict[str, list[float]] = {name: [] for name in ("ours", *theirs)}
    for turn in range(turns[0] + 1):
        seconds = {"ours": _seconds(ours, *_OURS[kind])}
        if turn <= turns[1]:  # a table in memory takes a hundred times as long: a few turns are enough in the quick run
            seconds |= {name: _seconds(program, *_THEIRS[kind]) for name, program in theirs.items()}
        if turn:
            for name, one in seconds.items():
                values[name].append(1000 * one)
    own = percentile(values.pop("ours"), 50)
    return [
        Figure(f"{kind} of {count:,} to painted window", own, None, "ms", 10),
        *(Figure(f"{kind} / {name}", own, percentile(other, 50), "ms", _GOAL) for name, other in values.items()),
    ]


def _seconds(program: TerminalProgram, key: str, back: str) -> float:
    seconds = program.seconds_to_frame(key, _WINDOW_BYTES, _QUIET_SECONDS)
    if back:
        program.seconds_to_frame(back, _WINDOW_BYTES, _QUIET_SECONDS)
    return seconds


_PLAIN_SEARCH = "sample_7"
_QUERIES = (
    "stage:error", "is:trouble", "is:acknowledged", "-is:acknowledged", "name:sample_7", "id:12345", "by:ada",
    "by:hopper", "storage:emb", "type:tiff", "error:size", "project:genome", "service:example", "size>100MB",
    "size>1TB", "age>1h", "took>30s", "chunks>2", "since:1h", "until:1d", "-sample_7",
    "(sample_7 OR type:tiff) -error:size",
)  # fmt: skip
_VISIBLE_ROWS = 66
_FRAME_SECONDS = 0.008
"""As `tui.widgets.table.row_window`, which asks for a window in this way."""
_WINDOW_MILLISECONDS = 20.0


def query_fields(*, quick: bool) -> Sequence[Figure]:
    """A query of each field, from the parsed tree to the rows of the window, beside a search for a word; processor time."""
    count, turns = (50_000, 9) if quick else (1_000_000, 25)
    with TemporaryDirectory() as home:
        file = Path(home) / "store.db"
        fill(file, count)
        values = {
            text: median(_window_milliseconds(file, text) for _ in range(turns)) for text in (_PLAIN_SEARCH, *_QUERIES)
        }
    plain = values.pop(_PLAIN_SEARCH)
    return [
        Figure(f"{_PLAIN_SEARCH} of {count:,} to window", plain, None, "ms", _WINDOW_MILLISECONDS),
        *(
            Figure(f"{text} of {count:,} to window", value, None, "ms", _WINDOW_MILLISECONDS)
            for text, value in values.items()
        ),
    ]


def _window_milliseconds(file: Path, text: str) -> float:
    """The first window of a query that no list is cached for."""
    store = Store(file)
    picture = StorePicture(store, FrozenClock(NEWEST), "https://example.org")
    picture.window(Query(), 0, _VISIBLE_ROWS)  # computes the baselines
    where = parse_query(text)
    began = process_time()
    picture.window(Query(where=where), 0, _VISIBLE_ROWS, _FRAME_SECONDS)
    milliseconds = 1000 * (process_time() - began)
    store.close()
    return milliseconds


BENCHMARKS = (queries, query_fields)
