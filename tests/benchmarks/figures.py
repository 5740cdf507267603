"""The result of a benchmark: a value, a reference from the same run, and the goal of their ratio."""

from dataclasses import dataclass

__all__ = ["Figure"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: what was measured.
        ours: the value of upload-tui.
        reference: the reference's value in the same unit, from the same run; None where there is none.
        unit: the unit of both.
        goal: the limit of the ratio of `ours` to `reference`; without a reference, of `ours`.
        is_at_most: True if the ratio must not be higher than the goal; False if it must not be lower.
        tolerance: the factor by which the goal may be missed before the benchmark fails.
    """

    name: str
    ours: float
    reference: float | None
    unit: str
    goal: float
    is_at_most: bool = True
    tolerance: float = 2

    @property
    def ratio(self) -> float:
        """`ours` divided by `reference`; `ours` if there is none."""
        if self.reference is None:
            return self.ours
        return self.ours / self.reference if self.reference else float("inf")

    @property
    def shortfall(self) -> float:
        """The distance from the goal as a factor; 1 or less if it is met."""
        if self.is_at_most:
            return self.ratio / self.goal
        return self.goal / self.ratio if self.ratio else float("inf")

    @property
    def is_met(self) -> bool:
        """True if the goal is met."""
        return self.shortfall <= 1

    @property
    def is_far_off(self) -> bool:
        """True if the goal is missed by more than the tolerance, which the load of the machine does not explain.

        Always False without a reference, because machines differ by more than that.
        """
        if self.reference is None:
            return False
        return self.shortfall > self.tolerance
