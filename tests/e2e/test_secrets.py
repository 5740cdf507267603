"""A secret in each place that can hold one; none of them appears in any output."""

import base64
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType

import click
import psutil
import pytest

from tests.e2e.in_process import interrupting_at_request, run_here
from tests.e2e.programs import Response, ScriptedService, scripted_service
from tests.e2e.terminal import Terminal
from upload_tui.cli.group import upload_tui
from upload_tui.redaction import HIDDEN
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

SECRET = "c4nary-s3cret"
PROJECTS = {"results": [{"kind": "dds-project", "id": "p-1", "name": "Genome"}]}
UPLOAD = {
    **an_upload(
        "reads.fastq",
        id="u-1",
        completed=60,
        error=30,
        message=f"PUT https://storage.test/x?X-Amz-Signature={SECRET} failed: {SECRET}-issued, token {SECRET}",
    ),
    "signed_url": f"https://storage.test/{SECRET}",
    "host": {"api_token": SECRET, "agent_key": SECRET},
    "temp_url": f"https://storage.test/{SECRET}",
    "http_headers": {"Authorization": SECRET, "X-Auth-Token": SECRET},
    "service_account": {"secret": SECRET, "password": SECRET, "access_key": SECRET},
    "more": {"url": f"/x/{SECRET}", "cookie": SECRET, "session": SECRET, "auth": SECRET, "credentials": {"id": SECRET}},
    "place": f"https://bob:{SECRET}@storage.test",
}
QUOTED = f"token {SECRET} expired"
QUOTING = Response({"error": 500, "code": "x", "reason": QUOTED, "suggestion": QUOTED}, 500, {"Retry-After": "0"})
MOVED = Response(b"", 302, {"Location": f"https://{SECRET}@elsewhere.test/{SECRET}?token={SECRET}"})
RESPONSES = {
    "/projects": [Response(PROJECTS)],
    "/projects/p-1/uploads": [Response({"results": [UPLOAD]})],
    "/uploads/u-1": [Response(UPLOAD)],
    "/uploads/u-moved": [MOVED],
    "/software_agents/api_token": [Response({"api_token": f"{SECRET}-issued", "time_to_live": 7200}, 201)],
}
COMMANDS = (
    "list --debug",
    "list -o csv",
    "show u-1",
    "show u-1 -o table",
    "show u-moved --debug",
    "projects --debug",
    "report -o table",
    "report --since 1h --prometheus",
    "wait u-1 --debug",
    "config show",
    "config path",
    "doctor --debug",
    "watch --debug",
    "source check -- cat {home}/token",
    "completions bash",
)
"""Without those that go on (`ENDLESS`), and those that know no service."""
ENDLESS = ("record {home}/recording.jsonl --debug", "tail --debug")
SERVING = ("metrics --listen 127.0.0.1:0 --debug",)
"""Those that try again whatever fails."""
OFFLINE = {"demo", "serve", "replay"}
_UNREACHABLE = ("list --debug", "config show", "doctor")
"""The commands to run behind a proxy that is not there: each retries its requests."""
_BRIEF = ("list --debug", "wait u-1 --debug", "config show", "doctor")
"""The commands for most places: what becomes of credentials does not depend on the place that they were read from."""

Place = Callable[[Path, str], Mapping[str, str]]
"""Puts a secret in a place below a home folder, for a service with this URL; returns the variables to set."""


def _profile(home: Path, text: str) -> Mapping[str, str]:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f"[profiles.work]\n{text}")
    return {}


def _variable(_: Path, url: str) -> Mapping[str, str]:
    return {"UPLOAD_TUI_URL": url, "UPLOAD_TUI_TOKEN": SECRET}


def _variable_with_line_break(_: Path, url: str) -> Mapping[str, str]:
    return {"UPLOAD_TUI_URL": url, "UPLOAD_TUI_TOKEN": f"{SECRET}\n{SECRET}"}


def _variable_not_ascii(_: Path, url: str) -> Mapping[str, str]:
    return {"UPLOAD_TUI_URL": url, "UPLOAD_TUI_TOKEN": f"{SECRET}é"}


