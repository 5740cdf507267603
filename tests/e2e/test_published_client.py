"""`serve` with the published Python client of the real service, unmodified."""

import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.e2e.programs import Served, serving
from tests.e2e.shared import made_once

REQUIREMENTS = Path(__file__).parents[1] / "published_client" / "requirements.txt"
CHUNK_BYTES = 100_000

pytestmark = pytest.mark.e2e

Client = Callable[..., str]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python environment with the client only."""

    def install(folder: Path) -> None:
        venv.create(folder)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        subprocess.run([*pip, "install", "-q", "--no-compile", "--require-hashes", "-r", str(REQUIREMENTS)], check=True)

    return str(made_once(tmp_path_factory, "published", install) / "bin" / "python")


@pytest.fixture
def client_of(published: str, tmp_path: Path) -> Callable[[Served], Client]:
    """Configure the client for a service; the result runs it and returns its output."""

    def set_up(served: Served) -> Client:
        settings = {
            "url": f"{served.url}/api/v1",
            "agent_key": served.facts["agent_key"],
            "user_key": served.facts["user_key"],
            "upload_bytes_per_chunk": CHUNK_BYTES,
            "upload_workers": 2,
            "download_workers": 2,
        }
        (tmp_path / "conf").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
        environment = {**os.environ, "DDSCLIENT_CONF": str(tmp_path / "conf"), "HOME": str(tmp_path)}

        def call(*arguments: str, code: int = 0) -> str:
            command = [published, "-W", "ignore", "-m", "ddsc", *arguments]
            done = subprocess.run(
                command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == code, done.stdout + done.stderr
            return done.stdout

        return call

    return set_up


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folder_is_uploaded_and_downloaded(client_of: Callable[[Served], Client], tmp_path: Path) -> None:
    """Large, small and empty files and non-ASCII names, in a new project that is not consistent at once."""
    data = tmp_path / "data"
    (data / "inner").mkdir(parents=True)
    (data / "large.bin").write_bytes(os.urandom(3 * CHUNK_BYTES))
    (data / "inner" / "small.txt").write_text("small")
    (data / "inner" / "empty.txt").touch()
    (data / "inner" / "naïve – file.txt").write_text("a name")
    with serving("--design", "deployed", "--fault", "young-projects=1") as served:
        client = client_of(served)
        assert "4 files" in client("upload", "-p", "mine", str(data))
        (data / "large.bin").write_bytes(os.urandom(2 * CHUNK_BYTES + 1))
        (data / "inner" / "small.txt").write_text("small, but changed")
        assert "Uploaded 2 files. 2 files and 2 folders are already up to date." in client(
            "upload", "-p", "mine", str(data)
        )
        assert "/data/inner/naïve – file.txt" in client("list", "-p", "mine")
        assert "is consistent" in client("check", "-p", "mine")
        client("download", "-p", "mine", "back")
    assert files_in(tmp_path / "back" / "data") == files_in(data)


def test_damaged_file_is_reported(client_of: Callable[[Served], Client], tmp_path: Path) -> None:
    """The client waits until the file is consistent, and learns that it never will be."""
    (tmp_path / "damaged.txt").write_text("damaged")
    faults = ["--fault", "altered-chunk=1", "--fault", "broken-storage", "--control"]
    with serving("--design", "deployed", *faults) as served:
        client = client_of(served)
        # A file can be made of an upload only until its verification fails.
        verification = Thread(target=verify_when_there_is_a_file, args=[served])
        verification.start()
        client("upload", "-p", "mine", str(tmp_path / "damaged.txt"), code=1)
        verification.join()
        output = client("check", "-p", "mine", code=1)
    assert "damaged.txt" in output
    assert "Error" in output
    assert "reported hash value does not match size computed by StorageProvider" in output


def verify_when_there_is_a_file(served: Served) -> None:
    headers = {"Authorization": served.facts["token"]}
    with httpx.Client(base_url=f"{served.url}/api/v1", headers=headers) as http:
        while not any(
            http.get(f"/projects/{project['id']}/children").json()["results"]
            for project in http.get("/projects").json()["results"]
        ):
            time.sleep(0.05)  # the client is uploading
        http.delete("/control/faults/broken-storage").raise_for_status()


@pytest.mark.skipif("PYTEST_LONG" not in os.environ, reason="runs many commands; PYTEST_LONG=1 runs it")
def test_other_commands(client_of: Callable[[Served], Client], tmp_path: Path) -> None:
    """The commands beside `upload`, `download`, `list` and `check`. The only account has every permission already."""
    (tmp_path / "a.txt").write_text("a")
    with serving("--design", "deployed") as served:
        client = client_of(served)
        client("upload", "-p", "mine", str(tmp_path / "a.txt"))
        assert "project_admin" in client("list-auth-roles")
        assert "mine" in client("list", "--auth-role", "project_admin")
        assert "1 file" in client("info", "-p", "mine")
        client("move", "-p", "mine", "/a.txt", "/b.txt")
        assert "/b.txt" in client("list", "-p", "mine")
        for person in (("--user", "ada"), ("--email", "ada@example.org")):
            assert "Gave user Ada Lovelace project_admin" in client("add-user", "-p", "mine", *person)
            assert "Sharing project." in client(
                "share", "-p", "mine", *person, code=2
            )  # "You cannot share … to yourself"
            assert "Delivering project." in client("deliver", "-p", "mine", *person, code=2)
        client("remove-user", "-p", "mine", "--user", "ada", code=1)  # it stays the project's admin
        client("delete", "-p", "mine", "--path", "/b.txt", "--force")
        assert "/b.txt" not in client("list", "-p", "mine")
        client("delete", "-p", "mine", "--force")
        assert "mine" not in client("list")
