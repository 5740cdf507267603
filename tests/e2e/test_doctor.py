"""`doctor`: one run finds each single problem and has a hint for it."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from tests.e2e.in_process import run_here
from tests.e2e.programs import Response, Result, ScriptedService, run, scripted_service, serving
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e

CHECKS = ["settings", "proxy", "dns", "port", "tls", "credentials", "clock"]
PROJECTS = {"/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}]})]}
REFUSAL = Response({"error": 401, "code": "not_provided", "reason": "invalid api_token", "suggestion": "login"}, 401)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ScriptedService]:
    """A service with a certificate of an unknown authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with scripted_service(PROJECTS, tls=context) as service:
        yield service


def states(result: Result) -> dict[str, str]:
    return {record["check"]: record["state"] for record in result.records if record["check"] in CHECKS}


def assert_only_failure(result: Result, check: str, *, code: int, message: str, hint: str) -> None:
    """Check that the checks before one passed, that it failed, and that those after it were skipped."""
    place = CHECKS.index(check)
    expected = ["ok"] * place + ["failed"] + ["skipped"] * (len(CHECKS) - place - 1)
    assert states(result) == dict(zip(CHECKS, expected, strict=True))
    (failed,) = [record for record in result.records if record["state"] == "failed"]
    assert message in failed["message"]
    assert hint in failed["hint"]
    assert (result.code, result.err) == (code, "")


def test_all_checks_pass() -> None:
    with serving() as service:
        result = service.run("doctor")
    assert (result.code, result.err) == (0, "")
    assert states(result) == dict.fromkeys(CHECKS, "ok")
    assert all(list(record) == ["check", "state", "message", "hint"] for record in result.records)
    assert service.facts["token"] not in result.out


def test_invalid_settings_fail(home: Path) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[profiles.a]\nrefesh = 1\n")
    result = run("doctor")
    first = result.records[1]
    assert (result.code, first["check"], first["state"]) == (2, "settings", "failed")
    assert "line 2" in first["message"]
    assert "refresh" in first["hint"]


def test_missing_settings_have_a_hint() -> None:
    result = run("doctor")
    assert result.code == 2
    assert "upload-tui demo" in result.records[1]["hint"]


def test_settings_file_that_others_can_read_is_a_warning(home: Path) -> None:
    with scripted_service(PROJECTS) as service:
        file = home / "xdg_config_home" / "upload-tui" / "config.toml"
        file.parent.mkdir(parents=True)
        file.write_text(f'[profiles.a]\nurl = "{service.url}"\ntoken = "s3cret"\n')
        file.chmod(0o644)
        result = run("doctor")
    (warning,) = [record for record in result.records if record["state"] == "warning"]
    assert f"chmod 600 ~/{file.relative_to(home)}" in warning["hint"]
    assert result.code == 0
    assert "s3cret" not in result.out


def test_unknown_host_fails() -> None:
    result = run("doctor", "--url", "https://no-such-host.invalid")
    assert_only_failure(result, "dns", code=3, message="no-such-host.invalid", hint="typos")


def test_refused_connection_fails() -> None:
    result = run("doctor", "--url", "http://127.0.0.1:9")
    assert_only_failure(result, "port", code=3, message="127.0.0.1:9", hint="running")


def test_untrusted_certificate_fails(secure: ScriptedService) -> None:
    result = run("doctor", environment=secure.environment)
    assert_only_failure(result, "tls", code=3, message="not trusted", hint="ca_bundle or SSL_CERT_FILE")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "UPLOAD_TUI_CA_BUNDLE"])