def _variables_with_keys(_: Path, url: str) -> Mapping[str, str]:
    return {"UPLOAD_TUI_URL": url, "UPLOAD_TUI_AGENT_KEY": SECRET, "UPLOAD_TUI_USER_KEY": SECRET}


def _token_file(home: Path, url: str) -> Mapping[str, str]:
    (home / "token").write_text(SECRET)
    return {"UPLOAD_TUI_URL": url, "UPLOAD_TUI_TOKEN_FILE": str(home / "token")}


def _token_command(home: Path, url: str) -> Mapping[str, str]:
    (home / "token").write_text(SECRET)
    return {"UPLOAD_TUI_URL": url, "UPLOAD_TUI_TOKEN_COMMAND": f"cat {home}/token"}


def _token_command_that_prints_several_lines(home: Path, url: str) -> Mapping[str, str]:
    (home / "token").write_text(f"{SECRET}\x00\n{SECRET}")
    return {"UPLOAD_TUI_URL": url, "UPLOAD_TUI_TOKEN_COMMAND": f"cat {home}/token"}


def _keyring(_: Path, url: str) -> Mapping[str, str]:
    return {"UPLOAD_TUI_URL": url, "UPLOAD_TUI_TOKEN_KEYRING": "work"}


def _profile_token(home: Path, url: str) -> Mapping[str, str]:
    return _profile(home, f'url = "{url}"\ntoken = "{SECRET}"\n')


def _profile_token_with_line_break(home: Path, url: str) -> Mapping[str, str]:
    return _profile(home, f'url = "{url}"\ntoken = "{SECRET}\\n{SECRET}"\n')


def _invalid_profile(home: Path, url: str) -> Mapping[str, str]:
    return _profile(home, f'url = "{url}"\ntoken = ["{SECRET}"]\n')


def _damaged_profile(home: Path, url: str) -> Mapping[str, str]:
    return _profile(home, f'url = "{url}"\ntoken = "{SECRET}\n')


def _published_client(home: Path, url: str) -> Mapping[str, str]:
    (home / ".ddsclient").write_text(f"url: {url}\nagent_key: {SECRET}\nuser_key: {SECRET}\n")
    return {}


def _url_of_a_variable(_: Path, url: str) -> Mapping[str, str]:
    return {"UPLOAD_TUI_URL": url.replace("://", f"://bob:{SECRET}@"), "UPLOAD_TUI_TOKEN": "t0ken"}


def _url_of_a_profile(home: Path, url: str) -> Mapping[str, str]:
    with_password = url.replace("://", f"://{SECRET}#x:{SECRET}@")
    return _profile(home, f'url = "{with_password}"\ntoken = "t0ken"\n')


def _invalid_url(_: Path, __: str) -> Mapping[str, str]:
    return {"UPLOAD_TUI_URL": f"http://bob:{SECRET}@[bad", "UPLOAD_TUI_TOKEN": "t0ken"}


def _commands_with_arguments(home: Path, url: str) -> Mapping[str, str]:
    commands = f'token_command = "echo {SECRET}"\non_error = "mail --password {SECRET}"\n'
    return _profile(home, f'url = "{url}"\n{commands}')


def _proxy(_: Path, __: str) -> Mapping[str, str]:
    proxy = f"http://bob:{SECRET}@127.0.0.1:1"
    return {"UPLOAD_TUI_URL": "https://dds.test", "UPLOAD_TUI_TOKEN": "t0ken", "HTTPS_PROXY": proxy}


def _invalid_proxy(_: Path, __: str) -> Mapping[str, str]:
    proxy = f"http://bob:{SECRET}/x@127.0.0.1:1"
    return {"UPLOAD_TUI_URL": "https://dds.test", "UPLOAD_TUI_TOKEN": "t0ken", "ALL_PROXY": proxy}


