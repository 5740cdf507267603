"""How soon the command line answers."""

import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial

from tests.benchmarks.figures import Figure
from tests.benchmarks.turns import medians_in_turn

__all__ = ["BENCHMARKS"]


def first_answer(*, quick: bool) -> Sequence[Figure]:
    """`--version` and `--help` against importing the command library alone."""
    runs = 5 if quick else 25
    commands = {
        "--version": [sys.executable, "-m", "upload_tui", "--version"],
        "--help": [sys.executable, "-m", "upload_tui", "--help"],
        "reference": [sys.executable, "-c", "import click"],
    }
    seconds = medians_in_turn({name: partial(_seconds_of, words) for name, words in commands.items()}, runs)
    return [
        Figure(f"upload-tui {name}, whole process", seconds[name] * 1000, seconds["reference"] * 1000, "ms", 1.6)
        for name in ("--version", "--help")
    ]


def _seconds_of(words: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - began


BENCHMARKS = (first_answer,)
