"""The locale of the terminal."""

import subprocess
import sys

import pytest

from upload_tui.cli.support.environment import terminal_locale


def test_locale_is_ignored_on_systems_whose_terminals_use_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    for system in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", system)
        assert terminal_locale({"LC_ALL": "C"}) == ""


def test_locale_that_python_sets_itself_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    script = (
        "import os; from upload_tui.cli.support.environment import terminal_locale; print(terminal_locale(os.environ))"
    )
    for variables, expected in (({}, ""), ({"LANG": "C"}, "C"), ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "C.UTF-8")):
        for name in ("LC_ALL", "LC_CTYPE", "LANG"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert printed.strip() == expected
