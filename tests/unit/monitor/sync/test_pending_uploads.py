"""Which requests refresh pending uploads."""

from upload_tui.monitor.sync.pending_uploads import plan_pages


def test_pages_are_planned_for_close_positions_and_single_requests_for_others() -> None:
    close = plan_pages(range(50))
    assert (close.per_page, close.pages) == (50, (1,))
    far = plan_pages([5, 70_000, 990_000])
    assert far.pages == ()
    both = plan_pages([*range(40), 90_000])
    assert both.pages == (1,)
    assert plan_pages(range(30), largest=10).per_page == 10
