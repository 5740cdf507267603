"""Options that precede a command, or come without one."""

import sys
from collections.abc import Iterator

import click
import pytest

from upload_tui.cli.group import upload_tui


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("list --url u", "list --url u"),
        ("--url u list --limit 3", "list --url u --limit 3"),
        ("--url=u --insecure-http wait x", "wait --url=u --insecure-http x"),
        ("--profile list", "watch --profile list"),
        ("--profile list list", "list --profile list"),
        ("--url u", "watch --url u"),
        ("--url u --project p", "watch --url u --project p"),
        ("--debug --url u list", "list --url u"),
        ("--nonsense list", "list --nonsense"),
        ("--url u Genome", "watch --url u Genome"),
        ("--url", "watch --url"),
    ],
)
def test_options_belong_to_the_command_that_follows_or_to_watch(typed: str, expected: str) -> None:
    context = click.Context(upload_tui)
    upload_tui.parse_args(context, typed.split())
    assert [*context._protected_args, *context.args] == expected.split()


def _options() -> Iterator[tuple[click.Command, click.Option]]:
    context = click.Context(upload_tui)
    for name in upload_tui.list_commands(context):
        command = upload_tui.get_command(context, name)
        assert command is not None
        for option in command.params:
            if isinstance(option, click.Option):
                yield command, option


@pytest.mark.parametrize(
    ("kind", "typed"),
    [(click.types.FloatParamType, "nan"), (click.IntRange, str(sys.maxsize + 1))],
    ids=["nan", "large"],
)
def test_a_number_that_no_command_can_use_is_refused(kind: type, typed: str) -> None:
    options = [(command, option) for command, option in _options() if isinstance(option.type, kind)]
    assert options
    for command, option in options:
        context = click.Context(command)
        with pytest.raises(click.BadParameter):
            option.type_cast_value(context, (typed,) if option.multiple else typed)
