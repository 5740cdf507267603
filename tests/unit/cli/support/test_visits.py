"""Recording the last visit to the dashboard."""

from upload_tui.cli.support.visits import VisitKey, last_visit_file, record_visit
from upload_tui.testing import InMemorySession, an_upload

KEY = VisitKey(("https://example.org",))


async def test_next_visit_gets_the_recorded_one_unless_its_file_is_damaged() -> None:
    session = InMemorySession([an_upload("stuck.bin", initiated=9000, completed=8000)])
    async with record_visit(KEY, session) as first:
        assert first is None
    async with record_visit(KEY, session) as second:
        assert second is not None
        assert second.on == session.picture.now()
        assert len(second.overdue_ids) == 1
    last_visit_file(KEY, "dashboard").write_text("{")
    async with record_visit(KEY, session) as third:
        assert third is None
    session.close()
