"""Whatever the variables, folders and files are that the program reads: no internal error, and an error that names the cause."""

import io
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.programs import Response, Served, scripted_service, started
from tests.e2e.terminal import NEW_PROCESS
from upload_tui.cli.group import run
from upload_tui.cli.support.error_reporting import run_reported
from upload_tui.cli.support.preferences import dashboard_preferences
from upload_tui.settings import Flags, SettingsPaths, read_settings
from upload_tui.settings.keys import VARIABLES
from upload_tui.testing import UploadServer, an_upload

pytestmark = pytest.mark.e2e

ALLOWED = {0, 2, 3, 4, 5, 124}
"""What the surroundings may cause; 1 is a failed upload, 70 a bug."""


@pytest.fixture(scope="module")
def service() -> Iterator[Mapping[str, str]]:
    with UploadServer() as server:
        served = Served(
            {"url": server.url, "token": server.headers["Authorization"], "project": {"id": server.project_id}}
        )
        served.finish(served.begin())
        yield served.environment


@pytest.fixture(autouse=True)
def service_environment(service: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in service.items():
        monkeypatch.setenv(name, value)


class Outcome:
    """Runs a command in this process; its exit code and output are checked at once.

    Args:
        line: the command line.
        capture: of the test.
        causes: an error must contain one of them.
    """

    def __init__(self, line: str, capture: pytest.CaptureFixture[str], *causes: str) -> None:
        with pytest.raises(SystemExit) as ended:
            run(line.split())
        self.code = ended.value.code
        self.out, self.err = capture.readouterr()
        assert self.code in ALLOWED, self.err
        assert "Traceback" not in self.err
        if self.code and causes:
            assert any(cause in self.err + self.out for cause in causes), self.err


# Files


def _absent(file: Path) -> None:
    pass


def _folder(file: Path) -> None:
    file.mkdir()


def _loop(file: Path) -> None:
    """A file that cannot be read, also not by the superuser."""
    file.symlink_to(file)


def _gigantic(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(1 << 40)


def _bytes(content: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        file.write_bytes(content)

    return write


STATES = {
    "absent": _absent,
    "empty": _bytes(b""),
    "folder": _folder,
    "unreadable": _loop,
    "only-a-mark": _bytes(b"\xef\xbb\xbf"),
    "not-utf-8": _bytes(b"\xff\xfe\x00\xd8"),
    "zeros": _bytes(b"\0" * 5000),
    "gigantic": _gigantic,
    "nested": _bytes(b"a = " + b"[" * 100_000),
    "nested-json": _bytes(b'{"a":' * 100_000),
}


def _variable(name: str) -> Callable[[Path, pytest.MonkeyPatch], Path]:
    def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        file = home / "named-file"
        monkeypatch.setenv(name, str(file))
        return file

    return place


def _path(name: str) -> Callable[[Path, pytest.MonkeyPatch], Path]:
    def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    return place


@dataclass(frozen=True)
class Case:
    """A file, the command that uses it, and the outcome: `code` and `cause`, but `good_code` in the `good` states."""

    place: Callable[[Path, pytest.MonkeyPatch], Path]
    line: str
    good: Collection[str] = ()
    cause: str = ""
    code: int = 2
    good_code: int = 0

    def expected(self, state: str) -> int:
        return self.good_code if state in self.good else self.code


BLANK = {"absent", "empty", "only-a-mark"}
UNUSABLE = {"folder", "unreadable"}
ELSEWHERE = "list --url https://127.0.0.1:9"
"""A service with TLS that cannot be reached."""
FILES: Mapping[str, Case] = {
    "settings": Case(_path("xdg_config_home/upload-tui/config.toml"), "list", BLANK),
    "settings-folder": Case(_path("xdg_config_home"), "list", STATES.keys() - {"unreadable"}),
    "ddsclient": Case(_path(".ddsclient"), "config show", BLANK | UNUSABLE),
    "token-file": Case(_variable("UPLOAD_TUI_TOKEN_FILE"), "list"),
    "ca-bundle": Case(_variable("UPLOAD_TUI_CA_BUNDLE"), "list"),
    "certificates": Case(_variable("SSL_CERT_FILE"), "list", STATES),
    "certificates-used": Case(_variable("SSL_CERT_FILE"), ELSEWHERE, cause="SSL_CERT_FILE"),
    "key-log": Case(_variable("SSLKEYLOGFILE"), "list", STATES),
    "key-log-used": Case(
        _variable("SSLKEYLOGFILE"), ELSEWHERE, STATES.keys() - UNUSABLE, cause="SSLKEYLOGFILE", good_code=3
    ),
    "stores": Case(_path("xdg_cache_home/upload-tui/stores"), "list", STATES),
    "cache": Case(_path("xdg_cache_home"), "doctor", STATES),
    "state": Case(_path("xdg_state_home"), "report --since last", {"absent", "folder"}),
    "log": Case(_path("xdg_state_home/upload-tui/log/upload-tui.log"), "list --debug", STATES),
    "database": Case(_path("named-file"), "serve --host 192.0.2.1 --db {file}", STATES, good_code=2),
    "recording": Case(_path("named-file"), "replay {file}"),
    "recording-to-write": Case(_path("named-folder"), "record {file}/missing/file"),
}
TOKENS = {"nested": 4, "nested-json": 3}
"""Exit codes of the files that contain a token, which is wrong, or longer than a service reads."""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", FILES)
def test_files_in_each_state(
    name: str, state: str, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    case = FILES[name]
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.driver:Driver")  # a dashboard goes on without a terminal
    monkeypatch.delenv("UPLOAD_TUI_TOKEN") if name == "token-file" else None
    file = case.place(home, monkeypatch)
    STATES[state](file)
    causes = () if state in case.good else (case.cause or str(file),)
    expected = TOKENS.get(state, case.code) if name == "token-file" else case.expected(state)
    assert Outcome(case.line.format(file=file), capfd, *causes).code == expected


@pytest.mark.parametrize("state", [state for state in STATES if state not in {"absent", "folder"}])
def test_what_is_remembered_is_forgotten_if_it_is_damaged(
    state: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Outcome("report --since last", capfd).code == 0
    (file,) = (home / "xdg_state_home").rglob("*.json")
    file.unlink()
    STATES[state](file)
    assert '"since": null' in Outcome("report --since last", capfd).out


@pytest.mark.parametrize("state", [state for state in STATES if state != "absent"])
@pytest.mark.parametrize("name", ["themes/mine.toml", "styles/mine.tcss"])
def test_files_of_the_dashboard_in_each_state(
    name: str, state: str, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = _path(f"xdg_config_home/upload-tui/{name}")(home, monkeypatch)
    STATES[state](file)
    settings = read_settings(os.environ, Flags(), SettingsPaths(home / "none", home / "none"))
    code = run_reported(lambda: dashboard_preferences(settings))
    err = capfd.readouterr().err
    assert code in {0, 2}, err
    assert "Errno" not in err
    assert not code or str(file) in err


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["theme", "columns", "columns-combined"])
def test_a_saved_choice_that_cannot_be_used_is_ignored(
    name: str, state: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    STATES[state](_path(f"xdg_state_home/upload-tui/{name}")(home, monkeypatch))
    settings = read_settings(os.environ, Flags(), SettingsPaths(home / "none", home / "none"))
    preferences = dashboard_preferences(settings)
    assert preferences.saved_theme == ""
    assert preferences.display_options is not None
    assert preferences.display_options.view_columns == ()


@pytest.mark.parametrize("key", ["token_file", "ca_bundle", "token_command", "on_error", "timezone", "theme"])
def test_a_null_character_in_a_setting_is_reported(
    key: str, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    url = os.environ["UPLOAD_TUI_URL"]
    monkeypatch.delenv("UPLOAD_TUI_TOKEN")
    file = _path("xdg_config_home/upload-tui/config.toml")(home, monkeypatch)
    file.write_text(f'[profiles.a]\nurl = "{url}"\n{key} = "a\\u0000b"\n')
    Outcome("list", capfd, key, "token", "certificates")


@pytest.mark.parametrize("state", [state for state in STATES if state not in {"absent", "empty", "only-a-mark"}])
def test_database_of_the_service_that_is_none(state: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "service.db"
    STATES[state](file)
    size = file.stat().st_size if state not in {"unreadable", "folder"} else 0
    outcome = Outcome(f"serve --port 0 --db {file}", capfd, str(file))
    assert outcome.code == 2
    if size:
        assert file.stat().st_size == size


def test_database_of_another_program_is_left_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    file = tmp_path / "other.db"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE uploads (mine TEXT)")
    other.close()
    before = file.read_bytes()
    assert Outcome(f"serve --port 0 --db {file}", capfd, "another program").code == 2
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.db"]


def test_folders_of_the_service_that_cannot_be_made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert Outcome(f"serve --port 0 --db {tmp_path}/missing/service.db", capfd, "missing").code == 2
    (tmp_path / "file").write_text("")
    assert Outcome(f"serve --port 0 --storage {tmp_path}/file/folder", capfd, "file/folder").code == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("xdg_config_home/upload-tui/config.toml", '[profiles.a]\nurl = "{url}"\ntoken = "{token}"\n'),
        (".ddsclient", "# a comment\nurl: '{url}'\nauth: \"{token}\" # a comment\n"),
        ("token", "{token}\n"),
    ],
    ids=["settings", "ddsclient", "token"],
)
def test_files_with_a_byte_order_mark(
    name: str,
    text: str,
    service: Mapping[str, str],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    token = service["UPLOAD_TUI_TOKEN"]
    monkeypatch.delenv("UPLOAD_TUI_TOKEN")
    if name == "token":
        monkeypatch.setenv("UPLOAD_TUI_TOKEN_FILE", str(home / name))
    else:
        monkeypatch.delenv("UPLOAD_TUI_URL")
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(text.format(url=service["UPLOAD_TUI_URL"], token=token), encoding="utf-8-sig")
    outcome = Outcome("projects", capfd)
    assert (outcome.code, "Demo project" in outcome.out) == (0, True)


@pytest.mark.parametrize(
    "line", ["{url: x}", "- url", "url: {a: b}", "url: >", " url: x", 'url: "a\\"b"', "url: &a x", "? url"]
)
def test_yaml_of_another_form_is_named(line: str, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / ".ddsclient").write_text(f"---\nagent_key: k\n{line}\n")
    assert Outcome("config show", capfd, "line 3: this form of YAML is not supported").code == 2


@pytest.mark.parametrize("path", ["/x", "/x/api/v1"])
@pytest.mark.parametrize("line", ["list", "projects", "doctor", "list --project nowhere"])
def test_a_url_without_a_service_behind_it_is_blamed(line: str, path: str, capfd: pytest.CaptureFixture[str]) -> None:
    url = os.environ["UPLOAD_TUI_URL"]
    assert Outcome(f"{line} --url {url}{path}", capfd, f"No such service at {url}/x (404").code == 3


# Variables

VALUES = {
    "empty": "",
    "not-utf-8": "\udcff",
    "long": "x" * 100_000,
    "escape": "\x1b[31m",
    "brackets": "http://[::1",
    "no-port": "http://localhost:99999",
}
NAMES = sorted(
    {
        *VARIABLES, "UPLOAD_TUI_PROFILE", "HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "COLUMNS", "LINES", "TERM",
        "NO_COLOR", "COLORTERM", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE",
    }
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", NAMES)
def test_any_value_of_a_variable_is_used_or_reported(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # a relative folder is made here
    if name.startswith("UPLOAD_TUI_TOKEN") or name.endswith("_KEY"):
        monkeypatch.delenv("UPLOAD_TUI_TOKEN")
    monkeypatch.setenv(name, VALUES[value])
    causes = {name, "xxx", "token", "Token", "profile", "project", "credentials", "URL"}
    Outcome("doctor" if name.startswith("UPLOAD_TUI") else "report --since last", capfd, *causes)


@pytest.mark.parametrize("value", [*VALUES.values(), "fe80::/10", "::1/128", "[::1]", "*", "http://", "ftp://x"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY"])
def test_any_proxy_is_used_or_reported(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    Outcome("doctor", capfd)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "name",
    [
        "TEXTUAL_DRIVER",
        "TEXTUAL_COLOR_SYSTEM",
        "TEXTUAL_LOG",
        "TEXTUAL_FPS",
        "TEXTUAL_THEME",
        "ESCDELAY",
        "TZ",
        "TMPDIR",
    ],
)
def test_any_value_of_a_variable_of_the_dashboard_is_used_or_reported(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, VALUES[value])
    assert Outcome("demo", capfd, name, "needs a terminal").code == 2


@pytest.mark.parametrize("name", ["TEXTUAL_DRIVER", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_LOG"])
def test_an_invalid_variable_of_the_dashboard_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "missing" / "x"))
    assert Outcome("watch", capfd, name).code == 2


@pytest.mark.parametrize(
    "words", [{}, {"COMP_CWORD": "x", "COMP_WORDS": "upload-tui li"}, {"COMP_WORDS": "upload-tui"}]
)
@pytest.mark.parametrize("request_", ["nonsense", "bash_nonsense", "bash_complete", "zsh_complete", "fish_complete"])
def test_a_completion_that_no_shell_asks_for_is_exit_code_2(
    request_: str, words: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if request_ == "fish_complete" and "COMP_CWORD" in words:
        pytest.skip("fish gives the present word there")
    monkeypatch.setenv("_UPLOAD_TUI_COMPLETE", request_)
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    assert Outcome("wait x", capfd, "_UPLOAD_TUI_COMPLETE").code == 2


def test_no_home_directory(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As in a container whose user has no entry in the password file."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", _no_entry)
    assert Outcome("list", capfd).code == 0
    assert Outcome("doctor", capfd).code == 0
    assert Outcome("config init", capfd, "cannot be written").code == 2
    assert Outcome("report --since last", capfd, "Cannot save").code == 2
    monkeypatch.setenv("UPLOAD_TUI_TOKEN_FILE", "~/token")
    assert Outcome("list", capfd, "~/token").code == 2
    monkeypatch.delenv("UPLOAD_TUI_TOKEN_FILE")
    monkeypatch.setenv("UPLOAD_TUI_CA_BUNDLE", "~/ca.pem")
    assert Outcome("list", capfd, "~/ca.pem").code == 2
    assert list(tmp_path.iterdir()) == []


def _no_entry(user: int) -> object:
    raise KeyError(user)


@pytest.mark.skipif(sys.platform == "darwin", reason="the directory cannot be deleted there")
def test_deleted_working_directory(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "deleted"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    for line in ("list", "doctor", "report", "config show", "record changes.jsonl", "serve --port 0 --db x.db"):
        Outcome(line, capfd, "changes.jsonl", "x.db")
    settings = read_settings(os.environ, Flags(), SettingsPaths(tmp_path / "none", tmp_path / "none"))
    assert dashboard_preferences(settings).export_folder == Path()


# Arguments


@pytest.mark.parametrize(
    "line",
    [
        "list --search {0}",
        "list --project {0}",
        "list --url http://{0}",
        "list --profile {0}",
        "list --token-file {0}",
        "show {0}",
        "wait {0} --timeout 0.1s",
        "record {0}/file",
        "serve --host {0}",
        "serve --db {0}/file",
        "config {0}",
        "{0}",
    ],
)
@pytest.mark.parametrize(
    "word", ["\udcff", "\x1b[31m", "x" * 70_000, "é\u202e"], ids=["bytes", "escape", "long", "bidi"]
)
def test_arguments_with_each_text(
    line: str, word: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = line.format(word)
    monkeypatch.setattr(sys, "argv", ["upload-tui", *filled.split()])
    outcome = Outcome(filled, capfd)
    assert "\x1b" not in outcome.err


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (["record", ""], "the path is empty"),
        (["replay", ""], "the path is empty"),
        (["serve", "--db", ""], "the path is empty"),
        (["serve", "--storage", ""], "the path is empty"),
        (["serve", "--host", ""], "The host is empty"),
        (["list", "--token-file", ""], "the path is empty"),
        (["list", "--project", ""], "No project"),
        (["list", "--profile", ""], ""),
        (["list", "--url", ""], ""),
    ],
    ids=lambda line: " ".join(line) if isinstance(line, list) else "",
)
def test_empty_arguments(line: list[str], cause: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(line)
    assert ended.value.code in ({2, 5} if cause else {0})
    assert cause in capfd.readouterr().err


def test_a_database_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with started("serve", "--port", "0", "--db", ":memory:") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("files", [6, 7, 8, 10, 12, 14])
def test_too_few_files_can_be_opened(files: int) -> None:
    """At each limit something else is the first that cannot be opened."""
    result = subprocess.run(
        [*NEW_PROCESS, "list", "--url", "http://127.0.0.1:9", "--token-file", os.devnull],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),  # no other thread
    )
    assert result.returncode in {2, 3, 4}, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("config init", 2),
        ("record {home}/recording.jsonl", 2),
        ("report --since last", 2),
        ("list --debug", 0),
        ("doctor", 0),
    ],
)
def test_a_device_without_space(
    line: str, code: int, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk, no file can grow; an empty one that would block the next try is not left behind."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with capfd.disabled():  # the captured output is a file as well
        monkeypatch.setattr(sys, "stdout", out := io.StringIO())
        monkeypatch.setattr(sys, "stderr", err := io.StringIO())
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            with pytest.raises(SystemExit) as ended:
                run(line.format(home=home).split())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ended.value.code == code, err.getvalue()
    assert "Traceback" not in err.getvalue()
    assert "File too large" in err.getvalue() or not code
    assert ("nothing is cached between sessions" in out.getvalue()) == (line == "doctor")
    assert [file for file in home.rglob("*") if file.suffix in {".toml", ".jsonl", ".json", ".part"}] == []


ON_A_FULL_DISK = """
import contextlib, io, json, os, subprocess, sys
from upload_tui.cli.group import run
folder, *lines = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], check=True)
for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
    os.environ[name] = folder
print("mounted", flush=True)
for free in (0, 16384):
    with open(f"{folder}/filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)): pass
    os.truncate(f"{folder}/filler", os.path.getsize(f"{folder}/filler") - free)
    for line in lines:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
            try: run(line.format(folder=folder).split())
            except SystemExit as ended: code = ended.code
        print(json.dumps([line, free, code, err.getvalue()]), flush=True)
"""


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without space, and with some at first: what is written and no more."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    uploads = [an_upload(f"reads-{number}.fastq", id=f"u-{number}") for number in range(20)]
    project = {"kind": "dds-project", "id": "p-1", "name": "Genome"}
    responses = {
        "/projects": [Response({"results": [project]})],
        "/projects/p-1/uploads": [Response({"results": uploads})],
    }
    codes = {"record {folder}/recording": 2, "config init": 2, "report --since last": 2, "list --debug": 0, "doctor": 0}
    with scripted_service(responses) as service:
        done = subprocess.run(
            ["unshare", "-rm", sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path), *codes],
            env={**os.environ, **service.environment, "UPLOAD_TUI_REFRESH": "0.1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if not done.stdout:
        pytest.skip("no file system can be mounted here")
    found = {(line, free): (code, err) for line, free, code, err in map(json.loads, done.stdout.splitlines()[1:])}
    assert not done.returncode, done.stderr
    assert {cell: code for cell, (code, _) in found.items()} == {
        (line, free): code for free in (0, 16384) for line, code in codes.items()
    }
    for (line, free), (code, err) in found.items():
        assert "Traceback" not in err
        assert ("No space left on device.\n  Free some space.\n" in err) == bool(code), (line, free, err)
    assert "wrote" in found["record {folder}/recording", 16384][1]  # and not that the file exists


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids=oct)
def test_folders_and_files_are_for_their_owner_alone(mask: int, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = os.umask(mask)
    try:
        for line in ("list --debug", "report --since last", "config init"):
            assert Outcome(line, capfd).code == 0
    finally:
        os.umask(before)
    made = [path for path in home.rglob("*") if path.name != ".ddsclient"]
    assert {path.name for path in made if path.is_dir()} >= {"upload-tui", "stores", "visits", "log"}
    assert [path for path in made if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    "url",
    [
        "{root}?x=1", "{root}/#top", "{root}/api/v1/projects", "{root}/api/v1/uploads/1?x=1", "{root}/api/v2", "http://localhost:99999",
        "http://localhost:x", "http://:80",
    ],
)  # fmt: skip
def test_url_of_something_else_is_exit_code_2(
    url: str, service: Mapping[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    filled = url.format(root=service["UPLOAD_TUI_URL"])
    outcome = Outcome(f"list --url {filled}", capfd, "command line")
    assert outcome.code == 2
    assert "?x=1" not in outcome.err


@pytest.mark.parametrize("path", ["", "/", "/api/v1", "/api/v1/"])
def test_url_with_and_without_the_api(path: str, service: Mapping[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert Outcome(f"list --url {service['UPLOAD_TUI_URL']}{path}", capfd).code == 0
