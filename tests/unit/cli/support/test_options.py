"""Types of options for durations and times."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.cli.support.options import parse_duration, parse_since


@given(st.text())
def test_any_text_is_accepted_or_a_usage_error(text: str) -> None:
    for parse in (parse_duration, parse_since):
        try:
            parse(text)
        except click.BadParameter as error:
            assert error.message  # noqa: PT017  # that nothing else is raised is the point


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "1w", "soon"])
def test_a_duration_must_be_greater_than_zero(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_duration(text)


@pytest.mark.parametrize("text", ["999999999d", "2026-13-01", "yesterday", ""])
def test_other_texts_are_not_times(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_since(text)
