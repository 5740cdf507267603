"""Runs the installed program in a process, and services for it: the embedded one, and one with scripted responses."""

import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import httpx

from tests.e2e.forked_program import ForkedProcess, can_be_forked, run_forked, start_forked_with_pipes

__all__ = [
    "PROGRAM",
    "Result",
    "Process",
    "Response",
    "ScriptedService",
    "Served",
    "handled_signals",
    "run",
    "scripted_service",
    "serving",
    "started",
]

PROGRAM = str(Path(sys.executable).with_name("upload-tui"))
TIMEOUT_SECONDS = 180.0
Process = subprocess.Popen[str] | ForkedProcess
_CHUNKS = (b"0123", b"4567", b"89ab", b"cde")


@dataclass(frozen=True)
class Result:
    """The exit code and the output of a program that has ended."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The parsed JSON lines of its output."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: str, environment: Mapping[str, str] | None = None, program: Sequence[str] = (PROGRAM,)) -> Result:
    """Run the program to its end, without a terminal."""
    variables = {**os.environ, **(environment or {})}
    if program == (PROGRAM,) and can_be_forked(variables):
        done = run_forked([PROGRAM, *arguments], variables, TIMEOUT_SECONDS)
    else:
        done = subprocess.run(
            [*program, *arguments],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    assert "Traceback" not in done.stdout + done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout_seconds: float = TIMEOUT_SECONDS
) -> Iterator[Process]:
    """Start the program and yield its process; it is killed at the end of the context or after a timeout."""
    process = _start([PROGRAM, *arguments], {**os.environ, **(environment or {})})
    watchdog = Timer(timeout_seconds, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def _start(arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
    if can_be_forked(environment):
        return start_forked_with_pipes(arguments, environment)
    return subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def handled_signals(process_id: int) -> set[int]:
    """The signals that a process handles."""
    status = Path(f"/proc/{process_id}/status").read_text()
    mask = int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[1], 16)  # type: ignore[index]
    return {bit + 1 for bit in range(64) if mask >> bit & 1}


@dataclass(frozen=True)
class Served:
    """The embedded service in another process, with its URL and credentials."""

    facts: Mapping[str, Any]

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a user would export."""
        return {"UPLOAD_TUI_URL": self.url, "UPLOAD_TUI_TOKEN": self.facts["token"]}

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Result:
        """Run a command against the service."""
        return run(*arguments, environment={**self.environment, **(environment or {})})

    def begin(self, name: str = "data.bin") -> str:
        """Initiate an upload and send its chunks, but do not complete it."""
        fields = {"name": name, "content_type": "text/plain", "size": sum(map(len, _CHUNKS))}
        upload_id = str(self._call("POST", f"/projects/{self.facts['project']['id']}/uploads", fields)["id"])
        for number, chunk in enumerate(_CHUNKS, 1):
            report = {"number": number, "size": len(chunk), "hash": {"value": _md5(chunk), "algorithm": "md5"}}
            target = self._call("PUT", f"/uploads/{upload_id}/chunks", report)
            assert httpx.put(target["host"] + target["url"], content=chunk, timeout=30).status_code == 201
        return upload_id

    def finish(self, upload_id: str, *, is_corrupt: bool = False) -> str:
        """Complete an upload; a corrupt one with a wrong hash, so that verification fails."""
        digest = _md5(b"other" if is_corrupt else b"".join(_CHUNKS))
        self._call("PUT", f"/uploads/{upload_id}/complete", {"hash": {"value": digest, "algorithm": "md5"}})
        return upload_id

    def _call(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": self.facts["token"]}
        response = httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30)
        assert response.is_success, response.text
        parsed: dict[str, Any] = response.json()
        return parsed


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@contextmanager
def serving(*arguments: str) -> Iterator[Served]:
    """Run `upload-tui serve` on a free port."""
    with started("serve", "--port", "0", "--json", *arguments, timeout_seconds=600) as process:
        assert process.stdout is not None
        yield Served(json.loads(process.stdout.readline()))


@dataclass(frozen=True)
class Response:
    """A response with a JSON body, or with bytes."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ScriptedService:
    """A service with a list of responses for each path; the last one is repeated."""

    url: str
    responses: dict[str, list[Response]]
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path without query, and token of each request."""

    @property
    def environment(self) -> dict[str, str]:
        return {"UPLOAD_TUI_URL": self.url, "UPLOAD_TUI_TOKEN": "t0ken"}

    def respond(self, method: str, path: str, token: str) -> Response:
        self.requests.append((method, path, token))
        responses = self.responses.get(path, [])
        if not responses:
            reason = {
                "error": 404,
                "code": "not_provided",
                "reason": "Not Found",
                "suggestion": "you may have mistyped",
            }
            return Response(reason, 404)
        return responses.pop(0) if len(responses) > 1 else responses[0]


class _QuietServer(ThreadingHTTPServer):
    """A server that prints no errors of clients: some tests reset connections or reject the certificate."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def scripted_service(
    responses: Mapping[str, Sequence[Response]], tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedService]:
    """Run a scripted service on a free port, with TLS if there is a context; paths are relative to `/api/v1`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _respond(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0].removeprefix("/api/v1")
            response = service.respond(self.command, path, self.headers.get("Authorization", ""))
            body = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
            self.send_response_only(response.status)
            for name, value in {"Content-Length": str(len(body)), **response.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_CONNECT = _respond  # noqa: N815  # the base class's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
            pass

    with _QuietServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        lists = {path: [*items] for path, items in responses.items()}
        service = ScriptedService(f"{scheme}://localhost:{server.server_port}", lists)
        thread = Thread(target=server.serve_forever, args=[0.02])  # seconds until it notices `shutdown`
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
