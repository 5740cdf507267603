"""The command line in unusual environments: closed pipes, interrupts, no terminal, a read-only home, invalid settings."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest

from tests.e2e.programs import PROGRAM, Response, Served, run, scripted_service, serving, started
from tests.e2e.terminal import Terminal
from upload_tui.cli.group import upload_tui
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

COMMANDS = tuple(upload_tui.list_commands(click.Context(upload_tui)))
LOOKS = (
    pytest.param(["list"], id="list"),
    pytest.param(["projects"], id="projects"),
    pytest.param(["report", "-o", "table"], id="report"),
    pytest.param(["config", "show"], id="config"),
    pytest.param(["tail", "--since", "1d"], id="tail"),
)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--scenario", "stuck", "--speed", "0") as served:
        yield served


@pytest.mark.parametrize("arguments", LOOKS)
def test_closed_pipe_ends_a_command_quietly(served: Served, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PROGRAM, *arguments],
        env={**os.environ, **served.environment},
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_head_gets_a_complete_line(served: Served) -> None:
    script = f"set -o pipefail; {PROGRAM} list | head -n 1"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **served.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_printed_on_standard_output(command: str) -> None:
    result = run(command, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: upload-tui {command}")
    assert max(map(len, result.out.splitlines())) <= 100


def test_version_is_printed() -> None:
    result = run("--version")
    assert result.code == 0
    assert result.out.split()[0] == "upload-tui"
    assert run("--version", program=(sys.executable, "-m", "upload_tui")) == result


@pytest.mark.parametrize("arguments", [["watch"], ["demo"], []], ids=["watch", "demo", "alone"])
def test_dashboard_needs_a_terminal(served: Served, arguments: list[str]) -> None:
    result = served.run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "terminal" in result.err


def test_missing_settings_print_two_lines() -> None:
    result = run()
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 2
    assert "upload-tui demo" in result.err


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}], ids=["no-color", "dumb", "usual"])
def test_tables_have_no_colours(served: Served, environment: dict[str, str]) -> None:
    with Terminal("list", columns=160, environment={**served.environment, **environment}) as terminal:
        assert terminal.wait_for_end() == 0
        assert "verified" in terminal.text
        assert b"\x1b" not in terminal.painted


@pytest.mark.skipif(os.name == "nt", reason="no such permissions there")
@pytest.mark.parametrize("command", [["list"], ["report"], ["projects"]], ids=["list", "report", "projects"])
def test_commands_work_without_a_writable_home(served: Served, tmp_path: Path, command: list[str]) -> None:
    home = tmp_path / "not-a-folder"
    home.write_text("")
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"), str(home))
    result = served.run(*command, environment=places)
    assert result.code == 0
    assert result.records
    assert len(result.err.splitlines()) <= 1


def test_report_that_cannot_be_recorded_is_an_error(served: Served, tmp_path: Path) -> None:
    home = tmp_path / "not-a-folder"
    home.write_text("")
    result = served.run("report", "--since", "last", environment={"XDG_STATE_HOME": str(home)})
    assert result.code == 2
    assert str(home) in result.err


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param('[profiles.a]\nurl = "https://x.test"\nrefesh = 2\n', 3, "Did you mean refresh?", id="near"),
        pytest.param("[profiles.a]\nzzz = 1\n", 2, "Known keys: url,", id="unknown"),
        pytest.param('[profiles.a]\nrefresh = "often"\n', 2, "refresh", id="no-number"),
        pytest.param("[profiles.a]\nrefresh = 0\n", 2, "refresh", id="zero"),
        pytest.param("[profiles.a]\nurl = \n", 2, "not TOML", id="no-toml"),
        pytest.param('[profiles.a]\ntimezone = "Mars/Base"\n', 2, "Europe/Berlin", id="no-zone"),
        pytest.param("[profiles.a]\ntoken = 70017\n", 2, "token", id="secret-of-another-type"),
        pytest.param("defualt_profile = 1\n", 1, "default_profile", id="top"),
        pytest.param('[profiles.a.keys]\nurl = "x"\nquit = 3\n', 3, "keys", id="inner"),
    ],
)
def test_invalid_settings_name_the_file_the_line_and_a_hint(home: Path, text: str, line: int, words: str) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    result = run("list")
    assert (result.code, result.out) == (2, "")
    assert str(file) in result.err
    assert f"line {line}" in result.err
    assert words in result.err
    assert "70017" not in result.err


def test_traceback_of_invalid_settings_has_no_secret(home: Path) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[profiles.a]\ntoken = 70017\n")
    done = subprocess.run([PROGRAM, "list", "--debug"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    log = next(Path(line.partition("log is in ")[2]) for line in done.stderr.splitlines() if "log is in" in line)
    assert "Traceback" in log.read_text()
    assert "70017" not in done.stderr + log.read_text()


def test_debug_log_has_requests_and_no_token(served: Served, home: Path) -> None:
    result = served.run("--debug", "list")
    assert result.code == 0
    (log,) = home.rglob("upload-tui.log")
    assert "/api/v1/projects" in log.read_text()
    assert str(served.facts["token"]) not in log.read_text()


def test_commands_use_the_service_whose_exports_are_pasted() -> None:
    with started("serve", "--port", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(8)]
        exports = [line for line in lines if line.startswith("export ")]
        script = "".join(exports) + f"{PROGRAM} projects"
        done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, check=True)
    project_id, name = lines[4].removeprefix("project").split(maxsplit=1)
    assert [line.partition("=")[0] for line in exports] == [
        f"export UPLOAD_TUI_{name}" for name in ("URL", "TOKEN", "PROJECT")
    ]
    assert json.loads(done.stdout) == {"id": project_id, "name": name.strip()}


def _two_profiles(home: Path, **urls: str) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("".join(f'[profiles.{name}]\nurl = "{url}"\ntoken = "t-{name}"\n' for name, url in urls.items()))
    file.chmod(0o600)


def test_watch_shows_the_cache_while_the_service_fails(home: Path) -> None:
    one = {"X-Total": "1"}
    answers = {
        "/projects": [Response({"results": [{"id": "lab", "name": "The lab"}]}, headers=one)],
        "/projects/lab/uploads": [
            Response({"results": [an_upload("scan.bin", project=("lab", "The lab"))]}, headers=one)
        ],
    }
    with scripted_service(answers) as lab:
        _two_profiles(home, lab=lab.url)
        with Terminal("watch", "--profile", "lab") as terminal:
            terminal.wait_until(lambda text: "scan.bin" in text and "live" in text)
            terminal.press("q")
            assert terminal.wait_for_end() == 0
        lab.responses.update({path: [Response({}, 500)] for path in answers})
        with Terminal("watch", "--profile", "lab", columns=120) as terminal:
            terminal.wait_until(lambda text: "scan.bin" in text and "retrying" in text)
            lab.responses.update(answers)
            terminal.press("r")
            terminal.wait_until(lambda text: "scan.bin" in text and "live" in text)
            terminal.press("q")
            assert terminal.wait_for_end() == 0


def test_unreachable_service_does_not_block_the_others(home: Path) -> None:
    one = {"X-Total": "1"}
    answers = {
        name: {
            "/projects": [Response({"results": [{"id": name, "name": f"The {name}"}]}, headers=one)],
            f"/projects/{name}/uploads": [
                Response({"results": [an_upload(f"{name}.bin", project=(name, f"The {name}"))]}, headers=one)
            ],
        }
        for name in ("lab", "archive")
    }
    with (
        scripted_service(answers["lab"]) as lab,
        scripted_service({**answers["archive"], "/projects": [Response({}, 500)]}) as archive,
    ):
        _two_profiles(home, lab=lab.url, archive=archive.url)
        with Terminal("watch", "--profile", "lab", "--profile", "archive", columns=200) as terminal:
            terminal.wait_until(lambda text: "lab.bin" in text and "archive: " in text)
            archive.responses["/projects"] = answers["archive"]["/projects"]
            terminal.press("r")
            terminal.wait_until(
                lambda text: all(
                    word in text for word in ("lab.bin", "archive.bin", "live", "Project ", "Service ", "The archive")
                )
            )
            terminal.press("q")
            assert terminal.wait_for_end() == 0
        assert {token for _, _, token in lab.requests} == {"t-lab"}
        assert {token for _, _, token in archive.requests} == {"t-archive"}


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        pytest.param({"UPLOAD_TUI_TOKEN": "t"}, [], "UPLOAD_TUI_TOKEN belongs to one service", id="token"),
        pytest.param({}, ["--url", "https://c.example.org"], "command line: url belongs to one service", id="url"),
        pytest.param({}, ["--project", "x"], "command line: projects belongs to one service", id="project"),
    ],
)
def test_settings_of_one_service_are_not_used_for_several(
    home: Path, variables: dict[str, str], arguments: list[str], message: str
) -> None:
    _two_profiles(home, a="https://a.example.org", b="https://b.example.org")
    result = run("watch", "--profile", "a", "--profile", "b", *arguments, environment=variables)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_two_profiles_of_one_service_are_rejected(home: Path) -> None:
    _two_profiles(home, a="https://a.example.org", b="https://a.example.org/api/v1/")
    result = run("watch", "--profile", "a", "--profile", "b")
    assert result.code == 2
    assert "The profiles a and b name the same service" in result.err


def test_interrupted_tail_is_exit_code_130(served: Served) -> None:
    with started("tail", "--since", "1d", environment=served.environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


def test_each_service_and_account_has_a_store(served: Served, home: Path) -> None:
    served.run("list")
    served.run("list")
    stores = list((home / "xdg_cache_home" / "upload-tui" / "stores").glob("*.db"))
    assert len(stores) == 1
    served.run(
        "list",
        environment={
            "UPLOAD_TUI_TOKEN": "",
            "UPLOAD_TUI_AGENT_KEY": served.facts["agent_key"],
            "UPLOAD_TUI_USER_KEY": served.facts["user_key"],
        },
    )
    assert len(list((home / "xdg_cache_home" / "upload-tui" / "stores").glob("*.db"))) == 2
    assert (stores[0].parent.stat().st_mode & 0o077) == 0


def test_damaged_store_is_replaced_and_reported(served: Served, home: Path) -> None:
    whole = served.run("list")
    folder = home / "xdg_cache_home" / "upload-tui" / "stores"
    (file,) = folder.glob("*.db")
    body = file.read_bytes()
    file.write_bytes(body[: 3 * 4096] + b"\xa7" * (len(body) - 3 * 4096))  # it still opens
    again = served.run("list")
    assert (again.code, len(again.out.splitlines())) == (0, len(whole.out.splitlines()))
    assert again.err.count("The cache was reset: the file is damaged") == 1
    assert [file.name for file in folder.glob("*.db.damaged-?")] == [f"{file.name}.damaged-1"]


def test_watch_shows_what_list_cached(home: Path) -> None:
    with serving() as served:
        served.begin("kept.bin")
        assert served.run("list").code == 0
        environment = served.environment
    with Terminal("watch", environment=environment) as terminal:
        terminal.wait_until(lambda text: "kept.bin" in text and "Connection refused" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_names_are_printed_in_an_encoding_that_lacks_their_letters() -> None:
    upload = {**an_upload(id="u-1"), "name": "größe-\u4f60\ud800.bin"}
    page = {"results": [upload]}
    answers = {
        "/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [Response(page)],
        "/uploads/u-1": [Response(upload)],
    }
    with scripted_service(answers) as service:
        environment = {**service.environment, "PYTHONIOENCODING": "ascii"}
        for command in (["list", "-o", "table"], ["list", "-o", "csv"], ["show", "u-1", "-o", "table"]):
            result = run(*command, environment=environment)
            assert (result.code, result.err) == (0, "")
            assert ".bin" in result.out


def test_dashboard_shows_that_a_renewed_token_is_rejected() -> None:
    refusal = Response(
        {"error": 401, "code": "not_provided", "reason": "expired api_token", "suggestion": "login"}, 401
    )
    page = Response({"results": [an_upload("reads.bin", project=("p-1", "Genome"))]})
    answers = {
        "/software_agents/api_token": [Response({"api_token": "t", "time_to_live": 7200}, 201)],
        "/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [page, page, page, refusal],
    }
    with scripted_service(answers) as service:
        environment = {"UPLOAD_TUI_URL": service.url, "UPLOAD_TUI_AGENT_KEY": "a", "UPLOAD_TUI_USER_KEY": "u"}
        with Terminal("watch", environment=environment) as terminal:
            terminal.wait_until(lambda text: "reads.bin" in text and "token rejected" in text)
            terminal.press("q")
            assert terminal.wait_for_end() == 0
    refused = [path for _, path, _ in service.requests].index("/projects/p-1/uploads") + 3
    assert "/software_agents/api_token" in [path for _, path, _ in service.requests[refused:]]


def test_token_is_read_from_the_keyring(tmp_path: Path) -> None:
    """With a stand-in for the library, which is an extra."""
    package = tmp_path / "keyring"
    package.mkdir()
    body = (
        "def get_password(service, name):\n    return {('upload-tui', 'work'): 'from-keyring'}.get((service, name))\n"
    )
    (package / "__init__.py").write_text(body)
    (package / "errors.py").write_text("class KeyringError(Exception):\n    pass\n")
    with scripted_service({"/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}]})]}) as service:
        environment = {"UPLOAD_TUI_URL": service.url, "PYTHONPATH": str(tmp_path)}
        assert run("projects", environment={**environment, "UPLOAD_TUI_TOKEN_KEYRING": "work"}).code == 0
        missing = run("projects", environment={**environment, "UPLOAD_TUI_TOKEN_KEYRING": "unknown"})
    assert service.requests == [("GET", "/projects", "from-keyring")]
    assert missing.code == 2
    assert "keyring set upload-tui unknown" in missing.err


def test_missing_keyring_library_is_reported(tmp_path: Path) -> None:
    (tmp_path / "keyring.py").write_text("raise ImportError('not installed')\n")
    environment = {
        "PYTHONPATH": str(tmp_path),
        "UPLOAD_TUI_TOKEN_KEYRING": "work",
        "UPLOAD_TUI_URL": "http://localhost:9",
    }
    result = run("projects", environment=environment)
    assert result.code == 2
    assert "upload-tui[keyring]" in result.err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)], ids=lambda words: words[0]
)
def test_help_imports_no_heavy_packages(arguments: list[str]) -> None:
    script = f"""
