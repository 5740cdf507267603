"""Opens a store and reads some windows: `python -m tests.benchmarks.programs.open_store FILE`.

Prints the milliseconds to the first rows, and the memory of the process in MiB after windows of all orders.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil

from tests.benchmarks.uploads import NEWEST
from upload_tui.monitor import Query, SortKey, Store
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.store.conditions import TroubleThresholds, WaitThresholds


def main(file: Path) -> None:
    late = WaitThresholds(NEWEST - timedelta(seconds=900), NEWEST)
    stuck = TroubleThresholds(late, NEWEST - timedelta(days=1), late, NEWEST)
    began = time.perf_counter()
    store = Store(file)
    store.find(Query(), stuck, 0, 50)
    first = (time.perf_counter() - began) * 1000
    for sort in SortKey:
        total = store.find(Query(sort=sort), stuck, 0, 0).total
        for offset in (0, total // 2, max(0, total - 50)):
            store.find(Query(sort=sort), stuck, offset, 50)
    store.find(Query(where=parse_query("12345")), stuck, 0, 50)
    sys.stdout.write(f"{first} {psutil.Process().memory_info().rss / (1 << 20)}\n")
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
