"""Somebody else's project: the wheel with its extra in a fresh environment, and tests that know nothing of ours."""

import os
import shutil
import subprocess
import venv
from importlib.metadata import distributions
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "sample_project"
HERE = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
ELSEWHERE = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "61"}

pytestmark = pytest.mark.e2e


def run(command: list[str], folder: Path, **environment: str) -> str:
    """What a command says; its own words if it fails."""
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def python(wheel: Path, tmp_path: Path) -> str:
    """A fresh environment with the wheel, its extra and nothing else, in the versions that our own tests have."""
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    pins = {f"{dist.name}=={dist.version}" for dist in distributions() if dist.name != "upload-tui"}
    (tmp_path / "pins.txt").write_text("\n".join(sorted(pins)), encoding="utf-8")
    run(
        [python, "-m", "pip", "install", "-q", "--no-compile", "-c", "pins.txt", f"{wheel}[testing]"],
        tmp_path,
        **os.environ,
    )
    return python


def test_anothers_tests_pass_when_the_wheel_is_installed_with_its_extra(python: str, tmp_path: Path) -> None:
    """Its pictures are taken in one zone, language and terminal, and found the same in others."""
    project = shutil.copytree(SAMPLE, tmp_path / "project")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    where = run([python, "-c", "import upload_tui; print(upload_tui.__file__)"], project, **environment)
    assert where.startswith(str(tmp_path))
    pytest_ = [python, "-m", "pytest", "-rs", "-p", "no:cacheprovider"]
    told = run([*pytest_, "--snapshot-update"], project, **environment, **HERE)
    assert "5 snapshots generated" in told
    told = run(pytest_, project, **environment, **ELSEWHERE)
    assert "5 snapshots passed" in told
    assert f"{9 if shutil.which('curl') else 8} passed" in told
