"""What a person wishes of the dashboard: settings, own themes and sheets, and sentences where they cannot be met."""

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from upload_tui.cli.dashboard.failure_command import FailureCommand
from upload_tui.cli.dashboard.last_visit import last_visit_file, record_visit
from upload_tui.cli.dashboard.preferences import dashboard_preferences
from upload_tui.cli.support.environment import terminal_locale
from upload_tui.errors import SettingsError
from upload_tui.locations import config_folder, state_folder
from upload_tui.monitor import StageReached
from upload_tui.settings import ServiceSettings
from upload_tui.testing import InMemorySession, an_upload
from upload_tui.tui import ASCII, UNICODE, parse_columns


def settings(**fields: Any) -> ServiceSettings:
    return ServiceSettings(url="https://example.org", sources=dict.fromkeys(fields, "config.toml"), **fields)


def write(name: str, text: str) -> Path:
    file = config_folder() / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_wishes_come_from_the_settings() -> None:
    wishes = dashboard_preferences(
        settings(columns=("name:30", "took"), theme="upload-light", alerts=("bell",), alert_repeat_seconds=5.0)
    )
    assert wishes.display_options is not None
    assert [str(wish) for wish in wishes.display_options.columns] == ["name:30", "took"]
    assert wishes.theme == "upload-light"
    assert wishes.alerts.bell
    assert not wishes.alerts.desktop
    assert wishes.alerts.quiet_seconds == 5


