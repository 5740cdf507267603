"""What a benchmark gives: a figure of ours beside a reference that was measured in the same run."""

from dataclasses import dataclass

__all__ = ["Figure"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measurement, judged by its ratio to the reference so that it holds on any machine.

    Attributes:
        name: what was measured, against what.
        ours, reference: in `unit`.
        goal: the bound of the ratio.
        is_at_most: True if the ratio may be at most the goal, False if it must be at least that.
    """

    name: str
    ours: float
    reference: float
    unit: str
    goal: float
    is_at_most: bool

    @property
    def ratio(self) -> float:
        """Ours in references."""
        return self.ours / self.reference

    @property
    def is_met(self) -> bool:
        """True if the goal is reached."""
        return self.ratio <= self.goal if self.is_at_most else self.ratio >= self.goal
