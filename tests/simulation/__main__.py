"""Simulate services, sessions, commands and failures: `python -m tests.simulation --minutes 1`, `--seed N`, `--statements`.

A failure prints the line that runs it again, with as few events as were found to be enough.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from _pytest.capture import FDCapture, MultiCapture

from tests.simulation.events import draw_events, draw_options
from tests.simulation.faults import FILE_FAILURES, STATEMENT_FAILURES
from tests.simulation.marks import MARKS
from tests.simulation.operations import FILE_OPERATIONS, STATEMENT_OPERATIONS, try_all
from tests.simulation.run import MAX_SHRINK_EVENTS, run_seed, shrink
from tests.unit.cli.virtual_program import Capture


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments name; 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="the seed to run, or the first one of --minutes")
    parser.add_argument("--events", type=_numbers, help="only these of its events, such as 0-4,9, or none")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    parser.add_argument("--minutes", type=_minutes, help="run fresh seeds for so long")
    parser.add_argument(
        "--statements", action="store_true", help="let each statement and each call for a file fail once"
    )
    parser.add_argument("--only", default="", help="only operations with this word in their name")
    parser.add_argument("--step", type=_step, help="let only each STEPth fail")
    options = parser.parse_args(arguments)
    if mistake := _mistake(options):
        parser.error(mistake)
    with _captured() as capture:
        if options.statements:
            return _try_statements(capture, options.only, options.step or 1)
        if options.minutes is None and options.seed is not None:
            return _run_one(capture, options.seed, options.events, has_trace=options.trace)
        first = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
        return _run_many(capture, first, options.minutes or 1.0)


def _mistake(options: argparse.Namespace) -> str:
    """What is wrong with arguments that are right by themselves; empty if nothing is."""
    is_one_run = options.seed is not None and options.minutes is None and not options.statements
    if not is_one_run and (options.events is not None or options.trace):
        return "--events and --trace need --seed alone"
    if options.statements and (options.seed is not None or options.minutes is not None):
        return "--statements runs no seed"
    if not options.statements and (options.only or options.step):
        return "--only and --step need --statements"
    if not any(options.only in operation for operation in _OPERATIONS):
        return f"no operation has {options.only!r} in its name; there are {'; '.join(_OPERATIONS)}"
    if options.events:
        count = len(draw_events(options.seed, draw_options(options.seed)))
        if unknown := [number for number in sorted(options.events) if number >= count]:
            return f"seed {options.seed} has no event {unknown[0]}: the last one is {count - 1}"
    return ""


_OPERATIONS = (*STATEMENT_OPERATIONS, *FILE_OPERATIONS)
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


def _numbers(text: str) -> frozenset[int]:
    """Numbers of events, such as `0-4,9`, or `none`."""
    ranges = [part.partition("-") for part in text.split(",")] if text != "none" else []
    try:
        parts = [range(int(first), int(last if dash else first) + 1) for first, dash, last in ranges]
    except ValueError:
        parts = [range(0)]
    if not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0-4,9, nor none")
    return frozenset(number for part in parts for number in part)


def _step(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _minutes(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0")


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
    ends, seed, failures = time.monotonic() + minutes * 60, first, list[int]()
    events, marks, failed, seconds = Counter[str](), Counter[str](), Counter[str](), 0.0
    with suppress(KeyboardInterrupt):  # which still prints the sums
        while time.monotonic() < ends:
            outcome = run_seed(capture, seed)
            events, marks, seconds = events + outcome.event_counts, marks + outcome.marks, seconds + outcome.seconds
            failed += outcome.failed_calls
            if outcome.failure:
                _out.write(f"seed {seed}: {outcome.failure}\n  {outcome.replay}\n")
                failures.append(seed)  # also if it is interrupted now
                _out.write(f"  looking for fewer events that fail, by running at most {MAX_SHRINK_EVENTS}\n")
                small = shrink(capture, outcome)
                _out.write(f"  {small.replay}\n  {small.failure}\n")
            seed += 1
    _out.write(f"{seed - first} runs, {seconds / 3600:.1f} virtual hours, {len(failures)} failures\n")
    for title, counts in (("events", events), ("failed calls", failed), ("marks", marks)):
        _out.write(f"{title}: " + ", ".join(f"{count} {name}" for name, count in counts.most_common()) + "\n")
    _out.write("marks never met: " + (", ".join(name for name in MARKS if name not in marks) or "none") + "\n")
    return int(bool(failures))


def _try_statements(capture: Capture, only: str, step: int) -> int:
    code = 0
    for operation in _OPERATIONS:
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
