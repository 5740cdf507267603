"""Which pages to read so that given places in a long list are seen, for the least. Pure; used by the synchroniser.

A request costs as much as so many rows: a page with much on it that nobody asked for may still be cheaper than many requests.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

__all__ = ["PagePlan", "plan_pages"]

_SIZES = (20, 50, 100, 200, 500, 1000)
_REQUEST_COST_ROWS = 25
"""What a request costs beside its rows, in rows."""


class PagePlan(Struct, frozen=True):
    """Pages (from 1) of one size; the places that none of them shows are asked for one by one."""

    per_page: int
    pages: tuple[int, ...]
    cost: float


def plan_pages(places: Sequence[int], largest: int = _SIZES[-1]) -> PagePlan:
    """The cheapest way to see what stands at these places (from 0), with pages of at most `largest` rows."""
    sizes = {min(size, largest) for size in _SIZES}
    return min((_plan(places, size) for size in sizes), key=lambda plan: (plan.cost, plan.per_page))


def _plan(places: Sequence[int], size: int) -> PagePlan:
    by_page = _REQUEST_COST_ROWS + size
    alone = _REQUEST_COST_ROWS + 1
    counts = Counter(place // size + 1 for place in places)
    pages = tuple(sorted(page for page, count in counts.items() if count * alone > by_page))
    single = sum(count for page, count in counts.items() if count * alone <= by_page)
    return PagePlan(size, pages, len(pages) * by_page + single * alone)
