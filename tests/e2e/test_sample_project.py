"""A project of a user: its tests run with the installed wheel and its extra `testing` in a fresh environment."""

import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distributions
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "sample_project"
HERE = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
ELSEWHERE = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "61"}

pytestmark = pytest.mark.e2e


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run a command and return its output; fail with it if the command fails."""
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def python(wheel: Path, tmp_path: Path) -> str:
    """A fresh environment with the wheel and its extra, in the versions of this environment."""
    venv.create(tmp_path / "env")
    python = str(tmp_path / "env" / "bin" / "python")
    pins = {f"{dist.name}=={dist.version}" for dist in distributions() if dist.name != "upload-tui"}
    (tmp_path / "pins.txt").write_text("\n".join(sorted(pins)), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python]
    run([*pip, "install", "-q", "--no-compile", "-c", "pins.txt", f"{wheel}[testing]"], tmp_path, **os.environ)
    return python


def test_sample_project_passes_with_the_installed_wheel(python: str, tmp_path: Path) -> None:
    """Snapshots made with one time zone, locale and terminal match those made with others."""
    project = shutil.copytree(SAMPLE, tmp_path / "project")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    where = run([python, "-c", "import upload_tui; print(upload_tui.__file__)"], project, **environment)
    assert where.startswith(str(tmp_path))
    pytest_ = [python, "-m", "pytest", "-rs", "-p", "no:cacheprovider"]
    output = run([*pytest_, "--snapshot-update"], project, **environment, **HERE)
    assert "5 snapshots generated" in output
    output = run(pytest_, project, **environment, **ELSEWHERE)
    assert "5 snapshots passed" in output
    assert f"{9 if shutil.which('curl') else 8} passed" in output
