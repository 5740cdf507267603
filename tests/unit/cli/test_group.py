"""Options that precede a command, or come without one."""

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
