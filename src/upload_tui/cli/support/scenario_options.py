"""What `serve` and `demo` tell their service at the start: `--fault NAME[=VALUE]`, and how long a history is wanted."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from upload_tui.backend import DEFAULT_HISTORY_UPLOADS
from upload_tui.errors import UsageError

if TYPE_CHECKING:
    from upload_tui.backend import Faults

__all__ = ["FaultChoice", "past_upload_count", "fault_option", "start_faults"]

FaultChoice = tuple[str, float | None]
"""A fault's name and value."""


def _parse_faults(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> Sequence[FaultChoice]:
    return [_parse_fault(text) for text in texts]


def _parse_fault(text: str) -> FaultChoice:
    from upload_tui.backend import LARGEST_VALUE, FaultName

    name, separator, value = text.partition("=")
    try:
        fault = FaultName(name)
    except ValueError:
        raise click.BadParameter(f"there is no fault {name!r}; the faults are {', '.join(FaultName)}") from None
    if not separator:
        return fault, None
    try:
        number = float(value)
    except ValueError:
        raise click.BadParameter(f"the value of {fault} must be a number, not {value!r}") from None
    if not abs(number) <= LARGEST_VALUE:
        raise click.BadParameter(f"the value of {fault} must lie between -{LARGEST_VALUE} and {LARGEST_VALUE}")
    return fault, number


def fault_option() -> Callable[[Any], Any]:
    """The option, to be given any number of times."""
    return click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="NAME[=VALUE]",
        callback=_parse_faults,
        help="Let something go wrong from the start; again for more. An unknown name lists them all.",
    )


def start_faults(faults: "Faults", choices: Sequence[FaultChoice]) -> None:
    """Let them happen until the end, or as their values say."""
    from upload_tui.backend import FaultName

    for name, value in choices:
        faults.start_until_stopped(FaultName(name), value)


def past_upload_count(scenario: str | None, uploads: int | None) -> int:
    """How many uploads of the past there are.

    Raises:
        UsageError: the story has no use for the number.
    """
    if uploads is not None and scenario != "history":
        raise UsageError("--uploads belongs to the scenario history", "Add --scenario history.")
    return DEFAULT_HISTORY_UPLOADS if uploads is None else uploads
