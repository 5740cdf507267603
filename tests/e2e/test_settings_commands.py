"""`config`, and settings as the commands use them: where they are, which are in force and from where, a file to begin with."""

import json
import re
import stat
from pathlib import Path

import pytest

from tests.e2e.programs import Said, run, scripted
from tests.e2e.terminal import Terminal
from upload_tui.settings.profiles import Profile, read_settings_file
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

URL = "https://dds.test"


@pytest.fixture
def settings_file(home: Path) -> Path:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


def test_the_path_is_told_when_nothing_is_there(home: Path) -> None:
    ended = run("config", "path")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.strip() == str(home / "xdg_config_home" / "upload-tui" / "config.toml")


def test_each_value_and_its_source_are_told_and_secrets_are_not(settings_file: Path) -> None:
    settings_file.write_text(f'[profiles.work]\nurl = "{URL}"\ntoken = "s3cret"\nprojects = ["P"]\n')
    settings_file.chmod(0o600)
    ended = run("config", "show", "--project", "Q", environment={"UPLOAD_TUI_REFRESH": "5"})
    told = {record["setting"]: (record["value"], record["from"]) for record in ended.records}
    place = f"{settings_file}, profile work"
    assert told["url"] == (URL, place)
    assert told["projects"] == (["Q"], "command line")
    assert told["refresh"] == (5.0, "UPLOAD_TUI_REFRESH")
    assert told["stuck_after"] == (900.0, "default")
    assert told["token"] == ("(hidden)", place)
    assert "s3cret" not in ended.out + ended.err


@pytest.mark.parametrize("key", sorted(Profile.model_fields))
def test_every_key_is_told_when_it_is_set(settings_file: Path, tmp_path: Path, key: str) -> None:
    (tmp_path / "token").write_text("s3cret")
    values = {
        "projects": '["P"]',
        "token_file": json.dumps(str(tmp_path / "token")),
        "refresh": "2.5",
        "stuck_after": "60",
        "timezone": '"Europe/Berlin"',
        "columns": '["name"]',
        "keys": '{ quit = "x" }',
        "alerts": '["bell"]',
        "signs": '"ascii"',
        "animations": "false",
        "alert_repeat": "0",
    }
    settings_file.write_text(f"[profiles.a]\n{key} = {values.get(key, json.dumps(URL))}\n")
    settings_file.chmod(0o600)
    ended = run("config", "show")
    (told,) = [record for record in ended.records if record["setting"] == key]
    assert told["from"] == f"{settings_file}, profile a"
    is_secret = key in {"token", "agent_key", "user_key"}
    assert (told["value"] == "(hidden)") == is_secret
    assert "s3cret" not in ended.out


def test_a_file_to_begin_with_is_written_once_and_for_nobody_else(home: Path) -> None:
    ended = run("config", "init")
    file = Path(ended.out.strip())
    assert ended.code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(file.read_text() + "# mine\n")
    again = run("config", "init")
    assert (again.code, again.out) == (2, "")
    assert str(file) in again.err
    assert file.read_text().endswith("# mine\n")


def test_the_file_to_begin_with_is_right_when_its_comments_are_opened(tmp_path: Path) -> None:
    text = Path(run("config", "init").out.strip()).read_text()
    opened = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", text)
    file = tmp_path / "opened.toml"
    file.write_text(opened)
    (profile,) = read_settings_file(file).profiles.values()
    assert profile.model_fields_set == set(Profile.model_fields) - {"token"}, "a token itself is not recommended"


def test_one_sentence_says_it_when_the_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run("config", "init", environment={"XDG_CONFIG_HOME": str(tmp_path / "file")})
    assert (ended.code, ended.out) == (2, "")
    assert str(tmp_path / "file") in ended.err


def test_the_schema_is_json_when_it_is_printed() -> None:
    schema = json.loads(run("config", "schema").out)
    assert set(schema["$defs"]["Profile"]["properties"]) == set(Profile.model_fields)


@pytest.mark.parametrize(("zone", "expected"), [("Asia/Tokyo", "18:24:53"), ("UTC", "09:24:53"), ("", "09:24:53")])
def test_people_read_their_own_time_and_scripts_read_utc(zone: str, expected: str) -> None:
    upload = an_upload("reads.bin", id="u-1", project=("p-1", "Genome"))
    answers = {
        "/projects": [Said({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [Said({"results": [upload]})],
        "/uploads/u-1": [Said(upload)],
    }
    with scripted(answers) as service:
        environment = {**service.environment, "UPLOAD_TUI_TIMEZONE": zone}
        assert expected in run("list", "-o", "table", environment=environment).out
        assert expected in run("show", "u-1", "-o", "table", environment=environment).out
        assert run("list", environment=environment).records[0]["stage_since"] == "2026-03-14T09:24:53.000Z"


def test_the_token_commands_words_reach_the_person_and_its_token_nobody() -> None:
    with scripted({"/projects": [Said({"results": [{"id": "p-1", "name": "Genome"}]})]}) as service:
        environment = {
            "UPLOAD_TUI_URL": service.url,
            "UPLOAD_TUI_TOKEN_COMMAND": "sh -c 'echo unlocking >&2; echo s3cret'",
        }
        ended = run("projects", environment=environment)
    assert (ended.code, ended.err) == (0, "unlocking\n")
    assert service.asked == [("GET", "/projects", "s3cret")]


@pytest.mark.parametrize(
    "command", ["false", "/nowhere/command", "true"], ids=["fails", "is-not-there", "says-nothing"]
)
def test_one_sentence_says_it_when_the_token_command_gives_none(command: str) -> None:
    ended = run("projects", environment={"UPLOAD_TUI_URL": URL, "UPLOAD_TUI_TOKEN_COMMAND": command})
    assert (ended.code, ended.out) == (2, "")
    assert "token command" in ended.err


@pytest.mark.parametrize(
    ("line", "says", "mend"),
    [
        pytest.param('columns = ["nam"]', "columns", "Did you mean name?", id="column"),
        pytest.param('keys = { qit = "x" }', "qit", "Did you mean quit?", id="action"),
        pytest.param('theme = "upload-drak"', "upload-drak", "Did you mean upload-dark?", id="theme"),
        pytest.param('on_error = "mail \'x"', "on_error", "", id="command"),
    ],
)
def test_the_profile_is_named_when_the_dashboard_cannot_do_as_it_says(
    settings_file: Path, line: str, says: str, mend: str
) -> None:
    settings_file.write_text(f'[profiles.work]\nurl = "http://localhost:9"\n{line}\n')
    with Terminal("watch", columns=200) as terminal:
        assert terminal.wait_for_end() == 2
        words = " ".join(terminal.text.split())
    assert str(settings_file) in words
    assert says in words
    assert mend in words
