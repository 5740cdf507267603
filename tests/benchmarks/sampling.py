"""Takes samples of several measurements alternately, so that the load of the machine affects all of them alike."""

import gc
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

__all__ = ["interleave", "interleaved_medians", "percentile"]


def interleave(measures: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """All values of each measurement; the first round is a warm-up and is dropped."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(runs + 1):
        for name, measure in measures.items():
            gc.collect()
            value = measure()
            if number:
                values[name].append(value)
    return values


def interleaved_medians(measures: Mapping[str, Callable[[], float]], runs: int) -> dict[str, float]:
    """The median of each measurement, sampled alternately."""
    return {name: median(values) for name, values in interleave(measures, runs).items()}


def percentile(values: Sequence[float], percent: int) -> float:
    """A percentile of values; `percent` is from 1 to 99."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]
