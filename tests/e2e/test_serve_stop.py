"""`serve` and `demo --web` end within their grace period on every ending signal, and `serve` leaves a complete database."""

import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from tests.e2e.programs import Served, handled_signals, started
from upload_tui.cli.commands import serve

pytestmark = pytest.mark.e2e

HUGE_BYTES = 5_000_000_000
"""Takes longer to hash than the test waits."""
LARGE_BYTES = 32 * 1024 * 1024
HANG_SECONDS = 60
"""A process that takes longer hangs."""

Situation = Callable[[Served, Path], AbstractContextManager[None]]


def connect(served: Served, receive_buffer_bytes: int = 65536) -> socket.socket:
    url = httpx.URL(served.url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    client.connect((url.host, url.port or 80))
    return client


def initiate(served: Served, size_bytes: int) -> str:
    fields = {"name": "a.bin", "content_type": "text/plain", "size": size_bytes}
    return str(served._call("POST", f"/projects/{served.facts['project']['id']}/uploads", fields)["id"])


def report_chunk(served: Served, upload_id: str, size_bytes: int, digest: str = "0" * 32) -> dict[str, Any]:
    report = {"number": 1, "size": size_bytes, "hash": {"value": digest, "algorithm": "md5"}}
    return served._call("PUT", f"/uploads/{upload_id}/chunks", report)


def wait_until_read(served: Served) -> None:
    """Wait until the server has read what clients have sent: it responds to a request that was sent later."""
    httpx.get(f"{served.url}/api/v1/unknown")


@contextmanager
def half_a_chunk(served: Served, _: Path) -> Iterator[None]:
    """A client has announced a chunk of a megabyte and sent some bytes."""
    upload_id = initiate(served, 100)
    target = report_chunk(served, upload_id, 100)
    with closing(connect(served)) as client:
        client.sendall(f"PUT {target['url']} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome".encode())
        wait_until_read(served)
        yield


@contextmanager
def half_a_json_body(served: Served, _: Path) -> Iterator[None]:
    """A client has announced a body and sent the first byte of it."""
    with closing(connect(served)) as client:
        client.sendall(b"POST /api/v1/projects HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        wait_until_read(served)
        yield


@contextmanager
def no_reader(served: Served, _: Path) -> Iterator[None]:
    """A client downloads more than the buffers of a connection hold, and reads nothing."""
    content = bytes(LARGE_BYTES)
    upload_id, digest = initiate(served, LARGE_BYTES), hashlib.md5(content, usedforsecurity=False).hexdigest()
    target = report_chunk(served, upload_id, LARGE_BYTES, digest)
    assert httpx.put(target["host"] + target["url"], content=content).status_code == 201
    served._call("PUT", f"/uploads/{upload_id}/complete", {"hash": {"value": digest, "algorithm": "md5"}})
    place = {"kind": "dds-project", "id": served.facts["project"]["id"]}
    file = served._call("POST", "/files", {"parent": place, "upload": {"id": upload_id}})
    while served._call("GET", f"/uploads/{upload_id}", {})["status"]["verified_on"] is None:
        time.sleep(0.01)
    url = served._call("GET", f"/files/{file['id']}/url", {})["url"]
    with closing(connect(served, 4096)) as client:
        client.sendall(f"GET {url} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until_read(served)
        yield


@contextmanager
def polling_monitor(served: Served, _: Path) -> Iterator[None]:
    """A client keeps its connections and requests pages as fast as it gets them, also new connections."""
    is_over = Event()

    def poll() -> None:
        with httpx.Client(headers={"Authorization": served.facts["token"]}) as http:
            while not is_over.is_set():
                try:
                    http.get(f"{served.url}/api/v1/projects")
                except httpx.TransportError:
                    is_over.wait(0.01)

    threads = [Thread(target=poll) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@contextmanager
def long_hash(served: Served, storage: Path) -> Iterator[None]:
    """The worker hashes a huge file."""
    upload_id = initiate(served, HUGE_BYTES)
    target = report_chunk(served, upload_id, HUGE_BYTES)
    assert httpx.put(target["host"] + target["url"], content=b"x").status_code == 201
    os.truncate(storage / upload_id / "1", HUGE_BYTES)  # a sparse file
    served.finish(upload_id)
    while (
        httpx.get(f"{served.url}/api/v1/queue", headers={"Authorization": served.facts["token"]}).json()["running"] == 0
    ):
        time.sleep(0.01)
    yield


SITUATIONS = [half_a_chunk, half_a_json_body, no_reader, polling_monitor, long_hash]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_serve_ends_on_a_signal(situation: Situation, number: signal.Signals, tmp_path: Path) -> None:
    database, storage = tmp_path / "service.db", tmp_path / "bytes"
    options = ["--db", str(database), "--storage", str(storage), "--grace", "0.2"]
    with started("serve", "--port", "0", "--json", *options) as process:
        assert process.stdout is not None
        served = Served(json.loads(process.stdout.readline()))
        upload_id = served.begin()
        with situation(served, storage):
            process.send_signal(number)
            _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert upload_id in uploads_in_copy(database, tmp_path)


_COMMANDS = {
    "serve": ("serve", "--port", "0", "--json"),
    "serve-scenario": ("serve", "--port", "0", "--json", "--scenario", "rush"),
    "demo-web": ("demo", "--web", "--port", "0"),
}


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM", "SIGRTMIN"])
def test_each_kind_of_signal_ends_serve_and_folds_the_log_into_the_database(name: str, tmp_path: Path) -> None:
    if not hasattr(signal, name):
        pytest.skip("this system has no such signal")
    number, database = getattr(signal, name), tmp_path / "service.db"
    with started(*_COMMANDS["serve"], "--db", str(database), "--grace", "0.2") as process:
        assert process.stdout is not None
        served = Served(json.loads(process.stdout.readline()))
        upload_id = served.begin()
        with half_a_json_body(served, tmp_path):
            process.send_signal(number)
            process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 128 + number
    assert upload_id in uploads_in_copy(database, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("command", _COMMANDS)
def test_every_ending_signal_is_handled(command: str, ending: frozenset[int]) -> None:
    if command == "demo-web":
        pytest.importorskip("textual_serve", reason="the extra `web` is not installed")
    with started(*_COMMANDS[command]) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert handled_signals(process.pid) >= ending
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["term", "int", "hup"])
@pytest.mark.parametrize("line", ["wait {id}", "tail", "record {folder}/recording.jsonl"])
def test_a_signal_ends_a_command_that_runs_on(line: str, number: signal.Signals, served: Any, tmp_path: Path) -> None:
    service = Served(served)
    words = line.format(id=service.begin(), folder=tmp_path).split()
    with started(*words, environment=service.environment) as process:
        while signal.SIGRTMAX not in handled_signals(process.pid):  # the last one for which a handler is set
            assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 128 + number
    assert "Traceback" not in err


def test_a_second_signal_ends_the_grace_period(tmp_path: Path) -> None:
    with started("serve", "--port", "0", "--json", "--grace", "3600") as process:
        assert process.stdout is not None
        served = Served(json.loads(process.stdout.readline()))
        with half_a_chunk(served, tmp_path):
            process.send_signal(signal.SIGTERM)
            while is_accepting(served):
                pass  # the first signal is being handled
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err


def test_requests_have_the_whole_grace_period(tmp_path: Path) -> None:
    (grace,) = (option for option in serve.command.params if option.name == "grace_seconds")
    assert grace.default == 5.0
    with started("serve", "--port", "0", "--json", "--grace", "0.6") as process:
        assert process.stdout is not None
        served = Served(json.loads(process.stdout.readline()))
        with half_a_json_body(served, tmp_path):
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=HANG_SECONDS)
            seconds = time.monotonic() - began
    assert process.returncode == 128 + signal.SIGTERM
    assert seconds >= 0.6


def is_accepting(served: Served) -> bool:
    url = httpx.URL(served.url)
    with closing(socket.socket()) as client:
        return client.connect_ex((url.host, url.port or 80)) == 0


def uploads_in_copy(database: Path, folder: Path) -> set[str]:
    """The ids of the uploads in a copy of the database's file alone."""
    copy = shutil.copy(database, folder / "copy.db")
    with closing(sqlite3.connect(copy)) as db:
        return {row[0] for row in db.execute("SELECT id FROM uploads")}
