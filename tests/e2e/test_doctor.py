"""`doctor`: whoever has one thing wrong learns which one, in one run, and what to do about it."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from tests.e2e.programs import Ended, Said, Scripted, run, scripted, serving
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e

CHECKS = ["settings", "proxy", "name", "port", "tls", "credentials", "clock"]
PROJECTS = {"/projects": [Said({"results": [{"id": "p-1", "name": "Genome"}]})]}
REFUSAL = Said({"error": 401, "code": "not_provided", "reason": "invalid api_token", "suggestion": "login"}, 401)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Scripted]:
    """A service whose certificate is of an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with scripted(PROJECTS, tls=context) as service:
        yield service


def states(ended: Ended) -> dict[str, str]:
    return {record["check"]: record["state"] for record in ended.records if record["check"] in CHECKS}


def assert_only_wrong(ended: Ended, check: str, *, code: int, says: str, mend: str) -> None:
    """All before it is well, it has failed, and nothing after it was tried."""
    place = CHECKS.index(check)
    expected = ["ok"] * place + ["failed"] + ["skipped"] * (len(CHECKS) - place - 1)
    assert states(ended) == dict(zip(CHECKS, expected, strict=True))
    (failed,) = [record for record in ended.records if record["state"] == "failed"]
    assert says in failed["says"]
    assert mend in failed["mend"]
    assert (ended.code, ended.err) == (code, "")


def test_all_is_well_when_the_service_answers() -> None:
    with serving() as service:
        ended = service.run("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert states(ended) == dict.fromkeys(CHECKS, "ok")
    assert all(list(record) == ["check", "state", "says", "mend"] for record in ended.records)
    assert service.facts["token"] not in ended.out


def test_the_settings_are_named_when_they_are_wrong(home: Path) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[profiles.a]\nrefesh = 1\n")
    ended = run("doctor")
    first = ended.records[0]
    assert (ended.code, first["check"], first["state"]) == (2, "settings", "failed")
    assert "line 2" in first["says"]
    assert "refresh" in first["mend"]


def test_how_to_begin_is_told_when_nothing_is_set() -> None:
    ended = run("doctor")
    assert ended.code == 2
    assert "upload-tui demo" in ended.records[0]["mend"]


def test_open_secrets_are_a_warning_when_others_can_read_the_settings(home: Path) -> None:
    with scripted(PROJECTS) as service:
        file = home / "xdg_config_home" / "upload-tui" / "config.toml"
        file.parent.mkdir(parents=True)
        file.write_text(f'[profiles.a]\nurl = "{service.url}"\ntoken = "s3cret"\n')
        file.chmod(0o644)
        ended = run("doctor")
    (warning,) = [record for record in ended.records if record["state"] == "warning"]
    assert f"chmod 600 {file}" in warning["mend"]
    assert ended.code == 0
    assert "s3cret" not in ended.out


def test_the_name_is_named_when_it_is_not_known() -> None:
    ended = run("doctor", "--url", "https://no-such-host.invalid")
    assert_only_wrong(ended, "name", code=3, says="no-such-host.invalid", mend="typos")


def test_the_port_is_named_when_nobody_opens() -> None:
    ended = run("doctor", "--url", "http://127.0.0.1:9")
    assert_only_wrong(ended, "port", code=3, says="127.0.0.1:9", mend="running")


def test_the_certificate_is_named_when_it_cannot_be_trusted(secure: Scripted) -> None:
    ended = run("doctor", environment=secure.environment)
    assert_only_wrong(ended, "tls", code=3, says="not trusted", mend="ca_bundle or SSL_CERT_FILE")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "UPLOAD_TUI_CA_BUNDLE"])
