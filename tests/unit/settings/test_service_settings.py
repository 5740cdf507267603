"""Settings: precedence, validation and its errors, and the protection of secrets."""

import json
import string
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upload_tui.errors import SettingsError
from upload_tui.settings import (
    Flags,
    ServiceSettings,
    SettingsPaths,
    read_display_settings,
    read_settings,
    settings_schema,
)
from upload_tui.settings.keys import KEYS, VARIABLES, Key
from upload_tui.settings.profiles import Profile, read_ddsclient, read_settings_file, validate_values
from upload_tui.text import sanitize_line

URL = "https://dds.test"
SECRETS = ("token", "agent_key", "user_key")
TABLES = {"views", "commands"}
VALID = {"views": "", "commands": "command = ['x']\n"}
"""What each table needs besides optional keys."""
SOURCES = st.sampled_from(["default", "profile", "variable", "flag"])
# All examples share one folder; each writes its own file into it.
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

Reader = Callable[..., ServiceSettings]


@pytest.fixture
def paths(tmp_path: Path) -> SettingsPaths:
    return SettingsPaths(tmp_path / "config.toml", tmp_path / ".ddsclient")


@pytest.fixture
def read(paths: SettingsPaths) -> Reader:
    """Settings from a file's text, variables and flags."""

    def reader(
        text: str = "", environment: dict[str, str] | None = None, profile: str | None = None, **values: Any
    ) -> ServiceSettings:
        if text:
            paths.settings_file.write_text(text)
            paths.settings_file.chmod(0o600)
        return read_settings(environment or {}, Flags(values, profile), paths)

    return reader