def test_certificate_is_trusted_if_its_authority_is_configured(
    secure: ScriptedService, authority: trustme.CA, tmp_path: Path, variable: str
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    result = run("doctor", environment={**secure.environment, variable: str(file)})
    assert (result.code, states(result)) == (0, dict.fromkeys(CHECKS, "ok"))
    assert run("list", environment={**secure.environment, variable: str(file)}).code == 5  # an answer, and no such page


@pytest.mark.parametrize(
    ("variable", "code"), [("SSL_CERT_FILE", 2), ("UPLOAD_TUI_CA_BUNDLE", 2)], ids=["environment", "settings"]
)
def test_missing_file_of_certificates_fails(secure: ScriptedService, variable: str, code: int) -> None:
    result = run("doctor", environment={**secure.environment, variable: "/nowhere/ca.pem"})
    assert_only_failure(result, "tls", code=code, message="certificates", hint="")
    assert run("list", environment={**secure.environment, variable: "/nowhere/ca.pem"}).code == code


def test_port_without_tls_fails() -> None:
    with scripted_service(PROJECTS) as service:
        result = run("doctor", "--url", service.url.replace("http:", "https:"))
    assert_only_failure(result, "tls", code=3, message="No TLS", hint="http://")


def test_rejected_credentials_fail() -> None:
    with scripted_service({"/projects": [REFUSAL]}) as service:
        result = run("doctor", environment=service.environment)
    assert_only_failure(result, "credentials", code=4, message="invalid api_token", hint="token")
    assert "t0ken" not in result.out


def test_unknown_project_fails() -> None:
    with scripted_service(PROJECTS) as service:
        result = run("doctor", "--project", "Genom", environment=service.environment)
    assert_only_failure(result, "credentials", code=5, message="Genom", hint="Genome")


def test_another_kind_of_server_fails() -> None:
    with scripted_service({"/projects": [Response(b"<html>")]}) as service:
        result = run("doctor", environment=service.environment)
    assert_only_failure(result, "credentials", code=3, message=service.url, hint="--url")


@pytest.mark.parametrize(("hours", "word"), [(2, "behind"), (-2, "ahead of")], ids=["behind", "ahead"])
def test_clock_skew_is_a_warning(hours: int, word: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    with scripted_service({"/projects": [Response(PROJECTS["/projects"][0].body, headers={"Date": date})]}) as service:
        result = run("doctor", environment=service.environment)
    clock = next(record for record in result.records if record["check"] == "clock")
    assert (result.code, clock["state"]) == (0, "warning")
    assert word in clock["message"]
    assert "NTP" in clock["hint"]


def test_unreachable_proxy_fails() -> None:
    environment = {"HTTPS_PROXY": "http://user:s3cret@127.0.0.1:9"}
    result = run("doctor", "--url", "https://dds.test", environment=environment)
    assert_only_failure(result, "port", code=3, message="127.0.0.1:9", hint="")
    assert "(HTTPS_PROXY)" in result.records[2]["message"]
    assert "s3cret" not in result.out


def test_proxy_that_rejects_the_request_fails() -> None:
    with scripted_service({"dds.test:443": [Response(b"", 403)]}) as proxy:
        result = run("doctor", "--url", "https://dds.test", environment={"HTTPS_PROXY": proxy.url})
    assert_only_failure(result, "credentials", code=3, message="proxy refused the connection", hint="HTTPS_PROXY")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_requests_use_the_proxy_of_the_environment(variable: str) -> None:
    """A request to a proxy has the whole URL as its path."""
    path = "http://dds.test/api/v1/projects"
    with scripted_service({path: PROJECTS["/projects"]}) as proxy:
        environment = {variable: proxy.url, "UPLOAD_TUI_TOKEN": "t0ken"}
        result = run("projects", "--url", "http://dds.test", "--insecure-http", environment=environment)
        assert (result.code, result.records) == (0, [{"id": "p-1", "name": "Genome"}])
        assert run("doctor", "--url", "http://dds.test", "--insecure-http", environment=environment).code == 0


def test_no_proxy_variable_is_respected() -> None:
    with scripted_service(PROJECTS) as service:
        environment = {**service.environment, "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost"}
        assert run("doctor", environment=environment).code == 0
        assert run("projects", environment=environment).code == 0


def test_unsupported_proxy_is_reported() -> None:
    environment = {"ALL_PROXY": "gopher://127.0.0.1:9", "UPLOAD_TUI_TOKEN": "t"}
    result = run("projects", "--url", "https://dds.test", environment=environment)
    assert result.code == 3
    assert "proxy" in result.err


@pytest.mark.parametrize(
    ("environment", "check", "message"),
    [
        pytest.param({"TERM": "dumb"}, "colours", "TERM is dumb", id="dumb"),
        pytest.param({"NO_COLOR": "1"}, "colours", "NO_COLOR", id="no-color"),
        pytest.param(
            {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}, "signs", "ASCII (encoding ascii)", id="ascii"
        ),
        pytest.param({"LC_ALL": "C"}, "signs", "ASCII (locale C)", id="ascii-locale"),
        pytest.param({"LC_ALL": "C", "UPLOAD_TUI_SIGNS": "unicode"}, "signs", "unicode (settings)", id="setting"),
        pytest.param({}, "clipboard", "OSC 52", id="clipboard"),
    ],
)
def test_terminal_capabilities_are_reported(environment: dict[str, str], check: str, message: str) -> None:
    with (
        scripted_service(PROJECTS) as service,
        Terminal("doctor", environment={**service.environment, **environment}) as terminal,
    ):
        assert terminal.wait_for_end() == 0
        line = next(line for line in terminal.text.splitlines() if check in line)
    assert message in line


def test_a_terminal_that_shows_one_pane_is_a_warning() -> None:
    with Terminal("doctor", "--url", "http://127.0.0.1:9", columns=70, lines=22) as terminal:
        assert terminal.wait_for_end() == 3
        assert "warning  terminal" in terminal.text


@pytest.mark.parametrize("output", ["table", "jsonl"])
def test_the_output_can_be_pasted_into_a_report(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    """It names versions, and neither secrets nor the home folder, also of a source and of what is wrong with the settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    file = home / ".config" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        '[profiles.service]\nurl = "http://127.0.0.1:9"\ntoken = "s3cr3t-token"\n'
        '[profiles.source]\ncommand = ["false", "--password", "hunter2-hunter2"]\n'
    )
    file.chmod(0o644)
    for profile in ("service", "source"):
        result = run_here(capsys, "doctor", "--profile", profile, "-o", output)
        text = result.out + result.err
        assert [word for word in ("upload-tui 0.", "Textual", "SQLite") if word not in text] == []
        assert "~/.config/upload-tui/config.toml" in text
        assert not [secret for secret in ("s3cr3t", "hunter2", str(home)) if secret in text]
