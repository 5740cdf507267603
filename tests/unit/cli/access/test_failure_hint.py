"""The command that a failed upload is reported with can be typed as it is printed."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from upload_tui.cli.access.service import echo_failure_hint
from upload_tui.cli.support.output import command_text
from upload_tui.settings import Flags, SettingsPaths, read_settings

LOCAL, REMOTE, SECURE = "http://127.0.0.1:9", "http://dds.example.org", "https://dds.example.org"


@pytest.mark.parametrize(
    ("typed", "variables", "expected"),
    [
        ({}, {"UPLOAD_TUI_URL": SECURE}, []),
        ({"url": SECURE}, {}, ["--url", SECURE]),
        ({"url": LOCAL}, {}, ["--url", LOCAL]),
        ({"url": REMOTE}, {}, ["--url", REMOTE, "--insecure-http"]),
        ({}, {"UPLOAD_TUI_URL": REMOTE}, ["--insecure-http"]),
        ({"token_file": "a token"}, {"UPLOAD_TUI_URL": SECURE}, ["--token-file", "a token"]),
        ({"command": ("list uploads",)}, {}, ["--command", "'list uploads'"]),
        ({"command": ("list", "--key=k")}, {}, ["--command", "…"]),
    ],
)
def test_the_hint_names_the_same_service(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: dict[str, Any],
    variables: dict[str, str],
    expected: Sequence[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a token").write_text("t0ken-t0ken", encoding="utf-8")
    paths = SettingsPaths(tmp_path / "config.toml", tmp_path / ".ddsclient")
    settings = read_settings(variables, Flags(typed, insecure_http=True), paths)
    echo_failure_hint(settings, ["a b", "-c"])
    printed = capsys.readouterr().err.removeprefix("upload-tui: to see why: ")
    assert shlex.split(printed) == ["upload-tui", "show", *expected, "--", "a b", "-c"]


@pytest.mark.parametrize("argument", ["a", "a b", "-a", "$a;`b`", "'", ""])
def test_an_argument_of_a_printed_command_is_one_word(argument: str) -> None:
    *_, last = shlex.split(command_text(["replay"], [argument]))
    assert last == argument
    assert (" -- " in command_text(["replay"], [argument])) == argument.startswith("-")
