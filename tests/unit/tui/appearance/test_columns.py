"""Which columns fit which width, and how columns are configured."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.errors import SettingsError
from upload_tui.monitor import SortKey
from upload_tui.tui.appearance.columns import (
    Column,
    ColumnKey,
    ColumnSpec,
    fit_columns,
    parse_columns,
    title_text,
)
from upload_tui.tui.appearance.glyphs import UNICODE

SPECS = st.lists(
    st.builds(ColumnSpec, st.sampled_from(ColumnKey), st.none() | st.integers(1, 60)), unique_by=lambda spec: spec.key
)


@given(width=st.integers(1, 300), absolute=st.booleans(), several=st.booleans(), specs=SPECS)
def test_any_configured_columns_fit_the_width(
    width: int, absolute: bool, several: bool, specs: list[ColumnSpec]
) -> None:
    columns = fit_columns(width, absolute_times=absolute, several_projects=several, specs=specs)
    assert columns
    if len(columns) > 1:
        assert sum(column.width for column in columns) + len(columns) - 1 <= max(width, 18)


@pytest.mark.parametrize("several_services", [False, True], ids=["projects", "services"])
@pytest.mark.parametrize("width", [120 - 42 - 4, 80 - 4, 120 - 4, 160])
def test_project_service_and_progress_are_shown_together(width: int, several_services: bool) -> None:
    columns = fit_columns(width, several_projects=True, several_services=several_services)
    places = ["project", "service"] if several_services else ["project"]
    keys = [column.key for column in columns if column.key is not ColumnKey.SIZE]
    assert keys == ["stage", "name", "since", *places, "note"]
    widths = {column.key: column.width for column in columns}
    assert widths[ColumnKey.NOTE] >= len("bad chunk hash")
    assert widths[ColumnKey.NAME] >= 16


@given(width=st.integers(1, 300), several_services=st.booleans())
def test_progress_stays_longer_than_project_and_service(width: int, several_services: bool) -> None:
    keys = {column.key for column in fit_columns(width, several_projects=True, several_services=several_services)}
    assert ColumnKey.NOTE in keys or not keys & {ColumnKey.PROJECT, ColumnKey.SERVICE}


def test_the_settings_also_take_a_title() -> None:
    assert parse_columns(["Details:20", "name"]) == (ColumnSpec(ColumnKey.NOTE, 20), ColumnSpec(ColumnKey.NAME))


def test_every_column_has_a_sort_key() -> None:
    columns = fit_columns(300, specs=[ColumnSpec(key, 10) for key in ColumnKey])
    assert len(columns) == len(ColumnKey)
    assert {*(column.sort for column in columns), SortKey.TROUBLE} == set(SortKey)


@pytest.mark.parametrize(
    ("terminal_width", "stage", "name", "note"),
    [(60, 2, 28, 14), (80, 2, 28, 22), (200, 15, 50, 40)],
)
def test_names_and_notes_get_the_room_that_is_there(terminal_width: int, stage: int, name: int, note: int) -> None:
    timeline = 64 if terminal_width == 200 else 0
    widths = widths_at(terminal_width - timeline - 4)
    assert widths["stage"] == stage
    assert widths["name"] >= name
    assert widths["note"] >= note


def widths_at(width: int, **options: Any) -> dict[str, int]:
    return {column.key: column.width for column in fit_columns(width, **options)}


@pytest.mark.parametrize("absolute", [False, True], ids=["ages", "times"])
def test_name_and_progress_are_wide_enough_beside_the_timeline(absolute: bool) -> None:
    beside_timeline = 120 - 42 - 4  # border, scroll bar and the cell for the mark
    widths = widths_at(beside_timeline, absolute_times=absolute)
    assert widths["name"] >= (25 if absolute else 26)
    assert widths["note"] >= len("bad chunk hash")


def test_a_project_is_not_wider_than_names_and_gives_way_before_the_size() -> None:
    names = [f"Genome {number:02d}" for number in range(31)]
    widths = [
        widths_at(76, several_projects=True, names={ColumnKey.PROJECT: tuple(texts)})
        for texts in (names, [f"{name} of the institute" for name in names], ["a"])
    ]
    assert [one["project"] for one in widths] == [9, 11, 8]
    assert all("size" in one for one in widths)
    narrow = widths_at(74, several_projects=True)
    assert ("size" in narrow, narrow["project"]) == (False, 14)


def test_times_of_other_days_include_the_hour_in_a_wide_table() -> None:
    assert widths_at(74, absolute_times=True)["since"] == len("13:00:05")
    assert widths_at(120, absolute_times=True)["since"] == len("12 Mar 13:00")


@pytest.mark.parametrize("key", [ColumnKey.SINCE, ColumnKey.STARTED])
def test_the_arrow_points_down_if_the_shown_values_descend(key: ColumnKey) -> None:
    column = Column(key, "Since", 7, sort=SortKey.SINCE)
    oldest_first = title_text(column, SortKey.SINCE, False, UNICODE)
    assert oldest_first == "Since↓ "
    assert title_text(column, SortKey.SINCE, False, UNICODE, absolute_times=True) == "Since↑ "
    name = Column(ColumnKey.NAME, "Name", 7, sort=SortKey.NAME)
    assert title_text(name, SortKey.NAME, True, UNICODE) == "Name↓  "


def test_configured_columns_keep_their_order_and_width() -> None:
    specs = parse_columns(["id", "name:30", "took", "stage"])
    columns = fit_columns(120, specs=specs)
    assert [column.key for column in columns] == ["id", "name", "took", "stage"]
    assert columns[1].width == 30


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["nmae"], "no column 'nmae'"),
        (["name", "name:3"], "name is listed twice"),
        (["name:wide"], "invalid width 'wide'"),
        (["name:0"], "invalid width '0'"),
    ],
    ids=["unknown", "repeated", "no number", "zero"],
)
def test_invalid_columns_raise_an_error(texts: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_columns(texts)