def test_the_certificate_is_trusted_when_its_authority_is_named(
    secure: Scripted, authority: trustme.CA, tmp_path: Path, variable: str
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    ended = run("doctor", environment={**secure.environment, variable: str(file)})
    assert (ended.code, states(ended)) == (0, dict.fromkeys(CHECKS, "ok"))
    assert run("list", environment={**secure.environment, variable: str(file)}).code == 5  # an answer, and no such page


@pytest.mark.parametrize(
    ("variable", "code"), [("SSL_CERT_FILE", 3), ("UPLOAD_TUI_CA_BUNDLE", 2)], ids=["environment", "settings"]
)
def test_the_certificates_are_named_when_there_is_no_such_file(secure: Scripted, variable: str, code: int) -> None:
    ended = run("doctor", environment={**secure.environment, variable: "/nowhere/ca.pem"})
    assert_only_wrong(ended, "tls", code=code, says="certificates", mend="")
    assert run("list", environment={**secure.environment, variable: "/nowhere/ca.pem"}).code == code


def test_tls_is_named_when_none_is_spoken() -> None:
    with scripted(PROJECTS) as service:
        ended = run("doctor", "--url", service.url.replace("http:", "https:"))
    assert_only_wrong(ended, "tls", code=3, says="No TLS", mend="http://")


def test_the_credentials_are_named_when_they_are_refused() -> None:
    with scripted({"/projects": [REFUSAL]}) as service:
        ended = run("doctor", environment=service.environment)
    assert_only_wrong(ended, "credentials", code=4, says="invalid api_token", mend="token")
    assert "t0ken" not in ended.out


def test_the_project_is_named_when_there_is_no_such_one() -> None:
    with scripted(PROJECTS) as service:
        ended = run("doctor", "--project", "Genom", environment=service.environment)
    assert_only_wrong(ended, "credentials", code=5, says="Genom", mend="Genome")


def test_another_kind_of_service_is_told_when_it_answers_with_a_page() -> None:
    with scripted({"/projects": [Said(b"<html>")]}) as service:
        ended = run("doctor", environment=service.environment)
    assert_only_wrong(ended, "credentials", code=3, says=service.url, mend="--url")


@pytest.mark.parametrize(("hours", "word"), [(2, "behind"), (-2, "ahead of")], ids=["behind", "ahead"])
def test_the_clock_is_a_warning_when_it_is_another_than_the_services(hours: int, word: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    with scripted({"/projects": [Said(PROJECTS["/projects"][0].body, headers={"Date": date})]}) as service:
        ended = run("doctor", environment=service.environment)
    clock = next(record for record in ended.records if record["check"] == "clock")
    assert (ended.code, clock["state"]) == (0, "warning")
    assert word in clock["says"]
    assert "NTP" in clock["mend"]


def test_the_proxy_is_named_when_it_does_not_open() -> None:
    environment = {"HTTPS_PROXY": "http://user:s3cret@127.0.0.1:9"}
    ended = run("doctor", "--url", "https://dds.test", environment=environment)
    assert_only_wrong(ended, "port", code=3, says="127.0.0.1:9", mend="")
    assert "by HTTPS_PROXY" in ended.records[1]["says"]
    assert "s3cret" not in ended.out


def test_the_proxy_is_named_when_it_refuses() -> None:
    with scripted({"dds.test:443": [Said(b"", 403)]}) as proxy:
        ended = run("doctor", "--url", "https://dds.test", environment={"HTTPS_PROXY": proxy.url})
    assert_only_wrong(ended, "credentials", code=3, says="proxy refused the connection", mend="HTTPS_PROXY")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_requests_go_through_the_proxy_when_one_is_named(variable: str) -> None:
    """A proxy is asked for the whole URL, so that its path is one of the script's."""
    path = "http://dds.test/api/v1/projects"
    with scripted({path: PROJECTS["/projects"]}) as proxy:
        environment = {variable: proxy.url, "UPLOAD_TUI_TOKEN": "t0ken"}
        ended = run("projects", "--url", "http://dds.test", "--insecure-http", environment=environment)
        assert (ended.code, ended.records) == (0, [{"id": "p-1", "name": "Genome"}])
        assert run("doctor", "--url", "http://dds.test", "--insecure-http", environment=environment).code == 0


def test_no_proxy_is_used_when_the_service_is_excepted() -> None:
    with scripted(PROJECTS) as service:
        environment = {**service.environment, "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost"}
        assert run("doctor", environment=environment).code == 0
        assert run("projects", environment=environment).code == 0


def test_a_proxy_that_cannot_be_used_is_told_in_a_sentence() -> None:
    environment = {"ALL_PROXY": "gopher://127.0.0.1:9", "UPLOAD_TUI_TOKEN": "t"}
    ended = run("projects", "--url", "https://dds.test", environment=environment)
    assert ended.code == 3
    assert "proxy" in ended.err


@pytest.mark.parametrize(
    ("environment", "check", "says"),
    [
        pytest.param({"TERM": "dumb"}, "colours", "TERM is dumb", id="dumb"),
        pytest.param({"NO_COLOR": "1"}, "colours", "NO_COLOR", id="no-color"),
        pytest.param({"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}, "signs", "plain ASCII", id="ascii"),
        pytest.param({"LC_ALL": "C"}, "signs", "plain ASCII, because of the locale C", id="plain-locale"),
        pytest.param({"LC_ALL": "C", "UPLOAD_TUI_SIGNS": "unicode"}, "signs", "unicode, as the settings", id="wanted"),
        pytest.param({}, "clipboard", "OSC 52", id="clipboard"),
    ],
)
def test_what_the_terminal_can_do_is_told(environment: dict[str, str], check: str, says: str) -> None:
    with (
        scripted(PROJECTS) as service,
        Terminal("doctor", environment={**service.environment, **environment}) as terminal,
    ):
        assert terminal.wait_for_end() == 0
        line = next(line for line in terminal.text.splitlines() if check in line)
    assert says in line


def test_the_size_is_a_warning_when_the_terminal_is_tiny() -> None:
    with Terminal("doctor", "--url", "http://127.0.0.1:9", columns=50, lines=30) as terminal:
        assert terminal.wait_for_end() == 3
        assert "warning  terminal" in terminal.text