@pytest.mark.parametrize(
    ("text", "title", "hint"),
    [
        ("", "No service configured", "upload-tui demo"),
        ("[profiles.a]\nrefresh = 2\n", "No service configured in the profile a", "upload-tui demo"),
        (
            "[profiles.a]\nurl = 'https://a'\n[profiles.b]\nurl = 'https://b'\n",
            "No profile is chosen",
            "--profile (a, b)",
        ),
    ],
)
def test_without_a_service_the_error_says_what_to_give(read: Reader, text: str, title: str, hint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(text)
    assert raised.value.title == title
    assert hint in raised.value.hint


def test_flags_come_before_variables_and_variables_before_the_profile(read: Reader) -> None:
    text = f'[profiles.a]\nurl = "{URL}/profile"\nprojects = ["P"]\nrefresh = 2\nrequests_per_minute = 7\nstuck_after = 60\n'
    found = read(
        text,
        {"UPLOAD_TUI_URL": f"{URL}/variable", "UPLOAD_TUI_REFRESH": "3"},
        url=f"{URL}/flag",
        projects=["F"],
    )
    assert (found.url, found.projects, found.refresh_seconds) == (f"{URL}/flag", ("F",), 3.0)
    assert found.stuck_after_seconds == 60
    assert found.requests_per_minute == 7
    assert found.sources["url"] == "command line"
    assert found.sources["refresh"] == "UPLOAD_TUI_REFRESH"
    assert found.sources["stuck_after"].endswith("profile a")


@given(st.sets(SOURCES))
def test_the_last_source_takes_precedence(sources: set[str]) -> None:
    """Without a file: default, variable, flag."""
    missing = SettingsPaths(Path("/nowhere/config.toml"), Path("/nowhere/.ddsclient"))
    environment = {"UPLOAD_TUI_PROJECT": "variable"} if "variable" in sources else {}
    flags = Flags({"url": URL, **({"projects": ("flag",)} if "flag" in sources else {})})
    found = read_settings(environment, flags, missing)
    expected = ("flag",) if "flag" in sources else ("variable",) if "variable" in sources else ()
    assert found.projects == expected


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_not_in_the_repr(read: Reader, secret: str) -> None:
    other = {"agent_key": 'user_key = "k"\n', "user_key": 'agent_key = "k"\n'}.get(secret, "")
    found = read(f'[profiles.a]\nurl = "{URL}"\n{secret} = "s3cret"\n{other}')
    assert getattr(found, secret) == "s3cret"
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("text", ["[profiles.a]\n{key} = 70017\n", "[profiles.a]\n{key} = ['70017']\n"])
@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_not_in_an_error(read: Reader, key: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(text.format(key=key))
    error: BaseException | None = caught.value
    while error is not None:
        assert "70017" not in str(error)
        error = error.__cause__ or error.__context__


@in_one_folder
@given(
    key=st.sampled_from(sorted({*Profile.model_fields} - TABLES)), value=st.text(string.ascii_lowercase, min_size=12)
)
def test_an_invalid_value_is_reported_with_file_line_and_key(tmp_path: Path, key: str, value: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"# a comment\n\n[profiles.{value}]\n{key} = {{ {value} = {{}} }}\n")
    with pytest.raises(SettingsError) as caught:
        read_settings_file(file)
    assert f"{file}, line 4 has an invalid {key} (" in caught.value.title


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_nothing_of_an_error_about_a_value_is_hidden(key: Key) -> None:
    """Even if the name of the setting or of its variable is that of a secret."""
    for source in filter(None, ("config.toml, line 3", key.variable_name, key.flag)):
        with pytest.raises(SettingsError) as caught:
            validate_values({key.name: [[3]]}, source)
        title = caught.value.title
        assert (sanitize_line(title), key.name in title, "Input" in title, "<" in title) == (title, True, False, False)


@pytest.mark.parametrize("heading", ["[{table}.night]", "[profiles.a.{table}.night]"])
@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_mistake_in_a_table_is_reported_with_line_and_key(tmp_path: Path, heading: str, table: str) -> None:
    file = tmp_path / "config.toml"
    for key, message in (("ky", ": unknown key {table}.night.ky"), ("key", " has an invalid {table}.night.key (")):
        file.write_text(f"{heading.format(table=table)}\n{key} = 1\n{VALID[table]}")
        with pytest.raises(SettingsError) as caught:
            read_settings_file(file)
        assert f"{file}, line 2{message.format(table=table)}" in caught.value.title
    file.write_text(f"{heading.format(table=table)}\nky = 1\n{VALID[table]}")
    with pytest.raises(SettingsError, match="unknown key") as caught:
        read_settings_file(file)
    assert caught.value.hint == "Did you mean key?"


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_table_outside_the_profiles_is_in_each_of_them(read: Reader, table: str) -> None:
    shared = f"[{table}.night]\n{VALID[table]}[{table}.day]\n{VALID[table]}key = 'f3'\n"
    own = f"[profiles.a]\nurl = '{URL}'\n[profiles.a.{table}.day]\n{VALID[table]}key = 'f2'\n"
    found = getattr(read(shared + own), table)
    assert {name: one.key for name, one in found.items()} == {"night": "", "day": "f2"}
    assert set(getattr(read(shared, url=URL), table)) == {"night", "day"}


@in_one_folder
@given(text=st.text() | st.binary())
def test_any_file_is_read_or_a_settings_error(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    for reader in (read_settings_file, read_ddsclient):
        with suppress(SettingsError):
            reader(file)


@in_one_folder
@given(key=st.sampled_from(sorted(Profile.model_fields)), place=st.integers(0, 30))
def test_a_mistyped_key_gets_a_suggestion(tmp_path: Path, key: str, place: int) -> None:
    typo = key[: place % len(key)] + key[place % len(key) + 1 :]
    if typo in Profile.model_fields or len(key) < 4:
        return
    file = tmp_path / "config.toml"
    file.write_text(f"[profiles.a]\n{typo} = 1\n")
    with pytest.raises(SettingsError) as caught:
        read_settings_file(file)
    assert f"line 2: unknown key {typo}" in caught.value.title
    assert key in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"url: {URL}\nagent_key: a1\nuser_key: u1\n", ("", "a1", "u1"), id="keys"),
        pytest.param(f"url: '{URL}'\nauth: \"t1\"  # mine\n", ("t1", "", ""), id="quoted"),
        pytest.param(f"---\n# mine\nurl:   {URL}\nagent_key: a1 # x\nuser_key: u1\nx: 4\n", ("", "a1", "u1"), id="others"),
    ],
)  # fmt: skip
def test_the_file_of_the_published_client_is_the_profile_if_there_is_no_other(
    read: Reader, paths: SettingsPaths, text: str, expected: tuple[str, str, str]
) -> None:
    paths.ddsclient_file.write_text(text)
    paths.ddsclient_file.chmod(0o600)
    found = read()
    assert (found.url, found.profile) == (URL, "ddsclient")
    assert (found.token, found.agent_key, found.user_key) == expected
    assert found.warnings == ()