@pytest.mark.parametrize(
    ("variables", "said", "moves"),
    [
        pytest.param({}, None, True, id="nothing said"),
        pytest.param({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, None, False, id="under ssh"),
        pytest.param({"SSH_TTY": "/dev/pts/1"}, None, False, id="under ssh, its variables thinned out"),
        pytest.param({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, True, True, id="wanted under ssh"),
        pytest.param({}, False, False, id="unwanted"),
    ],
)
def test_nothing_but_the_facts_moves_when_it_costs_bytes_or_is_unwanted(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], said: bool | None, moves: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert dashboard_preferences(settings(animations=said)).is_animated is moves


@pytest.mark.parametrize(
    ("said", "variables", "expected"),
    [
        pytest.param("", {}, UNICODE, id="nothing said"),
        pytest.param("", {"LC_ALL": "C"}, ASCII, id="all plain"),
        pytest.param("", {"LANG": "POSIX"}, ASCII, id="language plain"),
        pytest.param("", {"LC_ALL": "", "LC_CTYPE": "C", "LANG": "de_DE.UTF-8"}, ASCII, id="letters before language"),
        pytest.param("", {"LC_ALL": "de_DE.UTF-8", "LC_CTYPE": "C", "LANG": "C"}, UNICODE, id="all before letters"),
        pytest.param("unicode", {"LC_ALL": "C"}, UNICODE, id="wanted"),
        pytest.param("ascii", {"LC_ALL": "C.UTF-8"}, ASCII, id="unwanted"),
    ],
)
def test_signs_are_those_of_the_settings_or_of_the_locale(
    monkeypatch: pytest.MonkeyPatch, said: str, variables: Mapping[str, str], expected: object
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    look = dashboard_preferences(settings(signs=said)).display_options
    assert look is not None
    assert look.glyphs is expected


def test_systems_that_write_unicode_are_asked_for_no_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    for system in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", system)
        assert terminal_locale({"LC_ALL": "C"}) == ""


def test_a_locale_that_python_put_there_is_nobodys_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    script = (
        "import os; from upload_tui.cli.support.environment import terminal_locale; print(terminal_locale(os.environ))"
    )
    for variables, expected in (({}, ""), ({"LANG": "C"}, "C"), ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "C.UTF-8")):
        for name in ("LC_ALL", "LC_CTYPE", "LANG"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert told.strip() == expected


def test_chosen_columns_are_those_of_the_next_time_unless_the_settings_name_others() -> None:
    chosen = parse_columns(["name:30", "stage"])
    first = dashboard_preferences(settings())
    assert first.display_options is not None
    assert first.display_options.columns == ()
    assert first.save_columns is not None
    first.save_columns(chosen)
    assert dashboard_preferences(settings()).display_options.columns == chosen  # type: ignore[union-attr]
    assert dashboard_preferences(settings(columns=("took",))).display_options.columns == parse_columns(["took"])  # type: ignore[union-attr]


@pytest.mark.parametrize("left", ["no-such-column", "name:0", "name name", "\x00", ""])
def test_a_choice_that_cannot_be_read_is_none(left: str) -> None:
    first = dashboard_preferences(settings())
    assert first.save_columns is not None
    first.save_columns(parse_columns(["name"]))
    (state_folder() / "columns").write_text(left)
    assert dashboard_preferences(settings()).display_options.columns == ()  # type: ignore[union-attr]


def test_a_chosen_theme_is_that_of_the_next_time_unless_it_is_gone() -> None:
    first = dashboard_preferences(settings())
    assert first.saved_theme == ""
    assert first.save_theme is not None
    first.save_theme("upload-safe-light")
    assert dashboard_preferences(settings()).saved_theme == "upload-safe-light"
    first.save_theme("mine")
    assert dashboard_preferences(settings()).saved_theme == ""
    write("themes/mine.toml", 'primary = "#ff00ff"\n')
    assert dashboard_preferences(settings()).saved_theme == "mine"


def test_own_themes_and_sheets_are_found_in_the_config_folder() -> None:
    write("themes/mine.toml", 'primary = "#ff00ff"\nstage-error = "red"\ndark = false\n')
    sheet = write("styles/mine.tcss", "UploadTable { border: heavy $primary; }")
    wishes = dashboard_preferences(settings(theme="mine"))
    assert [theme.name for theme in wishes.themes] == ["mine"]
    assert wishes.themes[0].variables["stage-error"] == "red"
    assert list(wishes.stylesheets) == [sheet]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"themes/x.toml": "primary = "}, "x.toml cannot be read"),
        ({"themes/x.toml": 'primry = "#fff"'}, "unknown key primry"),
        ({"themes/x.toml": 'primary = "no colour"'}, "primary is no colour"),
        ({"themes/x.toml": 'error = "#fff"'}, "must name primary"),
        ({"styles/x.tcss": "UploadTable { bordr: heavy; }"}, "line 1: "),
        ({"styles/x.tcss": "\nUploadTable { color: $nothing; }"}, "line 2"),
        ({"styles/x.tcss": "Upload{{"}, "x.tcss"),
    ],
    ids=["no toml", "unknown key", "no colour", "no primary", "unknown rule", "unknown variable", "no sheet"],
)
def test_a_sentence_names_the_file_when_it_cannot_be_used(files: Mapping[str, str], sentence: str) -> None:
    for name, text in files.items():
        write(name, text)
    with pytest.raises(SettingsError, match=sentence):
        dashboard_preferences(settings())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"keys": {"table.dwn": "x"}}, "unknown action table.dwn"),
        ({"theme": "upload-drak"}, "no theme upload-drak"),
        ({"columns": ("nmae",)}, "no column 'nmae'"),
    ],
    ids=["action", "theme", "column"],
)
def test_a_sentence_names_the_nearest_when_a_setting_is_wrong(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        dashboard_preferences(settings(**fields))
    assert "Did you mean" in caught.value.hint


async def test_the_command_reads_the_failures_and_nothing_becomes_an_argument(tmp_path: Path) -> None:
    heard = tmp_path / "heard.json"
    script = tmp_path / "command.py"
    script.write_text(
        "import json, os, sys\n"
        f"open({str(heard)!r}, 'w').write(json.dumps([sys.argv[1:], sys.stdin.read(), os.environ['UPLOAD_TUI_NAME']]))"
    )
    session = InMemorySession()
    session.publish(an_upload("--help; rm -rf $HOME\0", completed=60, error=20, message="size differs"))
    failures = [one for one in session.history(9) if isinstance(one, StageReached) and one.after == "error"]
    await FailureCommand(f"{sys.executable} {script} 'a b'")(failures)
    arguments, said, name = json.loads(heard.read_text())
    assert arguments == ["a b"]
    assert json.loads(said)["error_message"] == "size differs"
    assert name == "--help; rm -rf $HOME\ufffd"
    await FailureCommand("/nowhere/at/all")(failures)
    session.close()


async def test_a_look_is_kept_for_the_next_one() -> None:
    session = InMemorySession([an_upload("stuck.bin", initiated=9000, completed=8000)])
    async with record_visit(settings(), session) as first:
        assert first is None
    async with record_visit(settings(), session) as second:
        assert second is not None
        assert second.on == session.now()
        assert len(second.overdue_ids) == 1
    last_visit_file(settings(), [], "dashboard").write_text("{")
    async with record_visit(settings(), session) as third:
        assert third is None
    session.close()
