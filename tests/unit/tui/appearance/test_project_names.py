"""The names of projects in lists: as wide as there is room for, and never the same for two projects."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from upload_tui.monitor import ProjectRef, UploadRef
from upload_tui.tui.appearance.project_names import project_names_of

_NAMES = st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=8, unique=True)


def refs(*names: str) -> tuple[ProjectRef, ...]:
    return tuple(ProjectRef(f"p-{n}", name) for n, name in enumerate(names))


@given(names=_NAMES, room=st.integers(0, 120), least=st.integers(0, 40), more=st.integers(0, 30))
def test_a_column_of_names_leaves_the_rest_its_least_cells(names: list[str], room: int, least: int, more: int) -> None:
    places = project_names_of(refs(*names))
    cells = places.cells(room, least, least + more)
    assert 0 <= cells <= places.longest
    assert cells == 0 or room - cells >= least
    assert room - least - more < places.longest or cells == places.longest


@given(
    count=st.integers(2, 30),
    cells=st.integers(8, 30),
    start=st.sampled_from(["Genome ", "a very long name of a project "]),
)
def test_shortened_names_differ_and_fill_their_cells(count: int, cells: int, start: str) -> None:
    projects = refs(*(f"{start}{n:02d}" for n in range(count)))
    places = project_names_of(projects)
    texts = [places.text(UploadRef("1", "a", one.id, one.name), cells, "…") for one in projects]
    assert {cell_len(text) for text in texts} == {cells}
    assert len({*texts}) == count


def test_one_project_needs_no_name_and_one_of_several_services_has_the_name_in_the_header() -> None:
    assert project_names_of(refs("Genome")).cells(100, 10, 20) == 0
    east, west = "https://east.example.org", "https://west.example.org"
    places = project_names_of((ProjectRef(f"{east} p-1", "east/Genome"), ProjectRef(f"{west} p-1", "west/Genome")))
    assert places.text(UploadRef("1", "a", "p-1", "Genome", west), 14, "…") == "west/Genome   "
    assert places.text(UploadRef("1", "a", "p-9", "Plates", west), 8, "…") == "Plates  "
