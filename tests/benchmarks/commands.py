"""The time of `--version` and `--help`."""

import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial

from tests.benchmarks.figures import Figure
from tests.benchmarks.sampling import interleaved_medians

__all__ = ["BENCHMARKS"]


def first_answer(*, quick: bool) -> Sequence[Figure]:
    """The whole process of `--version` and `--help`, compared with importing click."""
    runs = 5 if quick else 25
    commands = {
        "--version": [sys.executable, "-m", "upload_tui", "--version"],
        "--help": [sys.executable, "-m", "upload_tui", "--help"],
        "reference": [sys.executable, "-c", "import click"],
    }
    seconds = interleaved_medians({name: partial(_run_seconds, command) for name, command in commands.items()}, runs)
    return [
        Figure(f"upload-tui {name}, whole process", seconds[name] * 1000, seconds["reference"] * 1000, "ms", 1.6)
        for name in ("--version", "--help")
    ]


def _run_seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


BENCHMARKS = (first_answer,)
