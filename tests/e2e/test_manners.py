"""The manners of a good command: broken pipes, interrupts, no terminal, no colour, homes that cannot be written, bad settings."""

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

from tests.e2e.programs import PROGRAM, Said, Served, run, scripted, serving, started
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
def morning() -> Iterator[Served]:
    with serving("--scenario", "stuck", "--speed", "0") as served:
        yield served


@pytest.mark.parametrize("arguments", LOOKS)
def test_it_ends_quietly_when_nobody_reads_its_output(morning: Served, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PROGRAM, *arguments],
        env={**os.environ, **morning.environment},
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_line_is_whole_when_head_takes_no_more(morning: Served) -> None:
    script = f"set -o pipefail; {PROGRAM} list | head -n 1"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **morning.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_on_standard_output_when_it_is_asked_for(command: str) -> None:
    ended = run(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: upload-tui {command}")
    assert max(map(len, ended.out.splitlines())) <= 100


def test_the_version_is_told_when_it_is_asked_for() -> None:
    ended = run("--version")
    assert ended.code == 0
    assert ended.out.split()[0] == "upload-tui"
    assert run("--version", program=(sys.executable, "-m", "upload_tui")) == ended


@pytest.mark.parametrize("arguments", [["watch"], ["demo"], []], ids=["watch", "demo", "alone"])
def test_a_terminal_is_asked_for_when_there_is_none(morning: Served, arguments: list[str]) -> None:
    ended = morning.run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "terminal" in ended.err


def test_two_lines_say_how_to_begin_when_nothing_is_set() -> None:
    ended = run()
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 2
    assert "upload-tui demo" in ended.err


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}], ids=["no-color", "dumb", "usual"])
def test_a_table_has_no_colours_anywhere(morning: Served, environment: dict[str, str]) -> None:
    with Terminal("list", columns=160, environment={**morning.environment, **environment}) as terminal:
        assert terminal.wait_for_end() == 0
        assert "verified" in terminal.text
        assert b"\x1b" not in terminal.painted


@pytest.mark.skipif(os.name == "nt", reason="no such permissions there")
@pytest.mark.parametrize("command", [["list"], ["report"], ["projects"]], ids=["list", "report", "projects"])
def test_the_answer_is_given_when_the_home_cannot_be_written(
    morning: Served, tmp_path: Path, command: list[str]
) -> None:
    home = tmp_path / "not-a-folder"
    home.write_text("")
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"), str(home))
    ended = morning.run(*command, environment=places)
    assert ended.code == 0
    assert ended.records
    assert len(ended.err.splitlines()) <= 1


def test_one_sentence_says_it_when_a_look_cannot_be_kept(morning: Served, tmp_path: Path) -> None:
    home = tmp_path / "not-a-folder"
    home.write_text("")
    ended = morning.run("report", "--since", "last", environment={"XDG_STATE_HOME": str(home)})
    assert ended.code == 2
    assert str(home) in ended.err


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
def test_file_line_and_mend_are_named_when_the_settings_are_wrong(home: Path, text: str, line: int, words: str) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    ended = run("list")
    assert (ended.code, ended.out) == (2, "")
    assert str(file) in ended.err
    assert f"line {line}" in ended.err
    assert words in ended.err
    assert "70017" not in ended.err