def test_keys_of_the_published_client_are_not_used_for_another_service(read: Reader, paths: SettingsPaths) -> None:
    paths.ddsclient_file.write_text("agent_key: a1\nuser_key: u1\n")
    assert read(url="https://elsewhere.test").agent_key == ""
    assert read(url="https://elsewhere.test", profile="ddsclient").agent_key == "a1"


@pytest.mark.parametrize(("key", "missing"), [("agent_key", "user_key"), ("user_key", "agent_key")])
@pytest.mark.parametrize("source", ["profile", "variable"])
def test_one_of_two_keys_is_an_error_unless_there_is_a_token(read: Reader, key: str, missing: str, source: str) -> None:
    of_profile = f"{key} = 'k1'\n" if source == "profile" else ""
    text = f"[profiles.a]\nurl = '{URL}'\n{of_profile}"
    environment = {f"UPLOAD_TUI_{key.upper()}": "k1"} if source == "variable" else {}
    with pytest.raises(SettingsError, match=f"{key} without {missing}") as error:
        read(text, environment, "a")
    assert "k1" not in str(error.value)
    assert read(text, {**environment, "UPLOAD_TUI_TOKEN": "t1"}, "a").token == "t1"


def test_credentials_of_a_profile_are_not_used_for_another_service(read: Reader) -> None:
    text = f'[profiles.a]\nurl = "{URL}"\ntoken = "t"\nprojects = ["P"]\nrefresh = 5\n'
    elsewhere = read(text, url="https://elsewhere.test")
    assert (elsewhere.token, elsewhere.projects, elsewhere.refresh_seconds) == ("", (), 5)
    assert read(text, url=f"{URL}/api/v1").token == "t"


@pytest.mark.parametrize(
    ("own", "variables", "flags", "title"),
    [
        ("url = 'https://dds.test'", {}, {}, "lab"),
        ("url = 'https://dds.test'", {"UPLOAD_TUI_URL": "https://dds.test/"}, {}, "lab"),
        ("url = 'https://dds.test'", {"UPLOAD_TUI_URL": "https://other.test"}, {}, "other.test"),
        ("url = 'https://dds.test'", {}, {"url": "https://other.test"}, "other.test"),
        ("url = 'https://dds.test'", {}, {"command": ["/bin/printer"]}, "printer"),
        ("command = ['printer']", {}, {}, "lab"),
        ("command = ['printer']", {"UPLOAD_TUI_URL": "https://other.test"}, {}, "other.test"),
        ("refresh = 5", {"UPLOAD_TUI_URL": "https://other.test"}, {}, "lab"),
    ],
)
def test_a_profile_names_only_its_own_service(
    read: Reader, own: str, variables: dict[str, str], flags: dict[str, Any], title: str
) -> None:
    assert read(f"[profiles.lab]\n{own}\n", variables, **flags).title == title