import sys
from upload_tui.cli.group import run
try:
    run({arguments!r})
except SystemExit:
    print(*{{"textual", "rich", "httpx", "pydantic", "starlette", "sqlite3", "stamina"}} & set(sys.modules), file=sys.stderr)
"""
    result = run(program=(sys.executable, "-c", script))
    assert result.out
    assert result.err.split() == []


@pytest.mark.parametrize(
    "arguments", [[], ["--profile", "work"], ["watch", "Demo project"]], ids=["alone", "profile", "watch"]
)
def test_dashboard_uses_the_default_profile(home: Path, arguments: list[str]) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    with serving() as service:
        service.begin("mine.bin")
        keys = f'agent_key = "{service.facts["agent_key"]}"\nuser_key = "{service.facts["user_key"]}"\n'
        file.write_text(f'[profiles.work]\nurl = "{service.url}/api/v1"\n{keys}')
        file.chmod(0o600)
        with Terminal(*arguments) as terminal:
            terminal.wait_until(lambda text: "mine.bin" in text and "live" in text and "work" in text)
            terminal.press("q")
            assert terminal.wait_for_end() == 0


def test_interrupt_during_imports_is_exit_code_130() -> None:
    script = """
import sys
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "upload_tui.cli.group":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Slow())
from upload_tui.cli import main
main()
"""
    result = run(program=(sys.executable, "-c", script))
    assert (result.code, result.out, result.err) == (130, "", "")


def test_log_of_serve_has_no_secrets() -> None:
    """Secrets are printed once, on standard output at the start; malformed requests do not put them into the log."""
    with started("serve", "--port", "0", "--json") as process:
        assert process.stdout is not None
        served = Served(json.loads(process.stdout.readline()))
        served.finish(served.begin())
        httpx.get(f"{served.url}/api/v1/projects", headers={"Authorization": served.facts["token"][:-1]})
        url = httpx.URL(served.url)
        with socket.create_connection((url.host, url.port or 80)) as client:
            client.sendall(f"GET /?token={served.facts['token']} HTTP/9\r\nAuthorization: \x00\r\n\r\n".encode())
            client.recv(1000)
        process.terminate()
        rest, log = process.communicate()
    assert rest == ""
    secrets = [str(served.facts[name]) for name in ("token", "agent_key", "user_key")]
    assert not [secret for secret in [*secrets, "signature="] if secret in log], log
