"""Opens a store and asks for some windows: `python -m tests.benchmarks.programs.open_store FILE`.

It prints the milliseconds to the first rows, and the memory of the process in MiB after windows of all orders.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

from tests.benchmarks.uploads import NEWEST
from upload_tui.monitor.picture import Query, SortKey
from upload_tui.monitor.store import Store
from upload_tui.monitor.store_conditions import StuckBefore


def resident_mib() -> float:
    """The memory that this process holds now; its highest where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main(file: Path) -> None:
    stuck = StuckBefore(NEWEST - timedelta(seconds=900), NEWEST)
    began = time.perf_counter()
    store = Store(file)
    store.window(Query(), stuck, 0, 50)
    first = (time.perf_counter() - began) * 1000
    for sort in SortKey:
        total = store.total(Query(sort=sort), stuck)
        for offset in (0, total // 2, max(0, total - 50)):
            store.window(Query(sort=sort), stuck, offset, 50)
    store.window(Query(search="12345"), stuck, 0, 50)
    sys.stdout.write(f"{first} {resident_mib()}\n")
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