def test_credentials_of_different_sources_are_not_mixed(read: Reader, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    text = f'[profiles.a]\nurl = "{URL}"\nagent_key = "a"\nuser_key = "u"\n'
    found = read(text, {"UPLOAD_TUI_TOKEN": "from-variable"}, token_file=tmp_path / "token")
    assert (found.token, found.agent_key, found.user_key) == ("from-file", "", "")
    found = read(text, {"UPLOAD_TUI_TOKEN": "from-variable"})
    assert (found.token, found.agent_key, found.user_key) == ("from-variable", "", "")


def test_a_secret_that_others_can_read_is_a_warning(paths: SettingsPaths) -> None:
    paths.settings_file.write_text(f'[profiles.a]\nurl = "{URL}"\ntoken = "t"\n')
    paths.settings_file.chmod(0o644)
    (warning,) = read_settings({}, Flags(), paths).warnings
    assert f"chmod 600 {paths.settings_file}" in warning


def test_a_file_without_a_secret_is_no_warning(paths: SettingsPaths) -> None:
    paths.settings_file.write_text(f'[profiles.a]\nurl = "{URL}"\n')
    paths.settings_file.chmod(0o644)
    assert read_settings({}, Flags(), paths).warnings == ()


def test_an_unknown_variable_is_a_warning_with_a_suggestion(read: Reader) -> None:
    (warning,) = read(environment={"UPLOAD_TUI_URL": URL, "UPLOAD_TUI_TOKN": "s3cret"}).warnings
    assert "Did you mean UPLOAD_TUI_TOKEN?" in warning
    assert "s3cret" not in warning


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("https://dds.test", True),
        ("http://127.0.0.1:8902", True),
        ("http://[::1]:8902", True),
        ("http://localhost:8902/api/v1", True),
        ("http://dds.test", False),
        ("http://127.0.0.1.evil.test", False),
        ("http://localhost@evil.test", False),
        ("ftp://dds.test", False),
        ("dds.test", False),
        ("http://[::1", False),
    ],
)
def test_a_token_is_only_sent_encrypted_or_to_this_machine(read: Reader, url: str, is_fine: bool) -> None:
    if is_fine:
        assert read(url=url).url == url
    else:
        with pytest.raises(SettingsError):
            read(url=url)


@pytest.mark.parametrize(
    ("text", "profile", "expected"),
    [
        pytest.param("[profiles.a]\n", "", "a", id="the-only-one"),
        pytest.param('default_profile = "b"\n[profiles.a]\n[profiles.b]\n', "", "b", id="the-default"),
        pytest.param("[profiles.a]\n[profiles.b]\n", "", "", id="none-of-two"),
        pytest.param('default_profile = "b"\n[profiles.a]\n[profiles.b]\n', "a", "a", id="the-named"),
    ],
)
def test_the_profile_is_the_named_or_default_or_only_one(read: Reader, text: str, profile: str, expected: str) -> None:
    assert read(text, url=URL, profile=profile or None).profile == expected
    assert read(text, {"UPLOAD_TUI_PROFILE": profile}, url=URL).profile == expected


def test_an_unknown_profile_is_reported_with_the_known_ones(read: Reader) -> None:
    with pytest.raises(SettingsError) as caught:
        read("[profiles.work]\n[profiles.home]\n", profile="wrok")
    assert "work" in caught.value.hint


def test_a_list_may_be_a_single_string(read: Reader) -> None:
    found = read(f'[profiles.a]\nurl = "{URL}"\nprojects = "P"\ncolumns = "name"\ntimezone = "Europe/Berlin"\n')
    assert (found.projects, found.columns, str(found.zone)) == (("P",), ("name",), "Europe/Berlin")


def test_display_settings_ignore_the_keys_of_a_service(paths: SettingsPaths) -> None:
    paths.settings_file.write_text(
        '[profiles.a]\nurl = "http://dds.test"\ntoken_file = "/nowhere/token"\nprojects = ["P"]\ntheme = "upload-light"\n'
    )
    found = read_display_settings(
        {"UPLOAD_TUI_TOKEN_FILE": "/nowhere/else", "UPLOAD_TUI_TIMEZONE": "Asia/Tokyo"}, paths
    )
    assert (found.url, found.token, found.token_file, found.projects) == ("", "", None, ())
    assert (found.theme, str(found.zone), found.profile) == ("upload-light", "Asia/Tokyo", "a")
    assert found.warnings == ()


def test_display_settings_have_defaults(paths: SettingsPaths) -> None:
    found = read_display_settings({}, paths)
    assert (found.theme, found.signs, found.columns, dict(found.keys)) == ("", "", (), {})


def test_display_settings_report_an_unknown_key(paths: SettingsPaths) -> None:
    paths.settings_file.write_text('[profiles.a]\nthme = "upload-light"\n')
    with pytest.raises(SettingsError, match="line 2: unknown key thme"):
        read_display_settings({}, paths)


