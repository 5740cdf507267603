"""The terminal's locale, and what `doctor` finds out about this machine and its terminal."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from msgspec import Struct

from upload_tui.errors import EXIT_OK, UploadTuiError
from upload_tui.text import sanitize_line

__all__ = ["CheckState", "Finding", "cache_finding", "has_one_pane", "terminal_findings", "terminal_locale"]

_PYTHON_LC_CTYPES = {"C.UTF-8", "C.utf8", "UTF-8"}
"""The values that Python itself gives `LC_CTYPE` if the locale is `C`; it sets `sys.flags.utf8_mode` as well."""


class CheckState(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, with limitations."""
    FAILED = "failed"
    SKIPPED = "skipped"


class Finding(Struct, frozen=True):
    """The result of one check; `hint` is empty if there is nothing to do."""

    check: str
    state: CheckState
    message: str
    hint: str = ""
    exit_code: int = EXIT_OK

    @classmethod
    def failed(cls, check: str, error: UploadTuiError) -> Self:
        """Make a finding of an error."""
        return cls(check, CheckState.FAILED, sanitize_line(error.title), sanitize_line(error.hint), error.exit_code)

    @property
    def record(self) -> Mapping[str, Any]:
        """The finding as scripts get it."""
        return {"check": self.check, "state": self.state, "message": self.message, "hint": self.hint or None}


def terminal_locale(environment: Mapping[str, str]) -> str:
    """The locale that the user set for characters; empty if none is set, or if the system's terminals use UTF-8 anyway."""
    if sys.platform in {"win32", "darwin"}:
        return ""
    locales = {name: environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")}
    if sys.flags.utf8_mode and locales["LC_CTYPE"] in _PYTHON_LC_CTYPES:
        del locales["LC_CTYPE"]
    return next(filter(None, locales.values()), "")


def cache_finding() -> Finding:
    """Check that the state of uploads can be cached between sessions."""
    from upload_tui.files import cache_folder

    folder = cache_folder()
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    if problem := _store_problem(existing):
        message = f"{folder} cannot be written ({sanitize_line(problem)}); nothing is cached between sessions"
        return Finding("cache", CheckState.WARNING, message, "Check its permissions and the free space")
    return Finding("cache", CheckState.OK, str(folder))


def _store_problem(folder: Path) -> str:
    """Why a store cannot be made in a folder, as on a full disk; empty if it can."""
    from upload_tui.monitor import Store

    try:
        with TemporaryDirectory(dir=folder) as name, closing(Store(Path(name) / "store.db")) as store:
            return store.db.uncached_reason
    except OSError as error:
        return error.strerror or str(error)


def terminal_findings(signs: str = "") -> Iterator[Finding]:
    """Check what the terminal can show.

    Args:
        signs: the setting of that name; empty if it is not set.
    """
    if not sys.stdout.isatty():
        yield Finding("terminal", CheckState.OK, "standard output is not a terminal; only the dashboard needs one")
        return
    size = shutil.get_terminal_size()
    dimensions = f"{size.columns} columns, {size.lines} lines"
    if has_one_pane(*size):
        hint = "The dashboard shows one pane at a time; from 80 x 20 or 50 x 24 on, it shows several"
        yield Finding("terminal", CheckState.WARNING, dimensions, hint)
    else:
        yield Finding("terminal", CheckState.OK, dimensions)
    yield _colour_finding(os.environ)
    yield _signs_finding(signs)
    yield Finding("clipboard", CheckState.OK, "OSC 52; cannot detect terminal support")


def has_one_pane(columns: int, lines: int) -> bool:
    """Whether the dashboard shows one pane at a time on a terminal of this size, as its stylesheet says."""
    return columns < 50 or lines < 20 or (columns < 80 and lines < 24)


def _colour_finding(environment: Mapping[str, str]) -> Finding:
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR"):
        return Finding("colours", CheckState.OK, "off (NO_COLOR)")
    if term in {"", "dumb", "unknown"}:
        return Finding(
            "colours", CheckState.WARNING, f"TERM is {term or 'not set'}", "Set TERM=xterm-256color if it applies"
        )
    if environment.get("COLORTERM") in {"truecolor", "24bit"}:
        return Finding("colours", CheckState.OK, "truecolor")
    count = 256 if "256" in term else 16
    return Finding("colours", CheckState.OK, f"{count}; set COLORTERM=truecolor if the terminal has more")


def _signs_finding(setting: str) -> Finding:
    from upload_tui.tui import ASCII, glyphs_for

    if setting:
        return Finding("signs", CheckState.OK, f"{setting} (settings)")
    encoding, locale = sys.stdout.encoding or "", terminal_locale(os.environ)
    if glyphs_for(encoding, locale) is not ASCII:
        return Finding("signs", CheckState.OK, "unicode")
    cause = f"encoding {encoding}" if glyphs_for(encoding) is ASCII else f"locale {sanitize_line(locale)}"
    hint = 'Set LANG=C.UTF-8, or signs = "unicode"'
    return Finding("signs", CheckState.WARNING, f"ASCII ({cause})", hint)
