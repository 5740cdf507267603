"""Measures several things in turn, so that whatever else the machine does meets all of them alike."""

import gc
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

__all__ = ["in_turn", "medians_in_turn", "share"]


def in_turn(measures: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """All values of each; the first round warms up and does not count."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(runs + 1):
        for name, measure in measures.items():
            gc.collect()
            value = measure()
            if number:
                values[name].append(value)
    return values


def medians_in_turn(measures: Mapping[str, Callable[[], float]], runs: int) -> dict[str, float]:
    """The median of each."""
    return {name: median(values) for name, values in in_turn(measures, runs).items()}


def share(values: Sequence[float], percent: int) -> float:
    """The percentile of some values."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]
