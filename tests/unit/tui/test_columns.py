"""Which columns there are at which width, and what a person may wish for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.errors import SettingsError
from upload_tui.monitor import SortKey
from upload_tui.tui.appearance.columns import Column, ColumnKey, ColumnSpec, fit_columns, parse_columns, title_text
from upload_tui.tui.appearance.glyphs import UNICODE

WISHES = st.lists(
    st.builds(ColumnSpec, st.sampled_from(ColumnKey), st.none() | st.integers(1, 60)), unique_by=lambda wish: wish.key
)


@given(width=st.integers(1, 300), absolute=st.booleans(), several=st.booleans(), wishes=WISHES)
def test_columns_fit_whatever_is_wished_for(
    width: int, absolute: bool, several: bool, wishes: list[ColumnSpec]
) -> None:
    columns = fit_columns(width, absolute_times=absolute, several_projects=several, specs=wishes)
    assert columns
    if len(columns) > 1:
        assert sum(column.width for column in columns) + len(columns) - 1 <= max(width, 18)


def test_rows_of_several_services_say_which_is_theirs_where_there_is_room() -> None:
    keys = [column.key for column in fit_columns(120, several_projects=True, several_services=True)]
    assert keys == ["stage", "name", "size", "since", "project", "service", "note"]
    assert "service" not in {column.key for column in fit_columns(60, several_projects=True, several_services=True)}


def widths_at(width: int, **options: bool) -> dict[str, int]:
    return {column.key: column.width for column in fit_columns(width, **options)}


@pytest.mark.parametrize("absolute", [False, True], ids=["ages", "times"])
def test_names_have_room_and_progress_is_there_when_the_timeline_stands_beside(absolute: bool) -> None:
    beside_timeline = 120 - 42 - 4  # frame, scroll bar and the cell for the mark
    widths = widths_at(beside_timeline, absolute_times=absolute)
    assert widths["name"] >= (25 if absolute else 26)
    assert widths["note"] >= len("bad chunk hash")


def test_times_of_other_days_have_their_hour_where_there_is_room() -> None:
    assert widths_at(74, absolute_times=True)["since"] == len("13:00:05")
    assert widths_at(120, absolute_times=True)["since"] == len("12 Mar 13:00")


@pytest.mark.parametrize("key", [ColumnKey.SINCE, ColumnKey.STARTED])
def test_the_arrow_points_down_when_what_the_cells_show_falls(key: ColumnKey) -> None:
    column = Column(key, "Since", 7, sort=SortKey.SINCE)
    oldest_first = title_text(column, SortKey.SINCE, False, UNICODE)
    assert oldest_first == "Since↓ "
    assert title_text(column, SortKey.SINCE, False, UNICODE, absolute_times=True) == "Since↑ "
    name = Column(ColumnKey.NAME, "Name", 7, sort=SortKey.NAME)
    assert title_text(name, SortKey.NAME, True, UNICODE) == "Name↓  "


def test_wishes_are_kept_in_order_when_there_is_room() -> None:
    wishes = parse_columns(["id", "name:30", "took", "stage"])
    columns = fit_columns(120, specs=wishes)
    assert [column.key for column in columns] == ["id", "name", "took", "stage"]
    assert columns[1].width == 30


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["nmae"], "no column 'nmae'"),
        (["name", "name:3"], "name is there twice"),
        (["name:wide"], "'wide' is no width"),
        (["name:0"], "'0' is no width"),
    ],
    ids=["unknown", "twice", "no number", "nothing"],
)
def test_a_sentence_is_said_when_a_wish_cannot_be_met(texts: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        parse_columns(texts)
