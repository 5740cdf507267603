"""`config`, and how commands use settings: paths, effective values and sources, the template."""

import json
import re
import stat
from pathlib import Path

import pytest

from tests.e2e.programs import Response, run, scripted_service
from tests.e2e.terminal import Terminal
from upload_tui.settings.keys import KEYS, Key
from upload_tui.settings.profiles import Profile, read_settings_file
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

URL = "https://dds.test"


@pytest.fixture
def settings_file(home: Path) -> Path:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


def test_path_is_printed_without_a_file(home: Path) -> None:
    result = run("config", "path")
    assert (result.code, result.err) == (0, "")
    assert result.out.strip() == str(home / "xdg_config_home" / "upload-tui" / "config.toml")


def test_show_has_values_and_sources_and_masks_secrets(settings_file: Path) -> None:
    settings_file.write_text(f'[profiles.work]\nurl = "{URL}"\ntoken = "s3cret"\nprojects = ["P"]\n')
    settings_file.chmod(0o600)
    result = run("config", "show", "--project", "Q", environment={"UPLOAD_TUI_REFRESH": "5"})
    shown = {record["setting"]: (record["value"], record["from"]) for record in result.records}
    place = f"{settings_file}, profile work"
    assert shown["url"] == (URL, place)
    assert shown["projects"] == (["Q"], "command line")
    assert shown["refresh"] == (5.0, "UPLOAD_TUI_REFRESH")
    assert shown["stuck_after"] == (900.0, "default")
    assert shown["token"] == ("(hidden)", place)
    assert "s3cret" not in result.out + result.err


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_show_has_every_setting(settings_file: Path, tmp_path: Path, key: Key) -> None:
    (tmp_path / "token").write_text("s3cret")
    value = json.dumps(str(tmp_path / "token")) if key.name == "token_file" else key.example or '"x"'
    line = value.replace("profiles.work", "profiles.a") if key.is_table else f"[profiles.a]\n{key.name} = {value}"
    settings_file.write_text(f"{line}\n")
    settings_file.chmod(0o600)
    result = run("config", "show")
    (shown,) = [record for record in result.records if record["setting"] == key.name]
    assert shown["from"] == f"{settings_file}, profile a"
    assert (shown["value"] == "(hidden)") == (key.kind == "secret")
    assert "s3cret" not in result.out


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('views.night = { query = "stage:foo" }', "views.night: query: "),
        ('views.night = { key = "q" }', "views.night: the key q belongs to quit"),
        ('columns = ["nope"]', "nope"),
        ('commands.page = { command = ["say", "{nope}"] }', "commands.page: "),
        ('commands.page = { command = ["{name}"] }', "commands.page: the program has a field"),
        (
            'commands.page = { command = ["say"], confirm = "yes" }',
            "invalid commands.page.confirm (it must be true or false)",
        ),
        ("animations = 1", "invalid animations (it must be true or false)"),
        ('on_change = { "is:marked" = "say" }', "on_change.is:marked: is:marked matches no changes"),
        ('on_change = { "stage:foo" = ["say", "a b"] }', "on_change.stage:foo: query: "),
        ('upload_url = "https://ada:s3cret@x.test/{id}"', "invalid upload_url (it contains a user or a password)"),
        ('on_change = { "stage:error" = 3 }', "invalid on_change (it must be a text in quotation marks)."),
    ],
)
def test_show_and_doctor_say_what_watch_would_refuse(settings_file: Path, setting: str, message: str) -> None:
    settings_file.write_text(f'[profiles.a]\nurl = "http://127.0.0.1:9"\n{setting}\n')
    shown = run("config", "show")
    assert shown.code == 2
    assert message in shown.err
    assert "s3cret" not in shown.out + shown.err
    findings = [record for record in run("doctor").records if record["check"] == "settings"]
    assert message.rstrip(".") in findings[-1]["message"]


