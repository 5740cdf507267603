"""The machine and its terminal: what can be drawn there, and what `doctor` has to say of both."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct

from upload_tui.errors import EXIT_OK, UploadTuiError
from upload_tui.text import sanitize_line

__all__ = ["Finding", "State", "terminal_locale", "storage_findings", "terminal_findings"]

_MIN_COLUMNS, _MIN_LINES = 60, 20
"""A terminal smaller than this shows one pane at a time."""
_PYTHON_LC_CTYPES = {"C.UTF-8", "C.utf8", "UTF-8"}
"""What Python itself makes of `LC_CTYPE` where the locale is `C`; then it also says so in `sys.flags`."""


class State(StrEnum):
    """What an examination came to."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well as it could."""
    FAILED = "failed"
    SKIPPED = "skipped"


class Finding(Struct, frozen=True):
    """One line of the examination; `mend` is empty if there is nothing to do."""

    check: str
    state: State
    message: str
    hint: str = ""
    exit_code: int = EXIT_OK

    @classmethod
    def failed(cls, check: str, error: UploadTuiError) -> Self:
        """What an error has to say."""
        return cls(check, State.FAILED, sanitize_line(error.title), sanitize_line(error.hint), error.exit_code)

    @property
    def record(self) -> Mapping[str, Any]:
        """For scripts."""
        return {"check": self.check, "state": self.state, "says": self.message, "mend": self.hint or None}


def terminal_locale(environment: Mapping[str, str]) -> str:
    """The locale that a person chose for letters and signs; empty if none was, or where the system writes UTF-8 anyway."""
    if sys.platform in {"win32", "darwin"}:
        return ""
    said = {name: environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")}
    if sys.flags.utf8_mode and said["LC_CTYPE"] in _PYTHON_LC_CTYPES:
        del said["LC_CTYPE"]
    return next(filter(None, said.values()), "")


def storage_findings() -> Iterator[Finding]:
    """Whether a picture can be kept for the next visit."""
    from upload_tui.locations import cache_folder

    folder = cache_folder()
    there = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    if there.is_dir() and os.access(there, os.W_OK):
        yield Finding("storage", State.OK, f"pictures are kept in {folder}")
    else:
        yield Finding("storage", State.WARNING, f"{folder} cannot be written", "Nothing is kept for the next visit")


def terminal_findings(signs: str = "") -> Iterator[Finding]:
    """What the terminal can show; `signs` are those of the settings."""
    if not sys.stdout.isatty():
        yield Finding("terminal", State.OK, "none here; the dashboard needs one, other commands do not")
        return
    size = shutil.get_terminal_size()
    says = f"{size.columns} columns, {size.lines} lines"
    if size.columns < _MIN_COLUMNS or size.lines < _MIN_LINES:
        yield Finding(
            "terminal", State.WARNING, says, f"From {_MIN_COLUMNS} x {_MIN_LINES} on more than one pane is shown"
        )
    else:
        yield Finding("terminal", State.OK, says)
    yield _colour_finding(os.environ)
    yield _signs_finding(signs)
    yield Finding("clipboard", State.OK, "copying goes by OSC 52; whether the terminal obeys cannot be asked")


def _colour_finding(environment: Mapping[str, str]) -> Finding:
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR"):
        return Finding("colours", State.OK, "none, as NO_COLOR wishes")
    if term in {"", "dumb", "unknown"}:
        return Finding(
            "colours", State.WARNING, f"TERM is {term or 'not set'}", "Set TERM=xterm-256color if that is true"
        )
    if environment.get("COLORTERM") in {"truecolor", "24bit"}:
        return Finding("colours", State.OK, "all of them")
    return Finding("colours", State.OK, f"{256 if '256' in term else 16} (COLORTERM=truecolor, if true, gives more)")


def _signs_finding(setting: str) -> Finding:
    from upload_tui.tui import ASCII, glyphs_for

    if setting:
        return Finding("signs", State.OK, f"{setting}, as the settings say")
    encoding, locale = sys.stdout.encoding or "", terminal_locale(os.environ)
    if glyphs_for(encoding, locale) is not ASCII:
        return Finding("signs", State.OK, "unicode")
    why = encoding if glyphs_for(encoding) is ASCII else f"the locale {sanitize_line(locale)}"
    mend = 'Set LANG=C.UTF-8, or signs = "unicode", for rounder ones'
    return Finding("signs", State.WARNING, f"plain ASCII, because of {why}", mend)