PLACES: tuple[Place, ...] = (
    _variable,
    _variable_with_line_break,
    _variable_not_ascii,
    _variables_with_keys,
    _token_file,
    _token_command,
    _token_command_that_prints_several_lines,
    _keyring,
    _profile_token,
    _profile_token_with_line_break,
    _invalid_profile,
    _damaged_profile,
    _published_client,
    _url_of_a_variable,
    _url_of_a_profile,
    _invalid_url,
    _commands_with_arguments,
    _proxy,
    _invalid_proxy,
)


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service(RESPONSES) as scripted:
        yield scripted


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.strip("_"))
def test_no_command_writes_a_secret(
    service: ScriptedService,
    place: Place,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not to its streams, the log, a traceback, the store, the recording or the metrics."""
    monkeypatch.setitem(sys.modules, "keyring", _keyring_with(SECRET))
    monkeypatch.setitem(sys.modules, "keyring.errors", sys.modules["keyring"])
    monkeypatch.setenv("UPLOAD_TUI_REFRESH", "0.1")
    monkeypatch.setenv("UPLOAD_TUI_REQUESTS_PER_MINUTE", "100000")
    for name, value in place(home, service.url).items():
        monkeypatch.setenv(name, value)
    inputs = {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}
    in_full = place in {_variable, _variables_with_keys, _commands_with_arguments}
    for command in _UNREACHABLE if place is _proxy else COMMANDS if in_full else _BRIEF:
        result = run_here(capfd, *command.format(home=home).split())
        assert SECRET not in result.out + result.err, command
        assert result.code != 70, result.err
        assert "please report" not in result.err.lower()
    reaches_service = place not in {_proxy, _invalid_proxy}  # without a request, metrics would not be interrupted
    for command in (*ENDLESS, *SERVING) if reaches_service else ENDLESS:
        with interrupting_at_request(service, 4):
            result = run_here(capfd, *command.format(home=home).split())
        assert SECRET not in result.out + result.err, command
    assert _files_with(SECRET, home) <= inputs.keys()


def test_every_command_is_in_the_matrix() -> None:
    named = {line.split()[0] for line in (*COMMANDS, *ENDLESS, *SERVING)}
    assert named == {*upload_tui.list_commands(click.Context(upload_tui))} - OFFLINE


@pytest.mark.parametrize("status", [302, 307, 399])
def test_the_target_of_a_redirect_is_not_quoted(
    service: ScriptedService,
    status: int,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By any command, nor is it requested: it would get the token."""
    monkeypatch.setenv("UPLOAD_TUI_URL", service.url)
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", "t0ken")
    headers = {"Location": f"{service.url}/{SECRET}", "Refresh": SECRET, "Link": SECRET}
    service.responses = {path: [Response(b"", status, headers)] for path in RESPONSES}
    for command in (*COMMANDS, *ENDLESS):
        result = run_here(capfd, *command.format(home=home).split())
        assert SECRET not in result.out + result.err, command
        assert result.code != 70
    assert _files_with(SECRET, home) == set()
    assert {path for _, path, _ in service.requests if SECRET in path} == set()


LINE = {"name": "x", "stage": "error", "url": "/x/" + SECRET, "error_message": "GET /x?sig=" + SECRET, "status": None}
SOURCE = f"""
echo '{json.dumps({**UPLOAD, **LINE})}'
echo "cannot read https://bob:$1@s3.test/x?X-Amz-Signature=$1 with password=$1, AWS_SECRET_ACCESS_KEY=$1" >&2
echo "password: $1; ran curl --token $1" >&2
echo "Authorization: Bearer $1" >&2
exit $2
"""


@pytest.mark.parametrize("code", [0, 3])
def test_the_arguments_of_a_source_and_what_it_quotes_are_hidden(
    code: int, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOAD_TUI_REFRESH", "0.01")
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", f"{SECRET}-token")
    script = home / "source.sh"
    script.write_text(f'if [ -n "$3" ]; then if [ -e "$3" ]; then kill -INT $PPID; else touch "$3"; fi; fi\n{SOURCE}')
    inputs = {script}
    for line in (*COMMANDS, *ENDLESS):
        if line.startswith(("config path", "source")):
            continue
        ran = [str(home / line.split()[0])] if line in ENDLESS else []
        command = shlex.join(["sh", str(script), SECRET, str(code), *ran])
        result = run_here(capfd, *line.format(home=home).split(), "--command", command)
        assert SECRET not in result.out + result.err, line
        assert result.code != 70, line
    for output in ("table", "json"):
        checked = run_here(capfd, "source", "check", "-o", output, "--", "sh", str(script), SECRET, str(code))
        assert HIDDEN in checked.err
        assert SECRET not in checked.out + checked.err
    assert _files_with(SECRET, home) == inputs


COPIED = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)")


def _has_text(text: str, screen: str) -> bool:
    return text in screen


def _has_copied(terminal: Terminal, number: int, _: str) -> bool:
    return len(COPIED.findall(terminal.painted)) == number


def _has_files(folder: Path, number: int, _: str) -> bool:
    return len([*folder.glob("*-*Z.*")]) == number


def _visible_words(process: psutil.Process, *, has_environment: bool) -> list[str]:
    """What others see of a process: its arguments, and its environment on request; nothing if it has ended meanwhile."""
    with suppress(psutil.NoSuchProcess):  # also one that is not waited for yet
        return [*process.cmdline(), *([str(process.environ())] if has_environment else [])]
    return []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("is_source", [False, True], ids=["service", "source"])
def test_a_running_dashboard_shows_copies_and_exports_no_secret(
    service: ScriptedService, is_source: bool, home: Path, tmp_path: Path
) -> None:
    """Nor is one in the arguments of its processes; the token is not in the environment of a source."""
    script = tmp_path / "source.sh"
    script.write_text(f"{SOURCE}\ntouch {tmp_path}/ran\nwhile [ -e {tmp_path}/ran ]; do sleep 0.05; done\n")
    words = ["--command", shlex.join(["sh", str(script), "x", "0"])] if is_source else []
    environment = {"UPLOAD_TUI_URL": service.url, "UPLOAD_TUI_TOKEN": SECRET, "UPLOAD_TUI_REFRESH": "0.05"}
    program = ("bash", "-c", f'cd {tmp_path}; exec {sys.executable} -m upload_tui "$@"', "bash")
    if is_source:
        script.write_text(script.read_text().replace("exit $2", "").replace("$1", SECRET))
    with Terminal("watch", *words, program=program, environment=environment) as terminal:
        if is_source:
            terminal.wait_until(lambda _: (tmp_path / "ran").exists())
        else:
            terminal.wait_until(lambda text: "live" in text)
        process = psutil.Process(terminal.process_id)
        shown = _visible_words(process, has_environment=False)
        for child in process.children(recursive=True):
            shown += _visible_words(child, has_environment=is_source)
        (tmp_path / "ran").unlink(missing_ok=True)
        terminal.wait_until(lambda text: "live" in text and "failed" in text)
        for key, sign in {"J": "Raw response", "G": "(hidden)"}.items():
            terminal.press(key)
            shown.append(terminal.wait_until(partial(_has_text, sign)))
        for number, key in enumerate("yYC" if not is_source else "yY", 1):
            terminal.press(key)
            terminal.wait_until(partial(_has_copied, terminal, number))
        terminal.press("\x1b")
        terminal.wait_until(partial(_has_text, "Activity"))
        for downs in range(4):
            terminal.wait_until(lambda text: "Screenshot" not in text)
            terminal.press("e")
            terminal.wait_until(lambda text: "Screenshot" in text)
            terminal.press("j" * downs + "\r")
            terminal.wait_until(partial(_has_files, tmp_path, 1 + downs))
        terminal.press("qq")
        assert terminal.wait_for_end() == 0
    shown += [base64.b64decode(text).decode() for text in COPIED.findall(terminal.painted)]
    assert sum("u-1" in text for text in shown) >= 2
    assert [text for text in (*shown, terminal.painted.decode()) if SECRET in text] == []
    assert _files_with(SECRET, home) | _files_with(SECRET, tmp_path) <= {script}


def _keyring_with(token: str) -> ModuleType:
    module = ModuleType("keyring")
    module.get_password = lambda *_: token  # type: ignore[attr-defined]
    module.KeyringError = OSError  # type: ignore[attr-defined]
    return module


def _files_with(text: str, folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()}


def test_the_secrets_of_the_test_are_used(
    service: ScriptedService, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The matrix above would pass if no secret were ever read."""
    for name, value in _variables_with_keys(home, service.url).items():
        monkeypatch.setenv(name, value)
    assert run_here(capfd, "list").code == 0
    assert (home / "xdg_cache_home").is_dir()
    tokens = {token for _, path, token in service.requests if path == "/projects"}
    assert tokens == {f"{SECRET}-issued"}


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_service_on_loopback_is_asked_without_the_proxy(
    service: ScriptedService,
    host: str,
    variable: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", SECRET)
    with scripted_service({}) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        url = service.url.replace("localhost", host)
        assert run_here(capfd, "projects", "--url", url).code == 0
        (_, _, decision, *_) = map(json.loads, run_here(capfd, "doctor", "--url", url).out.splitlines())
        assert (decision["check"], decision["message"]) == ("proxy", "none")
        assert service.requests
        assert proxy.requests == []


def test_a_proxy_of_a_secure_service_gets_no_token(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", SECRET)
    with scripted_service({"dds.test:443": [Response(b"", 403)]}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert run_here(capfd, "projects", "--url", "https://dds.test").code == 3
    assert proxy.requests
    assert {(method, token) for method, _, token in proxy.requests} == {("CONNECT", "")}


def test_a_remote_service_without_encryption_needs_the_users_consent(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy gets the token of such a service in clear, as the network does."""
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", SECRET)
    with scripted_service({"http://dds.test/api/v1/projects": [Response(PROJECTS)]}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert run_here(capfd, "projects", "--url", "http://dds.test").code == 2
        assert proxy.requests == []
        assert run_here(capfd, "projects", "--url", "http://dds.test", "--insecure-http").code == 0


@pytest.mark.parametrize("place", [_variable_with_line_break, _variable_not_ascii, _profile_token_with_line_break])
def test_a_token_with_other_characters_is_a_wrong_setting(
    service: ScriptedService,
    place: Place,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in place(home, service.url).items():
        monkeypatch.setenv(name, value)
    result = run_here(capfd, "projects")
    assert result.code == 2
    assert "token contains a line break" in result.err
    assert service.requests == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
@pytest.mark.parametrize(
    "command", ["list", "list --debug", "show u-1", "projects", "doctor", "wait u-1 --timeout 0.1s --heartbeat 0.02s"]
)
def test_a_token_that_the_service_quotes_is_hidden(
    service: ScriptedService,
    command: str,
    status: int,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPLOAD_TUI_URL", service.url)
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", SECRET)
    quoting = [Response(QUOTING.body, status, QUOTING.headers)]
    service.responses = dict.fromkeys(RESPONSES, quoting)
    result = run_here(capfd, *command.split())
    assert result.code in {2, 3, 4, 5, 124}
    assert SECRET not in result.out + result.err
    assert _files_with(SECRET, home) == set()


@pytest.mark.parametrize(
    "url",
    [
        f"https://dds.test/?token={SECRET}",
        f"/storage/x?sig={SECRET}",
        f"https://ada:{SECRET}%40dds.test",
        f"https://ada:{SECRET}\uff20dds.test",
        f"https://dds.test/#access_token={SECRET}",
        f"https://dds.test/api/v1/{SECRET}",
        f"https://dds.test:{SECRET}",
        f"ftp://bob:{SECRET}@dds.test",
        f"http://[{SECRET}",
        SECRET,
    ],
)
@pytest.mark.parametrize("command", ["list", "list --debug", "config show", "doctor"])
def test_a_url_that_cannot_be_used_is_not_quoted(
    url: str, command: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_here(capfd, *command.split(), "--url", url)
    assert result.code == 2
    assert "command line" in result.out + result.err
    assert SECRET not in result.out + result.err
    assert _files_with(SECRET, home) == set()


def test_a_url_with_a_password_gets_a_hint(capfd: pytest.CaptureFixture[str]) -> None:
    result = run_here(capfd, "projects", "--url", f"https://bob:{SECRET}@dds.test")
    assert result.code == 2
    assert "command line: the URL contains a user or a password" in result.err
    assert "Remove it" in result.err
