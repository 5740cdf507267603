"""What a benchmark gives: a figure of ours beside a reference from the same run, and the goal of their ratio."""

from dataclasses import dataclass

__all__ = ["Figure"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: what was measured.
        ours: our value.
        reference: the reference's value in the same unit, from the same run; where there is no reference, 1.
        unit: of both.
        goal: the bound of the ratio of ours to the reference.
        is_at_most: True if the ratio must not be higher than the goal; False if it must not be lower.
    """

    name: str
    ours: float
    reference: float
    unit: str
    goal: float
    is_at_most: bool = True

    @property
    def ratio(self) -> float:
        """Ours in units of the reference."""
        return self.ours / self.reference if self.reference else float("inf")

    @property
    def is_met(self) -> bool:
        """True if the goal is reached."""
        return self.ratio <= self.goal if self.is_at_most else self.ratio >= self.goal

    @property
    def is_far_off(self) -> bool:
        """True if the goal is missed by more than a factor of two: then something broke, whatever the machine does."""
        return self.ratio > 2 * self.goal if self.is_at_most else self.ratio < self.goal / 2
