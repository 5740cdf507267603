"""Break the product: `python -m tests.simulation --minutes 1`, `--seed N`, `--statements`.

A failure prints the line that runs it again, with as few events as were found to be enough.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from _pytest.capture import FDCapture, MultiCapture

from tests.simulation.faults import FILE_FAILURES, STATEMENT_FAILURES
from tests.simulation.marks import MARKS
from tests.simulation.operations import FILE_OPERATIONS, STATEMENT_OPERATIONS, try_all
from tests.simulation.run import Outcome, run_seed, shrink
from tests.unit.cli.virtual_program import Capture


def main() -> int:
    """Run what the arguments name; 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="the seed to run, or the first one of --minutes")
    parser.add_argument("--events", help="only these of its events, such as 0-4,9, or none")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    parser.add_argument("--minutes", type=float, help="run fresh seeds for so long")
    parser.add_argument(
        "--statements", action="store_true", help="let each statement and each call for a file fail once"
    )
    parser.add_argument("--only", default="", help="only operations with this word in their name")
    parser.add_argument("--step", type=int, default=1, help="let only each STEPth fail")
    options = parser.parse_args()
    with _captured() as capture:
        if options.statements:
            return _try_statements(capture, options.only, options.step)
        if options.minutes is None and options.seed is not None:
            return _run_one(capture, options.seed, _numbers(options.events), has_trace=options.trace)
        first = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
        return _run_many(capture, first, options.minutes or 1.0)


_out = os.fdopen(os.dup(1), "w", buffering=1)
"""Standard output; what commands print is captured."""


@contextmanager
def _captured() -> Iterator[Capture]:
    capture = MultiCapture(in_=None, out=FDCapture(1), err=FDCapture(2))
    capture.start_capturing()
    try:
        yield capture
    finally:
        capture.stop_capturing()


def _numbers(text: str | None) -> frozenset[int] | None:
    if text is None:
        return None
    ranges = [part.partition("-") for part in text.split(",")] if text != "none" else []
    return frozenset(number for first, _, last in ranges for number in range(int(first), int(last or first) + 1))


def _run_one(capture: Capture, seed: int, kept: frozenset[int] | None, *, has_trace: bool) -> int:
    outcome = run_seed(capture, seed, kept)
    _out.write(f"{outcome.options}\n")
    for event in outcome.events:
        _out.write(f"  {event}\n")
    if has_trace:
        _out.writelines(f"  {line}\n" for line in outcome.trace)
    _out.write(f"{outcome.detail or 'all held'}\ntrace {outcome.digest}, {outcome.seconds:.0f} virtual seconds\n")
    return int(bool(outcome.failure))


def _run_many(capture: Capture, first: int, minutes: float) -> int:
    _out.write(f"fresh seeds from {first} for {minutes:g} minutes\n")
    ends, seed, failures = time.monotonic() + minutes * 60, first, list[Outcome]()
    kinds, marks, failed, seconds = Counter[str](), Counter[str](), Counter[str](), 0.0
    with suppress(KeyboardInterrupt):  # which still prints the sums
        while time.monotonic() < ends:
            outcome = run_seed(capture, seed)
            kinds, marks, seconds = kinds + outcome.kinds, marks + outcome.marks, seconds + outcome.seconds
            failed += outcome.failed
            if outcome.failure:
                _out.write(f"seed {seed}: {outcome.failure}\n  {outcome.replay}\n")
                small = shrink(capture, outcome)
                _out.write(f"  {small.replay}\n  {small.failure}\n")
                failures.append(small)
            seed += 1
    _out.write(f"{seed - first} histories, {seconds / 3600:.1f} virtual hours, {len(failures)} failures\n")
    for title, counts in (("events", kinds), ("failed", failed), ("marks", marks)):
        _out.write(f"{title}: " + ", ".join(f"{count} {name}" for name, count in counts.most_common()) + "\n")
    _out.write("never met: " + (", ".join(name for name in MARKS if name not in marks) or "none") + "\n")
    return int(bool(failures))


def _try_statements(capture: Capture, only: str, step: int) -> int:
    code = 0
    for operation in [*STATEMENT_OPERATIONS, *FILE_OPERATIONS]:
        for failure in FILE_FAILURES if operation in FILE_OPERATIONS else STATEMENT_FAILURES:
            if only in operation:
                try:
                    _out.write(f"{try_all(capture, operation, failure, step)}\n")
                except AssertionError as error:
                    _out.write(f"FAILED: {error}\n")
                    code = 1
    return code


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a trace
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
