"""The dashboard's preferences: settings, saved choices, the user's themes and style sheets, and errors that name the cause."""

import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from upload_tui.cli.support.preferences import dashboard_preferences, save_state
from upload_tui.cli.support.user_commands import failure_hook
from upload_tui.cli.support.visits import visit_key
from upload_tui.errors import SettingsError
from upload_tui.files import config_folder, state_folder
from upload_tui.monitor import SortKey, StageReached
from upload_tui.redaction import register_secrets
from upload_tui.settings import ServiceSettings
from upload_tui.settings.profiles import CommandSettings, ViewSettings
from upload_tui.testing import InMemorySession, an_upload
from upload_tui.tui import ASCII, UNICODE, ScreenState, TableOrder, View, ViewKind, parse_columns


def settings(**fields: Any) -> ServiceSettings:
    return ServiceSettings(url="https://example.org", sources=dict.fromkeys(fields, "config.toml"), **fields)


def write(name: str, text: str) -> Path:
    file = config_folder() / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_preferences_come_from_the_settings() -> None:
    preferences = dashboard_preferences(
        settings(columns=("name:30", "took"), theme="upload-light", alerts=("bell",), alert_repeat_seconds=5.0)
    )
    assert preferences.display_options is not None
    assert [str(column) for column in preferences.display_options.columns] == ["name:30", "took"]
    assert preferences.theme == "upload-light"
    assert preferences.alerts.bell
    assert not preferences.alerts.desktop
    assert preferences.alerts.quiet_seconds == 5


@pytest.mark.parametrize(
    ("variables", "setting", "is_animated"),
    [
        pytest.param({}, None, True, id="default"),
        pytest.param({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, None, False, id="ssh"),
        pytest.param({"SSH_TTY": "/dev/pts/1"}, None, False, id="ssh without SSH_CONNECTION"),
        pytest.param({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, True, True, id="on over ssh"),
        pytest.param({}, False, False, id="off"),
    ],
)
def test_animations_are_off_over_ssh_unless_the_setting_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], setting: bool | None, is_animated: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert dashboard_preferences(settings(animations=setting)).is_animated is is_animated


@pytest.mark.parametrize(
    ("setting", "variables", "expected"),
    [
        pytest.param("", {}, UNICODE, id="default"),
        pytest.param("", {"LC_ALL": "C"}, ASCII, id="LC_ALL is C"),
        pytest.param("", {"LANG": "POSIX"}, ASCII, id="LANG is POSIX"),
        pytest.param("", {"LC_ALL": "", "LC_CTYPE": "C", "LANG": "de_DE.UTF-8"}, ASCII, id="LC_CTYPE before LANG"),
        pytest.param("", {"LC_ALL": "de_DE.UTF-8", "LC_CTYPE": "C", "LANG": "C"}, UNICODE, id="LC_ALL before LC_CTYPE"),
        pytest.param("unicode", {"LC_ALL": "C"}, UNICODE, id="setting is unicode"),
        pytest.param("ascii", {"LC_ALL": "C.UTF-8"}, ASCII, id="setting is ascii"),
    ],
)
def test_signs_come_from_the_setting_or_the_locale(
    monkeypatch: pytest.MonkeyPatch, setting: str, variables: Mapping[str, str], expected: object
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options = dashboard_preferences(settings(signs=setting)).display_options
    assert options is not None
    assert options.glyphs is expected


def test_saved_columns_are_used_in_their_kind_of_view_unless_the_settings_name_columns() -> None:
    saved = {
        view: parse_columns(["name:30", column])
        for view, column in zip(ViewKind, ("stage", "project", "service"), strict=True)
    }
    first = dashboard_preferences(settings())
    assert first.display_options is not None
    assert first.save_columns is not None
    for view, columns in saved.items():
        assert first.display_options.columns_of(view) == ()
        first.save_columns(view, columns)
    again = dashboard_preferences(settings()).display_options
    configured = dashboard_preferences(settings(columns=("took",))).display_options
    assert again is not None
    assert configured is not None
    assert {view: again.columns_of(view) for view in ViewKind} == saved
    assert {configured.columns_of(view) for view in ViewKind} == {parse_columns(["took"])}


@pytest.mark.parametrize("content", ["no-such-column", "name:0", "name name", "\x00", ""])
def test_saved_columns_that_cannot_be_read_are_ignored(content: str) -> None:
    first = dashboard_preferences(settings())
    assert first.save_columns is not None
    first.save_columns(ViewKind.PROJECT, parse_columns(["name"]))
    (state_folder() / "columns").write_text(content)
    assert dashboard_preferences(settings()).display_options.view_columns == ()  # type: ignore[union-attr]


def test_saved_theme_is_used_unless_it_is_unknown() -> None:
    first = dashboard_preferences(settings())
    assert first.saved_theme == ""
    assert first.save_theme is not None
    first.save_theme("upload-safe-light")
    assert dashboard_preferences(settings()).saved_theme == "upload-safe-light"
    first.save_theme("mine")
    assert dashboard_preferences(settings()).saved_theme == ""
    write("themes/mine.toml", 'primary = "#ff00ff"\n')
    assert dashboard_preferences(settings()).saved_theme == "mine"


def test_themes_and_style_sheets_of_the_user_are_read_from_the_config_folder() -> None:
    write("themes/mine.toml", 'primary = "#ff00ff"\nstage-error = "red"\ndark = false\n')
    sheet = write("styles/mine.tcss", "UploadTable { border: heavy $primary; }")
    preferences = dashboard_preferences(settings(theme="mine"))
    assert [theme.name for theme in preferences.themes] == ["mine"]
    assert preferences.themes[0].variables["stage-error"] == "red"
    assert list(preferences.stylesheets) == [sheet]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"themes/x.toml": "primary = "}, "x.toml cannot be read"),
        ({"themes/x.toml": 'primry = "#fff"'}, "unknown key primry"),
        ({"themes/x.toml": 'primary = "no colour"'}, "primary is not a colour"),
        ({"themes/x.toml": 'error = "#fff"'}, "needs primary"),
        ({"styles/x.tcss": "UploadTable { bordr: heavy; }"}, "line 1: "),
        ({"styles/x.tcss": "\nUploadTable { color: $nothing; }"}, "line 2"),
        ({"styles/x.tcss": "Upload{{"}, "x.tcss"),
    ],
    ids=["no toml", "unknown key", "no colour", "no primary", "unknown rule", "unknown variable", "no sheet"],
)
def test_error_names_the_file_that_is_invalid(files: Mapping[str, str], message: str) -> None:
    for name, text in files.items():
        write(name, text)
    with pytest.raises(SettingsError, match=message):
        dashboard_preferences(settings())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keys": {"table.dwn": "x"}}, "unknown action table.dwn"),
        ({"theme": "upload-drak"}, "no theme upload-drak"),
        ({"columns": ("nmae",)}, "no column 'nmae'"),
        ({"views": {"night": ViewSettings(columns=("nmae",))}}, "views.night: columns: there is no column 'nmae'"),
        ({"views": {"night": ViewSettings(query="stge:error")}}, "views.night: query: "),
        ({"views": {"night": ViewSettings(order="sise")}}, "views.night: there is no order sise"),
    ],
    ids=["action", "theme", "column", "column of a view", "query of a view", "order of a view"],
)
def test_error_suggests_the_nearest_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        dashboard_preferences(settings(**fields))
    assert "Did you mean" in caught.value.hint


