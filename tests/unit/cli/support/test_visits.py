"""Recording the last visit, and what it was a visit to."""

from upload_tui.cli.support.visits import VisitKey, last_visit_file, record_visit, visit_key
from upload_tui.settings import ServiceSettings
from upload_tui.testing import InMemorySession, an_upload

URL = "https://example.org"
KEY = VisitKey((URL,))


async def test_next_visit_gets_the_recorded_one_unless_its_file_is_damaged() -> None:
    session = InMemorySession([an_upload("stuck.bin", initiated=9000, completed=8000)])
    async with record_visit(KEY, session) as first:
        assert first is None
    async with record_visit(KEY, session) as second:
        assert second is not None
        assert second.on == session.picture.clock.now()
        assert len(second.overdue_ids) == 1
    last_visit_file(KEY, "dashboard").write_text("{")
    async with record_visit(KEY, session) as third:
        assert third is None
    session.close()


def test_a_visit_is_to_services_projects_and_an_account_however_they_are_written() -> None:
    two = ServiceSettings(url="https://two.example.org")
    visits = [
        [[ServiceSettings(url=URL)], [ServiceSettings(url=f"{URL}/api/v1/")]],
        [[ServiceSettings(url=URL, user_key="k")]],
        [[ServiceSettings(url=URL, projects=names)] for names in (("a", "b"), ("b", "a"))],
        [[ServiceSettings(url="", command=("list", "a b"))]],
        [[ServiceSettings(url="", command=("list", "a", "b"))]],
        [[ServiceSettings(url=URL), two]],
        [[ServiceSettings(url=URL, projects=("a", "b")), two]],
        [[ServiceSettings(url=URL, projects=("a",)), ServiceSettings(url=URL, projects=("b",))]],
    ]
    files = [{last_visit_file(visit_key(settings), "dashboard") for settings in same} for same in visits]
    assert [len(same) for same in files] == [1] * len(visits)
    assert len(set.union(*files)) == len(visits)
    assert last_visit_file(KEY, "report") != last_visit_file(KEY, "dashboard")
