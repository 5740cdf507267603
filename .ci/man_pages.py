"""Manual pages from the commands' help: a build hook that adds them to the source distribution as `man/*.1`.

`python .ci/man_pages.py FOLDER` writes them without a build.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

ROOT = Path(__file__).parents[1]


class ManPage(click.HelpFormatter):
    """Formats a command's help as a manual page, in roff."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the synopsis; the description follows."""
        self.write(f".SH SYNOPSIS\n.B {_escape(prog)}\n{_escape(args)}\n.SH DESCRIPTION\n")

    def write_heading(self, heading: str) -> None:
        """Begin a section."""
        self.write(f".SH {_escape(heading.upper())}\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        for paragraph in text.split("\n\n"):
            self.write(f".PP\n{_escape(' '.join(paragraph.split()))}\n")

    def write_paragraph(self) -> None:
        """Write nothing: a section begins a paragraph."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms and their descriptions."""
        for term, text in rows:
            self.write(f".TP\n.B {_escape(term)}\n{_escape(text)}\n")


def man_pages(command: click.Command, usage: str, version: str) -> Iterator[tuple[str, str]]:
    """File names and contents of the pages of a command and its subcommands; `usage` is how a command is typed."""
    name = usage.replace(" ", "-")
    summary = re.split(r"[.;:](?:\s|$)", " ".join((command.help or "").split()))[0]
    context = click.Context(command, info_name=usage)
    page = ManPage()
    page.write(f'.TH "{_escape(name.upper())}" 1 "" "upload-tui {version}"\n')
    page.write(f".SH NAME\n{_escape(name)} \\- {_escape(summary)}\n")
    command.format_help(context, page)
    yield f"{name}.1", page.getvalue()
    if isinstance(command, click.Group):
        for subcommand in command.list_commands(context):
            found = command.get_command(context, subcommand)
            if found is not None:
                yield from man_pages(found, f"{usage} {subcommand}", version)


def _escape(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def write_man_pages(folder: Path) -> None:
    """Write all pages into a folder."""
    sys.path.insert(0, str(ROOT / "src"))
    from upload_tui import __version__
    from upload_tui.cli.group import upload_tui

    for file, page in man_pages(upload_tui, "upload-tui", __version__):
        (folder / file).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write_man_pages(Path(sys.argv[1]))
else:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class ManPageHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
        """Adds the pages to the archive."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Write them into a temporary folder, which lasts as long as the build."""
            self._folder = TemporaryDirectory()
            write_man_pages(Path(self._folder.name))
            build_data["force_include"][self._folder.name] = "man"

        def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
            """Remove the folder."""
            self._folder.cleanup()
