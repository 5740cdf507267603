"""Errors of the dashboard's commands: a short message and a documented exit code, never a traceback."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e


@pytest.fixture(
    params=[b"<html>hello</html>", b'{"results": [{"id"', b'"just text"'], ids=["html", "cut", "not-a-list"]
)
def garbage_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server whose every response is invalid."""

    class Garbage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(request.param)))
            self.end_headers()
            self.wfile.write(request.param)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Garbage) as server:
        thread = Thread(target=server.serve_forever, args=[0.02])  # seconds until it notices `shutdown`
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def ended(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command on a terminal; return its exit code and its messages."""
    with Terminal(
        *arguments, columns=200, environment={"UPLOAD_TUI_TOKEN": "x.1.y", **(environment or {})}
    ) as terminal:
        code = terminal.wait_for_end()
        words = terminal.final_output
    assert "Traceback" not in words
    assert 0 < len(words) < 400
    return code, words


def test_refused_connection_is_exit_code_3() -> None:
    code, words = ended("watch", "--url", "http://127.0.0.1:9", "--project", "x")
    assert code == 3
    assert "http://127.0.0.1:9" in words
    assert "Connection refused" in words


def test_wrong_token_is_exit_code_4(served: dict[str, Any]) -> None:
    code, words = ended("watch", "--url", served["url"], environment={"UPLOAD_TUI_TOKEN": "secret-but-wrong"})
    assert code == 4
    assert "invalid api_token" in words
    assert "secret-but-wrong" not in words


def test_unknown_project_is_exit_code_5(served: dict[str, Any]) -> None:
    environment = {"UPLOAD_TUI_TOKEN": served["token"]}
    code, words = ended("watch", "--url", served["url"], "--project", "Nowhere", environment=environment)
    assert code == 5
    assert "Nowhere" in words
    assert served["project"]["name"] in words


def test_invalid_response_is_exit_code_3(garbage_url: str) -> None:
    code, words = ended("watch", "--url", garbage_url)
    assert code == 3
    assert garbage_url in words


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["watch"], "upload-tui demo", id="no-service"),
        pytest.param([], "upload-tui demo", id="nothing-at-all"),
        pytest.param(["watch", "--url", "ftp://x"], "does not start with https://", id="other-scheme"),
        pytest.param(["watch", "--url", "http://[broken"], "the URL is not valid", id="broken-url"),
        pytest.param(["watch", "--url", "http://dds.example.org"], "--insecure-http", id="unprotected-token"),
        pytest.param(
            ["watch", "--url", "http://127.0.0.1:9", "--token-file", "/nowhere/token"],
            "/nowhere/token",
            id="no-token-file",
        ),
        pytest.param(["demo", "--scenario", "soap"], "steady", id="unknown-scenario"),
        pytest.param(["demo", "--seed", "one"], "--seed", id="seed-no-number"),
        pytest.param(["serve", "--scenario", "soap"], "steady", id="serve-unknown-scenario"),
        pytest.param(["serve", "--host", "192.0.2.1"], "cannot be opened", id="no-such-address"),
        pytest.param(["wath"], "No such command", id="unknown-command"),
    ],
)
def test_invalid_arguments_are_exit_code_2(arguments: list[str], expected: str) -> None:
    code, words = ended(*arguments)
    assert code == 2
    assert expected in words


def test_dashboard_needs_a_terminal() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "upload_tui", "demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "terminal" in result.stderr
    assert result.stdout == ""


def test_interrupted_serve_is_exit_code_130() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "upload_tui", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(2)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.strip() == ""
