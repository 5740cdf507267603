"""`upload-tui source`: the contract of a source, its JSON schema, and a check for authors of sources."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.options import parse_seconds
from upload_tui.cli.support.output import Printer, echo_err, echo_message, output_option
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.streams import continues_without_output
from upload_tui.errors import ServiceError
from upload_tui.settings import DEFAULTS, SOURCE_REFRESH_SECONDS
from upload_tui.text import names_text, overrun_text, plural, sanitize, sanitize_line

if TYPE_CHECKING:
    from upload_tui.sources import Inspection, ListingDifference

__all__ = ["command"]

_MAX_IDS = 5
_STDERR_LINES = 20


class _SourceGroup(click.Group):
    """A group whose help has the contract."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from upload_tui.sources import contract_lines

        super().format_help_text(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            for line in contract_lines():
                formatter.write(f"{'':{formatter.current_indent}}{line}".rstrip() + "\n")


@click.group(cls=_SourceGroup, help="Describe or check sources: commands that print uploads.")
def command() -> None:
    """Group of the commands below."""


@command.command("schema", help="Print the JSON schema of a line.")
def schema() -> None:
    """Print the JSON schema."""
    from upload_tui.sources import line_schema

    click.echo(json.dumps(line_schema(), indent=2, ensure_ascii=False))


@command.command(
    "check",
    context_settings={"ignore_unknown_options": True},
    help="Run COMMAND twice; print what it listed, what breaks the contract, and what changed. "
    "Exits with 0 if nothing breaks it, 2 or 4 if the source itself reports an error, 3 otherwise.",
    short_help="Check what a command prints.",
)
@click.option(
    "--timeout",
    type=parse_seconds,
    metavar="DURATION",
    default=f"{DEFAULTS['timeout']:g}s",
    show_default=True,
    help="Timeout of each run.",
)
@output_option
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND...")
@continues_without_output
def check(words: Sequence[str], timeout: float, output: str | None) -> int:
    """Run a source twice and print what was found."""
    if not words[0].strip():
        raise click.BadParameter("the command is empty.", param_hint="'COMMAND'")
    printer = Printer(output, (), paths=_PATHS)
    result = run_async(_check(words, timeout))
    if printer.is_table:
        click.echo("\n".join(_lines(result)))
    else:
        printer.print_record(_record(result))
    _print_stderr(result.runs[-1].listing.stderr)
    return result.exit_code


_PATHS = ("runs", "fields", "fields.*", "unset_fields", "unknown_fields", "changes", "changes.*", "problems", "notes")
"""The names for `--fields`."""


class _Result(Struct, frozen=True):
    """What two runs have shown; the second is left out if the first could not list anything."""

    runs: "Sequence[Inspection]"
    difference: "ListingDifference | None"

    @property
    def problems(self) -> Sequence[str]:
        """What breaks the contract."""
        found = [*self.runs[0].problems]
        surplus = self.runs[0].problem_count - len(self.runs[0].problems)
        if surplus:
            found.append(f"{plural(surplus, 'more problem')} of the same run")
        found += [f"second run: {problem}" for run in self.runs[1:] for problem in run.problems if problem not in found]
        if self.difference is not None and self.difference.has_unstable_ids:
            found.append("no id of the first run is in the second: an id must stay the same")
        return found

    @property
    def error(self) -> ServiceError | None:
        """Why a run is not whole; None if all are."""
        return next((run.error for run in self.runs if run.error is not None), None)

    @property
    def exit_code(self) -> int:
        """That of the error, or of lines that cannot be read."""
        return exit_code(error=self.error, is_incomplete=bool(self.problems))


async def _check(words: Sequence[str], timeout_seconds: float) -> _Result:
    from upload_tui.sources import CommandSource, compare_inspections, inspect_source

    source = CommandSource(words, timeout_seconds=timeout_seconds)
    first = await inspect_source(source)
    if first.listing.is_misconfigured:
        return _Result([first], None)
    second = await inspect_source(source, had_end=first.tally.end_line is not None, known=first.tally.keys.keys())
    return _Result([first, second], compare_inspections(first, second))


def _lines(result: _Result) -> Iterator[str]:
    for number, run in enumerate(result.runs, 1):
        counts = f"{plural(run.tally.readable_count, 'upload')} on {plural(run.line_count, 'line')}"
        yield f"run {number}: {counts} in {run.listing.seconds:.1f}s; {_end_text(run)}"
    first = result.runs[0]
    if first.tally.keys:
        yield f"fields: {_names([name for name in first.field_counts if name not in first.unknown_fields])}"
        yield f"never set: {_names(first.unset_fields)}"
        if first.unknown_fields:
            yield f"kept for the raw response only: {_names(first.unknown_fields)}"
    if first.unknown_types:
        yield f"ignored types: {_names(sorted(first.unknown_types))}"
    if result.difference is not None:
        yield from _difference_lines(result.difference)
    for note in (*first.notes, *_overruns(result)):
        yield f"note: {sanitize_line(note)}"
    for problem in result.problems:
        yield f"problem: {sanitize_line(problem)}"
    yield _verdict(result)


def _overruns(result: _Result) -> Sequence[str]:
    """A sentence if a run took longer than the interval of a profile that sets none."""
    seconds = max(run.listing.seconds for run in result.runs)
    text = overrun_text(seconds, SOURCE_REFRESH_SECONDS)
    return [f"{text}: set a longer `refresh` in the profile"] if text else []


def _verdict(result: _Result) -> str:
    if result.error is not None:
        return "The source could not list everything."
    return "The source breaks the contract." if result.problems else "The source keeps the contract."


def _end_text(run: "Inspection") -> str:
    if run.error is not None:
        return sanitize(run.error.title)
    if run.tally.notice:
        return sanitize(run.tally.notice)
    return "whole" if run.tally.end_line is None else "whole, with an end line"


def _names(names: Sequence[str]) -> str:
    return sanitize(", ".join(names)) or "-"


def _difference_lines(difference: "ListingDifference") -> Iterator[str]:
    parts = {"new": difference.new, "gone": difference.gone, "changed": difference.changed}
    for word, ids in parts.items():
        shown = f": {sanitize(names_text([one[:60] for one in ids], _MAX_IDS))}" if ids else ""
        yield f"between the runs, {word}: {len(ids):,}{shown}"


def _record(result: _Result) -> Mapping[str, Any]:
    first, difference = result.runs[0], result.difference
    return {
        "runs": [
            {
                "lines": run.line_count,
                "uploads": run.tally.readable_count,
                "unreadable": run.tally.unreadable_count,
                "seconds": round(run.listing.seconds, 3),
                "partial": run.tally.unlisted_problem or None,
                "error": None if run.error is None else run.error.title,
            }
            for run in result.runs
        ],
        "fields": dict(first.field_counts),
        "unset_fields": list(first.unset_fields),
        "unknown_fields": list(first.unknown_fields),
        "changes": None
        if difference is None
        else {"new": difference.new, "gone": difference.gone, "changed": difference.changed},
        "problems": list(result.problems),
        "notes": [*first.notes, *_overruns(result)],
    }


def _print_stderr(text: str) -> None:
    lines = text.strip().splitlines()[-_STDERR_LINES:]
    if lines:
        echo_message("standard error of the command:")
    for line in lines:
        echo_err(f"  {sanitize_line(line)}")  # indented, so that none looks like a message of the program
