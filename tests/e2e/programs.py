"""The installed program in a process of its own, the services it talks to, and what both said."""

import hashlib
import json
import os
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

__all__ = ["PROGRAM", "Ended", "Said", "Scripted", "Served", "run", "scripted", "serving", "started"]

PROGRAM = str(Path(sys.executable).with_name("upload-tui"))
PATIENCE_SECONDS = 60.0
_CHUNKS = (b"0123", b"4567", b"89ab", b"cde")


@dataclass(frozen=True)
class Ended:
    """A program that has ended."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: str, environment: Mapping[str, str] | None = None, program: Sequence[str] = (PROGRAM,)) -> Ended:
    """Run the program to its end, without a terminal."""
    done = subprocess.run(
        [*program, *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(
    *arguments: str, environment: Mapping[str, str] | None = None, patience_seconds: float = PATIENCE_SECONDS
) -> Iterator["subprocess.Popen[str]"]:
    """The program, running; its output is read by the test. It outlives neither the test nor the test's patience."""
    with subprocess.Popen(
        [PROGRAM, *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = Timer(patience_seconds, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


@dataclass(frozen=True)
class Served:
    """A service in another process, and how to be let in."""

    facts: Mapping[str, Any]

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    @property
    def environment(self) -> dict[str, str]:
        """What a person would have exported."""
        return {"UPLOAD_TUI_URL": self.url, "UPLOAD_TUI_TOKEN": self.facts["token"]}

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
        """Run a command against it."""
        return run(*arguments, environment={**self.environment, **(environment or {})})

    def begin(self, name: str = "data.bin") -> str:
        """An upload whose chunks are there but which nobody completed."""
        fields = {"name": name, "content_type": "text/plain", "size": sum(map(len, _CHUNKS))}
        upload_id = str(self._call("POST", f"/projects/{self.facts['project']['id']}/uploads", fields)["id"])
        for number, chunk in enumerate(_CHUNKS, 1):
            report = {"number": number, "size": len(chunk), "hash": {"value": _md5(chunk), "algorithm": "md5"}}
            target = self._call("PUT", f"/uploads/{upload_id}/chunks", report)
            assert httpx.put(target["host"] + target["url"], content=chunk, timeout=30).status_code == 201
        return upload_id

    def finish(self, upload_id: str, *, wrongly: bool = False) -> str:
        """Complete an upload; wrongly: with a hash that is not its own, so that verification fails."""
        digest = _md5(b"other" if wrongly else b"".join(_CHUNKS))
        self._call("PUT", f"/uploads/{upload_id}/complete", {"hash": {"value": digest, "algorithm": "md5"}})
        return upload_id

    def _call(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": self.facts["token"]}
        answer = httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30)
        assert answer.is_success, answer.text
        said: dict[str, Any] = answer.json()
        return said


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@contextmanager
def serving(*arguments: str) -> Iterator[Served]:
    """`upload-tui serve` on a free port."""
    with started("serve", "--port", "0", "--json", *arguments, patience_seconds=600) as process:
        assert process.stdout is not None
        yield Served(json.loads(process.stdout.readline()))


@dataclass(frozen=True)
class Said:
    """An answer: JSON, or bytes as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Scripted:
    """A service whose every answer is the test's: each path has a list of them, the last is repeated."""

    url: str
    answers: dict[str, list[Said]]
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path without its query, and token of each request."""

    @property
    def environment(self) -> dict[str, str]:
        return {"UPLOAD_TUI_URL": self.url, "UPLOAD_TUI_TOKEN": "t0ken"}

    def answer(self, method: str, path: str, token: str) -> Said:
        self.asked.append((method, path, token))
        left = self.answers.get(path, [])
        if not left:
            reason = {
                "error": 404,
                "code": "not_provided",
                "reason": "Not Found",
                "suggestion": "you may have mistyped",
            }
            return Said(reason, 404)
        return left.pop(0) if len(left) > 1 else left[0]


class _Quiet(ThreadingHTTPServer):
    """Clients that hang up, or do not like the certificate, are what some tests are about."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def scripted(answers: Mapping[str, Sequence[Said]], tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """A scripted service on a free port, with TLS if it is given a certificate; paths are those below `/api/v1`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0].removeprefix("/api/v1")
            said = service.answer(self.command, path, self.headers.get("Authorization", ""))
            body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response_only(said.status)
            for name, value in {"Content-Length": str(len(body)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_CONNECT = _answer  # noqa: N815  # the base class's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
            pass

    with _Quiet(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        said = {path: [*said] for path, said in answers.items()}
        service = Scripted(f"{scheme}://localhost:{server.server_port}", said)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
