"""A client that a common generator makes from the OpenAPI document: all of it imports, and it uploads and downloads a file."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

from tests.e2e.programs import serving

FOLDER = Path(__file__).parents[1] / "generated_client"
IMPORT_ALL = """
import importlib, pkgutil, generated_client
print(sum(1 for one in pkgutil.walk_packages(generated_client.__path__, "generated_client.") if importlib.import_module(one.name)))
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif("PYTEST_LONG" not in os.environ, reason="installs a generator; PYTEST_LONG=1 runs it"),
]


def test_generated_client_uploads_a_file(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python, generator = (str(tmp_path / "venv" / "bin" / name) for name in ("python", "openapi-python-client"))
    requirements = ["--require-hashes", "-r", str(FOLDER / "requirements.txt")]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile", *requirements], check=True
    )
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    with serving() as served:
        (tmp_path / "openapi.json").write_text(httpx.get(f"{served.url}/api/v1/openapi.json").text)
        options = ["--path", "openapi.json", "--output-path", "generated_client", "--config", "config.yml"]
        generated = run([generator, "generate", "--meta", "none", *options], tmp_path)
        assert "WARNING" not in generated
        operations = sum(map(len, httpx.get(f"{served.url}/api/v1/openapi.json").json()["paths"].values()))
        assert int(run([python, "-c", IMPORT_ALL], tmp_path)) > operations
        facts = served.facts
        keys = [served.url, facts["agent_key"], facts["user_key"], facts["project"]["id"]]
        upload_id = run([python, str(FOLDER / "upload.py"), *keys], tmp_path, PYTHONPATH=str(tmp_path))
        assert '"stage": "verified"' in served.run("show", upload_id.strip(), "-o", "json").out


def run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(command, cwd=folder, env=environment or None, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