def test_a_secret_stays_secret_when_the_settings_are_wrong_and_a_traceback_is_wanted(home: Path) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[profiles.a]\ntoken = 70017\n")
    done = subprocess.run([PROGRAM, "list", "--debug"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    log = next(Path(line.partition("log is in ")[2]) for line in done.stderr.splitlines() if "log is in" in line)
    assert "Traceback" in log.read_text()
    assert "70017" not in done.stderr + log.read_text()


def test_requests_are_logged_without_the_token_when_debugging_is_wanted(morning: Served, home: Path) -> None:
    ended = morning.run("--debug", "list")
    assert ended.code == 0
    (log,) = home.rglob("upload-tui.log")
    assert "/api/v1/projects" in log.read_text()
    assert str(morning.facts["token"]) not in log.read_text()


def _two_profiles(home: Path, **urls: str) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("".join(f'[profiles.{name}]\nurl = "{url}"\ntoken = "t-{name}"\n' for name, url in urls.items()))
    file.chmod(0o600)


def test_what_an_earlier_visit_left_is_shown_while_the_service_is_away(home: Path) -> None:
    one = {"X-Total": "1"}
    answers = {
        "/projects": [Said({"results": [{"id": "lab", "name": "The lab"}]}, headers=one)],
        "/projects/lab/uploads": [Said({"results": [an_upload("scan.bin", project=("lab", "The lab"))]}, headers=one)],
    }
    with scripted(answers) as lab:
        _two_profiles(home, lab=lab.url)
        with Terminal("watch", "--profile", "lab") as terminal:
            terminal.wait_until(lambda text: "scan.bin" in text and "live" in text)
            terminal.press("q")
            assert terminal.wait_for_end() == 0
        lab.answers.update({path: [Said({}, 500)] for path in answers})
        with Terminal("watch", "--profile", "lab", columns=120) as terminal:
            terminal.wait_until(lambda text: "scan.bin" in text and "retrying" in text)
            lab.answers.update(answers)
            terminal.press("r")
            terminal.wait_until(lambda text: "scan.bin" in text and "live" in text)
            terminal.press("q")
            assert terminal.wait_for_end() == 0


def test_services_are_seen_together_and_one_that_is_away_holds_up_nobody(home: Path) -> None:
    one = {"X-Total": "1"}
    answers = {
        name: {
            "/projects": [Said({"results": [{"id": name, "name": f"The {name}"}]}, headers=one)],
            f"/projects/{name}/uploads": [
                Said({"results": [an_upload(f"{name}.bin", project=(name, f"The {name}"))]}, headers=one)
            ],
        }
        for name in ("lab", "archive")
    }
    with scripted(answers["lab"]) as lab, scripted({**answers["archive"], "/projects": [Said({}, 500)]}) as archive:
        _two_profiles(home, lab=lab.url, archive=archive.url)
        with Terminal("watch", "--profile", "lab", "--profile", "archive", columns=200) as terminal:
            terminal.wait_until(lambda text: "lab.bin" in text and "archive: " in text)
            archive.answers["/projects"] = answers["archive"]["/projects"]
            terminal.press("r")
            terminal.wait_until(
                lambda text: all(
                    word in text for word in ("lab.bin", "archive.bin", "live", "Project ", "Service ", "The archive")
                )
            )
            terminal.press("q")
            assert terminal.wait_for_end() == 0
        assert {token for _, _, token in lab.asked} == {"t-lab"}
        assert {token for _, _, token in archive.asked} == {"t-archive"}


@pytest.mark.parametrize(
    ("variables", "arguments", "said"),
    [
        pytest.param({"UPLOAD_TUI_TOKEN": "t"}, [], "UPLOAD_TUI_TOKEN: token belongs to one service", id="token"),
        pytest.param({}, ["--url", "https://c.example.org"], "command line: url belongs to one service", id="url"),
        pytest.param({}, ["--project", "x"], "command line: projects belongs to one service", id="project"),
    ],
)
def test_what_belongs_to_one_service_is_sent_to_no_other(
    home: Path, variables: dict[str, str], arguments: list[str], said: str
) -> None:
    _two_profiles(home, a="https://a.example.org", b="https://b.example.org")
    ended = run("watch", "--profile", "a", "--profile", "b", *arguments, environment=variables)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_two_profiles_of_one_service_are_not_seen_together(home: Path) -> None:
    _two_profiles(home, a="https://a.example.org", b="https://a.example.org/api/v1/")
    ended = run("watch", "--profile", "a", "--profile", "b")
    assert ended.code == 2
    assert "The profiles a and b name the same service" in ended.err


def test_interrupted_is_the_exit_code_when_a_look_is_interrupted(morning: Served) -> None:
    with started("tail", "--since", "1d", environment=morning.environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


def test_the_picture_is_kept_for_one_service_and_account_each(morning: Served, home: Path) -> None:
    morning.run("list")
    morning.run("list")
    stores = list((home / "xdg_cache_home" / "upload-tui" / "stores").glob("*.db"))
    assert len(stores) == 1
    morning.run(
        "list",
        environment={
            "UPLOAD_TUI_TOKEN": "",
            "UPLOAD_TUI_AGENT_KEY": morning.facts["agent_key"],
            "UPLOAD_TUI_USER_KEY": morning.facts["user_key"],
        },
    )
    assert len(list((home / "xdg_cache_home" / "upload-tui" / "stores").glob("*.db"))) == 2
    assert (stores[0].parent.stat().st_mode & 0o077) == 0


def test_a_list_is_whole_and_says_so_when_the_store_was_damaged(morning: Served, home: Path) -> None:
    whole = morning.run("list")
    folder = home / "xdg_cache_home" / "upload-tui" / "stores"
    (file,) = folder.glob("*.db")
    body = file.read_bytes()
    file.write_bytes(body[: 3 * 4096] + b"\xa7" * (len(body) - 3 * 4096))  # it still opens
    again = morning.run("list")
    assert (again.code, len(again.out.splitlines())) == (0, len(whole.out.splitlines()))
    assert again.err.count("The cache was reset: the file is damaged") == 1
    assert [file.name for file in folder.glob("*.db.damaged-?")] == [f"{file.name}.damaged-1"]


def test_watch_shows_what_list_left_when_the_service_is_gone(home: Path) -> None:
    with serving() as served:
        served.begin("kept.bin")
        assert served.run("list").code == 0
        environment = served.environment
    with Terminal("watch", environment=environment) as terminal:
        terminal.wait_until(lambda text: "kept.bin" in text and "Connection refused" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_names_are_printed_as_well_as_can_be_when_no_encoding_has_their_letters() -> None:
    upload = {**an_upload(id="u-1"), "name": "größe-\u4f60\ud800.bin"}
    page = {"results": [upload]}
    answers = {
        "/projects": [Said({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [Said(page)],
        "/uploads/u-1": [Said(upload)],
    }
    with scripted(answers) as service:
        environment = {**service.environment, "PYTHONIOENCODING": "ascii"}
        for command in (["list", "-o", "table"], ["list", "-o", "csv"], ["show", "u-1", "-o", "table"]):
            ended = run(*command, environment=environment)
            assert (ended.code, ended.err) == (0, "")
            assert ".bin" in ended.out


def test_the_dashboard_says_so_when_a_new_token_is_refused_as_well() -> None:
    refusal = Said({"error": 401, "code": "not_provided", "reason": "expired api_token", "suggestion": "login"}, 401)
    page = Said({"results": [an_upload("reads.bin", project=("p-1", "Genome"))]})
    answers = {
        "/software_agents/api_token": [Said({"api_token": "t", "time_to_live": 7200}, 201)],
        "/projects": [Said({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [page, page, page, refusal],
    }
    with scripted(answers) as service:
        environment = {"UPLOAD_TUI_URL": service.url, "UPLOAD_TUI_AGENT_KEY": "a", "UPLOAD_TUI_USER_KEY": "u"}
        with Terminal("watch", environment=environment) as terminal:
            terminal.wait_until(lambda text: "reads.bin" in text and "not allowed" in text)
            terminal.press("q")
            assert terminal.wait_for_end() == 0
    refused = [path for _, path, _ in service.asked].index("/projects/p-1/uploads") + 3
    assert "/software_agents/api_token" in [path for _, path, _ in service.asked[refused:]]


def test_the_keyring_is_asked_when_it_has_the_token(tmp_path: Path) -> None:
    """By the library's two names that we use; the library itself is an extra."""
    package = tmp_path / "keyring"
    package.mkdir()
    body = (
        "def get_password(service, name):\n    return {('upload-tui', 'work'): 'from-keyring'}.get((service, name))\n"
    )
    (package / "__init__.py").write_text(body)
    (package / "errors.py").write_text("class KeyringError(Exception):\n    pass\n")
    with scripted({"/projects": [Said({"results": [{"id": "p-1", "name": "Genome"}]})]}) as service:
        environment = {"UPLOAD_TUI_URL": service.url, "PYTHONPATH": str(tmp_path)}
        assert run("projects", environment={**environment, "UPLOAD_TUI_TOKEN_KEYRING": "work"}).code == 0
        nobody = run("projects", environment={**environment, "UPLOAD_TUI_TOKEN_KEYRING": "nobody"})
    assert service.asked == [("GET", "/projects", "from-keyring")]
    assert nobody.code == 2
    assert "keyring set upload-tui nobody" in nobody.err


def test_the_extra_is_named_when_the_keyring_library_is_missing(tmp_path: Path) -> None:
    (tmp_path / "keyring.py").write_text("raise ImportError('not installed')\n")
    environment = {
        "PYTHONPATH": str(tmp_path),
        "UPLOAD_TUI_TOKEN_KEYRING": "work",
        "UPLOAD_TUI_URL": "http://localhost:9",
    }
    ended = run("projects", environment=environment)
    assert ended.code == 2
    assert "upload-tui[keyring]" in ended.err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)], ids=lambda words: words[0]
)
def test_nothing_heavy_is_imported_when_only_help_is_asked_for(arguments: list[str]) -> None:
    script = f"""
import sys
from upload_tui.cli.group import run
try:
    run({arguments!r})
except SystemExit:
    print(*{{"textual", "rich", "httpx", "pydantic", "starlette", "sqlite3", "stamina"}} & set(sys.modules), file=sys.stderr)
"""
    ended = run(program=(sys.executable, "-c", script))
    assert ended.out
    assert ended.err.split() == []


@pytest.mark.parametrize(
    "arguments", [[], ["--profile", "work"], ["watch", "Demo project"]], ids=["alone", "profile", "watch"]
)
def test_the_dashboard_opens_on_the_profile_in_force(home: Path, arguments: list[str]) -> None:
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


def test_interrupted_is_the_exit_code_when_modules_are_still_imported() -> None:
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
    ended = run(program=(sys.executable, "-c", script))
    assert (ended.code, ended.out, ended.err) == (130, "", "")


def test_no_secret_is_in_the_services_log() -> None:
    """Not even when requests are malformed: whatever lets somebody in is said once, at the start, to whoever started it."""
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