def test_a_dashboard_is_left_and_comes_back_for_the_same_services_and_projects() -> None:
    left = ScreenState(TableOrder(SortKey.SIZE), "is:trouble", view="night", is_roomy=True, searches=("b", "a"))
    save_state(visit_key([settings()]), left)
    assert dashboard_preferences(settings()).state == left
    assert dashboard_preferences(settings(projects=("other",))).state == ScreenState()
    demo = ServiceSettings(url="")
    save_state(visit_key([demo]), left)
    assert dashboard_preferences(demo).state == ScreenState(
        TableOrder(SortKey.SIZE), is_roomy=True, searches=left.searches
    )


def test_the_queries_of_two_dashboards_are_both_saved() -> None:
    for searches in ("a", "b"), ("c", "b"), tuple(map(str, range(48))):
        save_state(visit_key([settings()]), ScreenState(searches=searches))
    assert dashboard_preferences(settings()).state.searches == (*map(str, range(48)), "c", "b")


def test_a_query_with_a_secret_is_not_saved() -> None:
    register_secrets(["t0ken-of-ada"])
    texts = ("id:t0ken-of-ada", "https://ada:pass@example.org", "token=hunter22", "x" * 20_000)
    save_state(visit_key([settings()]), ScreenState(query=texts[0], searches=(*texts, "scan")))
    (file,) = (state_folder() / "screens").iterdir()
    assert dashboard_preferences(settings()).state == ScreenState(searches=("scan",))
    assert file.stat().st_mode & 0o077 == 0
    assert not any(text in file.read_text() for text in texts)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"order": {"sort": "sise"}}', "\x00"])
def test_a_damaged_file_of_views_or_of_the_last_state_is_ignored(content: str) -> None:
    save_state(visit_key([settings()]), ScreenState(query="scan"))
    for file in (state_folder() / "views", *(state_folder() / "screens").iterdir()):
        file.write_text(content)
    preferences = dashboard_preferences(settings())
    assert (preferences.state, preferences.views) == (ScreenState(), ())