def test_init_creates_a_private_file_once(home: Path) -> None:
    result = run("config", "init")
    file = Path(result.out.strip())
    assert result.code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(file.read_text() + "# mine\n")
    again = run("config", "init")
    assert (again.code, again.out) == (2, "")
    assert str(file) in again.err
    assert file.read_text().endswith("# mine\n")


def test_template_is_valid_when_uncommented(tmp_path: Path) -> None:
    text = Path(run("config", "init").out.strip()).read_text()
    opened = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", text)
    file = tmp_path / "opened.toml"
    file.write_text(opened)
    (profile,) = read_settings_file(file).profiles.values()
    assert profile.model_fields_set == set(Profile.model_fields) - {"token"}, "a token itself is not recommended"


def test_init_reports_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("config", "init", environment={"XDG_CONFIG_HOME": str(tmp_path / "file")})
    assert (result.code, result.out) == (2, "")
    assert str(tmp_path / "file") in result.err


def test_schema_is_json() -> None:
    schema = json.loads(run("config", "schema").out)
    assert set(schema["$defs"]["Profile"]["properties"]) == set(Profile.model_fields)


@pytest.mark.parametrize(("zone", "expected"), [("Asia/Tokyo", "18:24:53"), ("UTC", "09:24:53"), ("", "09:24:53")])
def test_tables_have_local_time_and_json_has_utc(zone: str, expected: str) -> None:
    upload = an_upload("reads.bin", id="u-1", project=("p-1", "Genome"))
    answers = {
        "/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [Response({"results": [upload]})],
        "/uploads/u-1": [Response(upload)],
    }
    with scripted_service(answers) as service:
        environment = {**service.environment, "UPLOAD_TUI_TIMEZONE": zone}
        assert expected in run("list", "-o", "table", environment=environment).out
        assert expected in run("show", "u-1", "-o", "table", environment=environment).out
        assert run("list", environment=environment).records[0]["stage_since"] == "2026-03-14T09:24:53.000Z"


def test_token_command_has_no_output_unless_it_fails() -> None:
    with scripted_service({"/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}]})]}) as service:
        environment = {
            "UPLOAD_TUI_URL": service.url,
            "UPLOAD_TUI_TOKEN_COMMAND": "sh -c 'echo unlocking >&2; echo s3cret'",
        }
        result = run("projects", environment=environment)
        failed = run(
            "projects", environment={**environment, "UPLOAD_TUI_TOKEN_COMMAND": "sh -c 'echo locked >&2; exit 3'"}
        )
    assert (result.code, result.err) == (0, "")
    assert service.requests == [("GET", "/projects", "s3cret")]
    assert failed.code == 2
    assert "The token command failed (exit code 3): locked." in failed.err


@pytest.mark.parametrize("command", ["false", "/nowhere/command", "true"], ids=["fails", "missing", "prints-nothing"])
def test_token_command_without_a_token_is_an_error(command: str) -> None:
    result = run("projects", environment={"UPLOAD_TUI_URL": URL, "UPLOAD_TUI_TOKEN_COMMAND": command})
    assert (result.code, result.out) == (2, "")
    assert "token command" in result.err


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        pytest.param('columns = ["nam"]', "columns", "Did you mean name?", id="column"),
        pytest.param('keys = { qit = "x" }', "qit", "Did you mean quit?", id="action"),
        pytest.param('theme = "upload-drak"', "upload-drak", "Did you mean upload-dark?", id="theme"),
        pytest.param('on_error = "mail \'x"', "on_error", "", id="command"),
    ],
)
def test_invalid_display_settings_name_the_profile(settings_file: Path, line: str, message: str, hint: str) -> None:
    settings_file.write_text(f'[profiles.work]\nurl = "http://localhost:9"\n{line}\n')
    with Terminal("watch", columns=200) as terminal:
        assert terminal.wait_for_end() == 2
        words = " ".join(terminal.text.split())
    assert str(settings_file) in words
    assert message in words
    assert hint in words
