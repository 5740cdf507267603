"""Shell completion: click's, which also completes the value in `--option=value` in each shell."""

from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    shell_complete,
)

__all__ = ["complete"]


class _BashWords(BashComplete):
    """Bash splits words at `=`; click expects the option before its value."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        return [word for word in args if word != "="], incomplete


class _WholeWords(ShellComplete):
    """Other shells replace the whole word, so a value is completed with its option."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if not equals or not option.startswith("-"):
            return found
        return [CompletionItem(f"{option}={item.value}", item.type, item.help) for item in found]


class _ZshWords(_WholeWords, ZshComplete):
    pass


class _FishWords(_WholeWords, FishComplete):
    pass


def complete(command: click.Command, name: str, variable: str, instruction: str) -> Any:
    """Print the completions that a shell asks for; return the exit code."""
    for words in (_BashWords, _ZshWords, _FishWords):
        add_completion_class(words)
    return shell_complete(command, {}, name, variable, instruction)
