"""Types of options for durations and times."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.cli.support.options import parse_seconds, parse_since, service_options
from upload_tui.errors import UsageError
from upload_tui.settings import Flags


@given(st.text())
def test_any_text_is_accepted_or_a_usage_error(text: str) -> None:
    for parse in (parse_seconds, parse_since):
        try:
            parse(text)
        except click.BadParameter as error:
            assert error.message  # noqa: PT017  # that nothing else is raised is the point


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "1w", "soon"])
def test_a_duration_must_be_greater_than_zero(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["999999999d", "2026-13-01", "yesterday", ""])
def test_other_texts_are_not_times(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_since(text)


@pytest.mark.parametrize(
    ("words", "profile"),
    [
        ([], None),
        (["--profile", "a"], "a"),
        (["--profile", "a", "--profile", "a"], "a"),
        (["--profile", "a", "--profile", "b"], UsageError),
    ],
)
def test_a_command_for_one_service_refuses_several_profiles(
    words: list[str], profile: str | type[Exception] | None
) -> None:
    @click.command
    @service_options
    def command(*, flags: Flags) -> str | None:
        return flags.profile

    if profile is UsageError:
        with pytest.raises(UsageError, match="One --profile is allowed here, not a and b"):
            command.main(words, standalone_mode=False)
    else:
        assert command.main(words, standalone_mode=False) == profile
