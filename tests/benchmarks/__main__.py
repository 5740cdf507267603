"""Runs the benchmarks, prints a table and optionally writes it as JSON.

    python -m tests.benchmarks [--quick] [--only WORD] [--json FILE] [--peers FOLDER]

It exits with 1 if a ratio misses its goal by more than a factor of two in three runs: the machine may be busy in one.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from inspect import signature
from pathlib import Path

from tests.benchmarks.figures import Figure

Benchmark = Callable[..., Sequence[Figure]]

_EXTRA_RUNS = 2
_MODULES = ("commands", "screen", "queries", "load", "memory", "monitor", "budget", "throughput", "service", "peers")
"""Each has a tuple `BENCHMARKS` of functions with a parameter `quick` that return figures."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for CI")
    parser.add_argument("--only", default="", metavar="WORD", help="only benchmarks with WORD in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--peers", type=Path, metavar="FOLDER", help="also measure similar programs, installed in FOLDER"
    )
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    print(_line("figure", "ours", "reference", "ratio", "goal", "met"))
    for name, benchmark in _benchmarks().items():
        if options.only in name:
            more = {"folder": options.peers} if "folder" in signature(benchmark).parameters else {}
            for figure in _measured(lambda run=benchmark, more=more: run(quick=options.quick, **more)):  # type: ignore[misc]
                figures.append(figure)
                print(_row(figure), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps([_record(figure) for figure in figures], indent=2), encoding="utf-8")
    return 1 if any(figure.is_far_off for figure in figures) else 0


def _benchmarks() -> Mapping[str, Benchmark]:
    modules = [import_module(f"tests.benchmarks.{name}") for name in _MODULES]
    return {
        f"{module.__name__.rpartition('.')[2]}.{benchmark.__name__}": benchmark
        for module in modules
        for benchmark in module.BENCHMARKS
    }


def _measured(benchmark: Callable[[], Sequence[Figure]]) -> Sequence[Figure]:
    """The figures of a benchmark; of the best of three runs if one is far off."""
    best = benchmark()
    for _ in range(_EXTRA_RUNS):
        if not any(figure.is_far_off for figure in best):
            break
        best = [min(pair, key=lambda figure: figure.shortfall) for pair in zip(best, benchmark(), strict=True)]
    return best


def _record(figure: Figure) -> Mapping[str, object]:
    return {**asdict(figure), "ratio": figure.ratio, "is_met": figure.is_met}


def _row(figure: Figure) -> str:
    bound = "<=" if figure.is_at_most else ">="
    return _line(
        figure.name,
        f"{figure.ours:,.4g} {figure.unit}",
        "" if figure.reference is None else f"{figure.reference:,.4g}",
        "" if figure.reference is None else f"{figure.ratio:.3g}",
        f"{bound} {figure.goal:.3g}",
        "yes" if figure.is_met else "no",
    )


def _line(name: str, ours: str, reference: str, ratio: str, goal: str, met: str) -> str:
    return f"{name:<58}{ours:>18}{reference:>12}{ratio:>9}{goal:>9}  {met}"


if __name__ == "__main__":
    sys.exit(main())