def test_views_saved_on_screen_replace_those_of_the_settings() -> None:
    night, day = ViewSettings(query="is:trouble", order="-size", key="#"), ViewSettings(columns=("name:20",))
    configured = settings(views={"night": night, "day": day})
    preferences = dashboard_preferences(configured)
    by_name = {view.name: view for view in preferences.views}
    order = TableOrder(SortKey.SIZE, False)
    assert by_name["night"] == View("night", "is:trouble", order, (), "number_sign")
    assert by_name["day"].columns == parse_columns(["name:20"])
    assert preferences.save_views is not None
    saved = View("night", "is:stuck", TableOrder(), parse_columns(["name"]), "f2", is_saved=True)
    preferences.save_views([saved])
    assert dashboard_preferences(configured).views == (by_name["day"], saved)


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"a": ViewSettings(key="f2"), "b": ViewSettings(key="f2")}, "views.b: the key f2 belongs to the view a"),
        ({"a": ViewSettings(key="v")}, "views.a: the key v belongs to views"),
        ({"a": ViewSettings(key="f99")}, "views.a: there is no key f99"),
    ],
)
def test_a_view_has_a_key_of_its_own(views: Mapping[str, ViewSettings], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        dashboard_preferences(settings(views=views))


def profile(name: str, **fields: Any) -> ServiceSettings:
    return ServiceSettings(
        url=f"https://{name}.example.org", profile=name, sources=dict.fromkeys(fields, name), **fields
    )


OPEN, PAGE = CommandSettings(command=("open", "{name}"), key="b"), CommandSettings(command=("page", "{name}"))


def test_several_profiles_have_their_own_hooks_and_share_views_commands_and_keys() -> None:
    night = ViewSettings(query="is:trouble", key="f2")
    profiles = (
        profile("one", commands={"say": OPEN}, views={"night": night}, keys={"quit": "x"}, upload_url="https://p/{id}"),
        profile("two", commands={"say": OPEN, "page": PAGE}, on_change={"*": "true"}, alerts=("bell",)),
    )
    found = dashboard_preferences(*profiles)
    assert [command.name for command in found.commands] == ["say", "page", "open"]
    assert [view.name for view in found.views] == ["night"]
    assert found.keymap == {"quit": "x"}
    assert [hook.service for hook in found.on_change] == ["https://two.example.org"]
    assert [found.page_template(f"https://{name}.example.org") for name in ("one", "two")] == ["https://p/{id}", ""]
    assert [each.bell for each in found.service_alerts.values()] == [False, True]


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        ({"commands": {"say": OPEN}}, {"commands": {"say": PAGE}}, "have different commands say"),
        ({"views": {"a": ViewSettings()}}, {"views": {"a": ViewSettings(query="x")}}, "have different views a"),
        (
            {"commands": {"say": OPEN}},
            {"views": {"a": ViewSettings(key="b")}},
            "the key b .*command say, and the view a",
        ),
        ({"commands": {"say": OPEN}}, {"commands": {"tell": OPEN}}, "the key b .*command say, and the command tell"),
        ({"keys": {"quit": "b"}}, {"commands": {"say": OPEN}}, "the key b .*quit, and the command say"),
        ({"keys": {"quit": "b"}}, {"keys": {"help": "f1,b"}}, "the key b .*quit, and help"),
        ({"keys": {"quit": "b"}}, {"keys": {"quit": "x"}}, "keys to quit different things: b, and x"),
    ],
)
def test_profiles_that_give_a_name_or_a_key_to_different_things_are_refused(
    one: Mapping[str, Any], two: Mapping[str, Any], what: str
) -> None:
    profiles = (profile("one", **one), profile("two", **two))
    with pytest.raises(SettingsError, match=f"The profiles one and two .*{what}"):
        dashboard_preferences(*profiles)


async def test_failures_run_the_command_of_their_service(tmp_path: Path) -> None:
    session = InMemorySession()
    session.publish(an_upload("scan.tiff", completed=60, error=20))
    failures = [one for one in session.changes.history(9) if isinstance(one, StageReached) and one.after == "error"]
    session.close()
    own, other = failures[0].upload.service, profile("two", on_error=f"touch {tmp_path / 'two'}")
    assert failure_hook({own: profile("one"), "two": profile("two")}) is None
    hook = failure_hook({own: profile("one", on_error=f"touch {tmp_path / 'one'}"), "two": other})
    assert hook is not None
    assert await hook(failures) is not None
    assert os.listdir(tmp_path) == ["one"]  # noqa: PTH208
    hook = failure_hook({own: profile("one"), "two": other})
    assert hook is not None
    assert await hook(failures) is None
