"""Plan the cheapest requests for uploads at given positions of a long list.

A request has a fixed cost, measured in rows: a page with many unwanted rows may still be cheaper than many single requests.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

__all__ = ["PagePlan", "plan_pages"]

_SIZES = (20, 50, 100, 200, 500, 1000)
_REQUEST_COST_ROWS = 25
"""The fixed cost of a request, in rows."""


class PagePlan(Struct, frozen=True):
    """Pages (from 1) of one size; positions on none of them are requested one by one. `cost` is in rows."""

    per_page: int
    pages: tuple[int, ...]
    cost: float


def plan_pages(positions: Sequence[int], largest: int = _SIZES[-1]) -> PagePlan:
    """Find the cheapest plan for the uploads at these positions (from 0), with pages of at most `largest` rows."""
    sizes = {min(size, largest) for size in _SIZES}
    return min((_plan(positions, size) for size in sizes), key=lambda plan: (plan.cost, plan.per_page))


def _plan(positions: Sequence[int], size: int) -> PagePlan:
    page_cost = _REQUEST_COST_ROWS + size
    single_cost = _REQUEST_COST_ROWS + 1
    counts = Counter(position // size + 1 for position in positions)
    pages = tuple(sorted(page for page, count in counts.items() if count * single_cost > page_cost))
    single_count = sum(count for page, count in counts.items() if count * single_cost <= page_cost)
    return PagePlan(size, pages, len(pages) * page_cost + single_count * single_cost)