@pytest.mark.parametrize(("value", "expected"), [("0", 0.0), ("2.5", 2.5), ("", 60.0)])
def test_the_alert_interval_may_be_zero(read: Reader, value: str, expected: float) -> None:
    environment = {"UPLOAD_TUI_URL": URL, "UPLOAD_TUI_ALERT_REPEAT": value}
    assert read(environment=environment).alert_repeat_seconds == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [("UPLOAD_TUI_ALERT_REPEAT", "-1"), ("UPLOAD_TUI_ALERT_REPEAT", "soon"), ("UPLOAD_TUI_ANIMATIONS", "x")],
)
def test_an_invalid_variable_is_named(read: Reader, variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        read(environment={"UPLOAD_TUI_URL": URL, variable: value})


def test_the_schema_has_every_key_with_a_description() -> None:
    schema = json.loads(json.dumps(settings_schema()))
    profile = schema["$defs"]["Profile"]
    assert set(profile["properties"]) == set(Profile.model_fields)
    assert all(entry["description"] for entry in profile["properties"].values())
    assert all("null" not in json.dumps(entry) for entry in profile["properties"].values())
    assert profile["properties"]["refresh"]["type"] == "number"
    assert profile["properties"]["projects"]["type"] == "array"
    assert profile["additionalProperties"] is False
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_sets_its_key(read: Reader, tmp_path: Path, variable: str) -> None:
    key = VARIABLES[variable]
    (tmp_path / "token").write_text("t")
    value = tomllib.loads(f"value = {key.example}")["value"] if key.example else "x"
    text = str(tmp_path / "token") if key.name == "token_file" else ",".join(value) if key.is_list else str(value)
    keys = dict.fromkeys(("UPLOAD_TUI_AGENT_KEY", "UPLOAD_TUI_USER_KEY"), "k") if variable.endswith("_KEY") else {}
    found = read(environment={"UPLOAD_TUI_URL": URL, **keys, variable: text})
    assert found.sources[key.name] == variable


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o604, 0o640, 0o644, 0o666])
def test_a_token_file_that_others_can_read_is_a_warning(read: Reader, tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text("t0ken")
    file.chmod(mode)
    expected = (f"{file} contains a secret and other users can read it. Fix it with: chmod 600 {file}",)
    for found in (
        read(url=URL, token_file=file),
        read(url=URL, environment={"UPLOAD_TUI_TOKEN_FILE": str(file)}),
        read(f'[profiles.a]\nurl = "{URL}"\ntoken_file = "{file}"\n'),
    ):
        assert found.warnings == (expected if mode & 0o077 else ())


@pytest.mark.parametrize(
    ("path", "is_fine"),
    [
        *((path, True) for path in ("", "/", "//", "/api/v1", "/api/v1/", "/x", "/x/api/v1", "/apiary", "/x/api2")),
        *((path, False) for path in ("/api", "/api/", "/x/API", "/API/V1", "//api//v1", "//x", "/api/v1//projects")),
        *((path, False) for path in ("/api/v1/projects", "/api/v2", "/api/v1/api/v1", "/?page=1", "/#top")),
    ],
)
def test_a_url_has_no_part_of_the_api(read: Reader, path: str, is_fine: bool) -> None:
    if is_fine:
        assert read(url=f"{URL}{path}").url == f"{URL}{path}"
    else:
        with pytest.raises(SettingsError, match="not that of a service") as caught:
            read(url=f"{URL}{path}")
        assert URL in caught.value.hint


@pytest.mark.parametrize("rest", ["dds.test", "[bad", "dds.test:port", "dds.test/api/v1", "dds.test#x"])
@pytest.mark.parametrize("start", ["https://bob:s3cret@", "https://s3cret@", "http://bob:s3/cret@", "bob:s3cret#@"])
def test_a_url_with_a_password_is_refused_without_quoting_it(read: Reader, start: str, rest: str) -> None:
    for text, flags in (("", {"url": start + rest}), (f"[profiles.a]\nurl = '{start}{rest}'\n", {})):
        with pytest.raises(SettingsError) as caught:
            read(text, **flags)
        assert "contains a user or a password" in caught.value.title
        assert "cret" not in caught.value.title + caught.value.hint
        assert caught.value.hint
