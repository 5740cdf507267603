"""The monitor: a full scan, a round, a start with a full store, windows over a million uploads, many changes, memory."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from math import log
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from msgspec.json import decode

from tests.benchmarks.figures import Figure
from tests.benchmarks.uploads import NEWEST, PROJECT, fill, page_body, resource, source_lines, template
from upload_tui.client import Credentials, ServiceClient
from upload_tui.clock import SystemClock
from upload_tui.monitor import (
    Query,
    SortKey,
    SourceSynchroniser,
    Store,
    StorePicture,
    Synchroniser,
    WatchedSource,
    ingest,
    project_figures,
    write_metrics,
)
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.store.conditions import TroubleThresholds, WaitThresholds
from upload_tui.sources import LineBatch, LineReceiver, Listing, ListingVerdict
from upload_tui.status import Stage
from upload_tui.testing import FrozenClock
from upload_tui.wire import parse_upload_reading

__all__ = ["BENCHMARKS"]

ROOT = Path(__file__).parents[2]
LATE = WaitThresholds(NEWEST - timedelta(seconds=900), NEWEST)
STUCK = TroubleThresholds(LATE, NEWEST - timedelta(days=1), LATE, NEWEST)


def full_scan(*, quick: bool) -> Sequence[Figure]:
    """Scan all pages from another process, compared with fetching them only."""
    count = 20_000 if quick else 100_000
    command = [sys.executable, "-m", "tests.benchmarks.programs.pages", str(count)]
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server,
        TemporaryDirectory() as folder,
    ):
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        try:
            bare = min(asyncio.run(_fetch_bare(url, count)) for _ in range(3))
            sortable, indexed = asyncio.run(_fetch_all(url, Path(folder) / "store.db", count))
        finally:
            server.terminate()
    # The first goal is not reached yet: about half of it on two quiet cores, a third on busy ones. Of the processor time until every
    # row is stored, six tenths are the parsing of pages: the search for secrets 5 of 26 ms a page, decoding 4, proving that no key is
    # there twice and that all can be read 5, reading the values 6, rows, compression and the snapshot 6. The others are requests
    # (15 %), inserting (10 %), and starting the workers (7 %). Indexes take 1 s more for 100,000, four tenths of it for trigrams.
    return [
        Figure("full scan: every row stored and sortable", count / sortable, count / bare, "uploads/s", 0.25, False, 3),
        Figure("full scan: with indexes and trigrams", count / indexed, count / bare, "uploads/s", 0.1, False),
    ]


def source_listing(*, quick: bool) -> Sequence[Figure]:
    """List a source, compared with decoding the same lines only: the first listing, and one in which nothing changed.

    In processor time, as other programs share the machine.
    """
    count = 20_000 if quick else 100_000
    lines = source_lines(count)
    began = time.process_time()
    for line in lines:
        decode(line)
    bare = time.process_time() - began
    first, again, started, insert, mebibytes = asyncio.run(_list_source(lines))
    size = sum(map(len, lines)) / 2**20
    # Without a change it takes 1.5 times as long as the decoder, at a start 6 times, at first 35 times: indexes 7, trigrams 5,
    # inserting rows 7, making them 2, decoding 1, reading the values 4, looking for secrets 2, the rest 7. A bare insert alone
    # takes 6. Measured and not worth it: rows from `json_each` (twice the time of executemany), several rows a statement (the
    # same), no index while inserting (the same), memory-mapped reads while indexing (5 %), sorting in threads (slower), inserting in
    # a thread (7 to 30 %), no garbage collection (5 %).
    return [
        Figure("source: the first listing", first, bare, "s", 3, True, 20),
        Figure("source: the first listing, to a bare insert", first, insert, "s", 6, True),
        Figure("source: a listing without a change", again, bare, "s", 3, True),
        Figure("source: a listing without a change, at a start", started, bare, "s", 3, True, 6),
        Figure("source: memory of what is remembered between listings", mebibytes, size, "MiB", 3.0, True),
        Figure("source: memory of the first listing", *_peaks(lines), "MiB", 3.0, True),
    ]


def _peaks(lines: Sequence[bytes]) -> tuple[float, float]:
    """By how many MiB the memory of a process grows that lists these lines, and of one that decodes them."""
    program = [sys.executable, "-m", "tests.benchmarks.programs.source_memory"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "lines"
        file.write_bytes(b"\n".join(lines))
        peaks = [
            float(subprocess.run([*program, what, file], cwd=ROOT, capture_output=True, check=True).stdout)
            for what in ("list", "decode")
        ]
    return peaks[0], peaks[1]


async def _list_source(lines: Sequence[bytes]) -> tuple[float, float, float, float, float]:
    """Processor seconds of the first listing, the fastest later one, that of a new session, `_insert_rows`; and the MiB kept."""
    source = _Lines(lines)
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store.db")
        watched = WatchedSource(source, "source:benchmark", "benchmark")
        synchroniser = SourceSynchroniser(watched, store, SystemClock(), lambda _: None, lambda *_: None)
        seconds = []
        for _ in range(4):
            began = time.process_time()
            await synchroniser.sync()
            seconds.append(time.process_time() - began)
        tracemalloc.start()
        await synchroniser.sync()  # what it remembers is made anew in each round
        kept = tracemalloc.get_traced_memory()[0] / 2**20
        tracemalloc.stop()
        began = time.process_time()
        await SourceSynchroniser(watched, store, SystemClock(), lambda _: None, lambda *_: None).sync()
        started = time.process_time() - began
        insert = _insert_rows(store, Path(folder) / "bare.db")
        store.close()
    return seconds[0], min(seconds[1:]), started, insert, kept


def _insert_rows(store: Store, file: Path) -> float:
    """Processor seconds that SQLite takes to insert the same rows into a file, without indexes."""
    kinds = {
        name: kind for _, name, kind, *_ in store.db.execute("PRAGMA table_info(uploads)")
    }  # without computed ones
    columns = [f"{name} {kind}" for name, kind in kinds.items()]
    rows = store.db.execute(f"SELECT {', '.join(kinds)} FROM uploads").fetchall()
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"CREATE TABLE uploads ({', '.join(columns)})")
        began = time.process_time()
        with db:
            db.executemany(f"INSERT INTO uploads VALUES ({', '.join('?' * len(columns))})", rows)
        return time.process_time() - began


class _Lines:
    """A source that lists the same lines again and again."""

    name = "lines"

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines

    async def read(self, receive: LineReceiver, is_whole: ListingVerdict) -> Listing:
        for start in range(0, len(self._lines), 300):
            await receive(LineBatch(start + 1, self._lines[start : start + 300]))
        return Listing()


async def _fetch_bare(url: str, count: int) -> float:
    began, numbers = time.perf_counter(), iter(range(1, -(-count // 1000) + 1))
    async with httpx.AsyncClient(base_url=url) as http:

        async def work() -> None:
            for number in numbers:
                answer = await http.get("/api/v1/projects/p-1/uploads", params={"page": number, "per_page": 1000})
                assert answer.status_code == 200

        await asyncio.gather(*(work() for _ in range(6)))
    return time.perf_counter() - began


async def _fetch_all(url: str, file: Path, count: int) -> tuple[float, float]:
    store, times = Store(file), [0.0]
    began = time.perf_counter()

    def progress(done: int, _: int | None) -> None:
        if done == count and times[0] == 0.0:
            store.find(Query(sort=SortKey.SIZE), STUCK, 0, 50)
            times[0] = time.perf_counter() - began

    async with ServiceClient(url, Credentials(token="t")) as client:
        await Synchroniser(client, store, PROJECT, lambda _: None, progress).sync()
    indexed = time.perf_counter() - began
    assert store.find(Query(), STUCK, 0, 0).total == count
    store.close()
    return times[0], indexed


class _Pages:
    """A service in this process with 50 pending uploads; counts requests and bytes."""

    def __init__(self, count: int) -> None:
        self.count, self.pending, self.new = count, 50, 0
        self.template = template()
        self.requests = self.bytes_sent = 0

    def respond(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if "page" not in request.url.params:
            response = httpx.Response(404, json={"code": "not_provided", "reason": "Upload Not Found"})
        else:
            response = self._page(int(request.url.params["page"]), int(request.url.params["per_page"]))
        self.bytes_sent += len(response.content)
        return response

    def _page(self, page: int, per_page: int) -> httpx.Response:
        first, total = (page - 1) * per_page, self.count + self.new
        top = [
            resource(number - self.new, self.pending) for number in range(first, min(first + per_page, 60 + self.new))
        ]
        rest = b""
        if len(top) < per_page:
            numbers = range(max(first, 60 + self.new), min(first + per_page, total))
            rest = b",".join(page_body(number - self.new + 1, 1, total, self.template)[12:-2] for number in numbers)
        listed = b",".join([*(json.dumps(one).encode() for one in top), *([rest] if rest else [])])
        last = -(-total // per_page)
        headers = {
            "X-Total": str(total),
            "X-Per-Page": str(per_page),
            "X-Next-Page": str(page + 1) if page < last else "",
        }
        return httpx.Response(200, headers=headers, content=b'{"results":[' + listed + b"]}")


def sync_round(*, quick: bool) -> Sequence[Figure]:
    """A round with five new and 50 pending uploads, compared with reading all pages of 100."""
    return asyncio.run(_sync_round(10_000 if quick else 100_000))


async def _sync_round(count: int) -> Sequence[Figure]:
    service, store = _Pages(count), Store()
    transport = httpx.MockTransport(service.respond)
    async with ServiceClient("https://example.org", Credentials(token="t"), transport=transport) as client:
        synchroniser = Synchroniser(client, store, PROJECT, lambda _: None, lambda *_: None)
        await synchroniser.sync()
        all_bytes, all_requests = service.bytes_sent, count / 100
        service.new, service.requests, service.bytes_sent = 5, 0, 0
        await synchroniser.sync()
    assert store.find(Query(), STUCK, 0, 0).total == count + 5
    store.close()
    share = 100_000 / count / 100  # under 1 % of 100,000
    return [
        Figure("round: bytes, of all pages", service.bytes_sent, all_bytes, "bytes", share),
        Figure("round: requests, of all pages of 100", service.requests, all_requests, "requests", share),
    ]


def million(*, quick: bool) -> Sequence[Figure]:
    """Windows at both ends and in the middle, start, changes and memory, with a million uploads in the store."""
    count = 100_000 if quick else 1_000_000
    with TemporaryDirectory() as folder:
        file, empty = Path(folder) / "store.db", Path(folder) / "empty.db"
        fill(file, count)
        fill(empty, 0)
        store = Store(file)
        windows = list(_windows(store, count))
        changes = _changes_seconds(store)
        store.close()
        (start, memory), (empty_start, empty_memory) = _opened(file), _opened(empty)
    return [
        Figure(f"windows of {count:,}: median", median(windows), None, "ms", 5),
        Figure(f"windows of {count:,}: 95 of 100", sorted(windows)[int(len(windows) * 0.95)], None, "ms", 50),
        Figure("1,000 changes", changes, None, "s", 1),
        Figure("start with a full store, beyond an empty one", start - empty_start, None, "ms", 150),
        Figure("memory, beyond an empty store", memory - empty_memory, 60, "MiB", 1),
    ]


def growth(*, quick: bool) -> Sequence[Figure]:
    """How the time of a window grows with the uploads: at most logarithmically; the funnel and one upload not at all."""
    largest = 100_000 if quick else 1_000_000
    counts = [count for count in (1_000, 10_000, 100_000, 1_000_000) if count <= largest]
    costs = {count: _costs(count) for count in counts}
    first = costs[counts[0]]
    return [
        Figure(f"{name}, {count:,} / {counts[0]:,}", cost, first[name], "ms", _goal_of(name, count / counts[0]))
        for count in counts[1:]
        for name, cost in costs[count].items()
    ]


def _goal_of(name: str, times_as_many: float) -> float:
    """The factor by which a time may grow; twice the law, because the times are tenths of a millisecond."""
    return 2.0 if name in {"funnel", "one upload"} else 2.0 * (1 + log(times_as_many) / log(1000))


def _costs(count: int) -> Mapping[str, float]:
    """Milliseconds, as medians, of the queries of a key, a search and a repaint."""
    with TemporaryDirectory() as folder:
        fill(Path(folder) / "store.db", count)
        store = Store(Path(folder) / "store.db")
        picture = StorePicture(store, FrozenClock(NEWEST + timedelta(hours=1)), "https://example.org")
        by_size = Query(sort=SortKey.SIZE)
        upload_id = picture.window(Query(), 10, 1).rows[0].id
        figures = project_figures(picture, "https://example.org", PROJECT, NEWEST)
        queries: Mapping[str, Callable[[], object]] = {
            "first rows": lambda: picture.window(Query(), 0, 50),
            "last rows": lambda: picture.window(Query(), count - 50, 50),
            "middle rows": lambda: picture.window(Query(), count // 2, 50),
            "last rows by size": lambda: picture.window(by_size, count - 50, 50),
            "search": lambda: picture.window(Query(where=parse_query("sample_7")), 0, 50),
            "funnel": picture.funnel,
            "scrape": lambda: write_metrics(
                [], [project_figures(picture, "https://example.org", PROJECT, NEWEST, figures)]
            ),
            "one upload": lambda: picture.detail(upload_id),
        }
        costs = {name: median(_milliseconds(query) for _ in range(40)) for name, query in queries.items()}
        store.close()
    return costs


def _windows(store: Store, count: int) -> Iterator[float]:
    searched = (
        Query(where=parse_query("sample_12345")),
        Query(where=parse_query("98765"), sort=SortKey.NAME),
        Query(trouble_only=True),
    )
    stages = (Query(stages=frozenset({Stage.VERIFIED}), sort=sort) for sort in SortKey)
    for query in (
        *(Query(sort=sort, descending=down) for sort in SortKey for down in (True, False)),
        *stages,
        *searched,
    ):
        total = store.find(query, STUCK, 0, 0).total
        for offset in (0, 50, 100, total - 50, total - 100, total // 2, total // 2 + 50, total // 2 + 25):
            yield _milliseconds(lambda query=query, offset=offset: store.find(query, STUCK, max(0, offset), 50).uploads)  # type: ignore[misc]


def _changes_seconds(store: Store) -> float:
    """Seconds to store a thousand new uploads, ten at a time."""
    payloads: list[dict[str, Any]] = [resource(-1 - number) for number in range(1000)]

    def store_all() -> None:
        for start in range(0, 1000, 10):
            readings = [parse_upload_reading(payload, read_on=NEWEST) for payload in payloads[start : start + 10]]
            ingest(store, readings, "https://example.org")

    return _milliseconds(store_all) / 1000


def _opened(file: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "tests.benchmarks.programs.open_store", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    first, memory = map(float, done.stdout.split())
    return first, memory


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


BENCHMARKS = (full_scan, sync_round, source_listing, million, growth)
