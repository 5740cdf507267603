"""A project of a user: its tests run with the installed wheel and its extra `testing` in a fresh environment."""

import os
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
    """A fresh environment with the wheel, and with what it and its extra need and nothing else: links to this environment's."""
    venv.create(tmp_path / "env")
    python = str(tmp_path / "env" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python]
    run([*pip, "install", "-q", "--no-compile", "--no-deps", "--no-index", str(wheel)], tmp_path, **os.environ)
    (packages,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    for needed in _needed(next(iter(distributions(name="upload-tui", path=[str(packages)]))), "testing").values():
        for name in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(needed.locate_file(name))))
    return python


def _needed(distribution: Distribution, *extras: str) -> dict[str, Distribution]:
    """What a distribution with some of its extras requires, and what that requires, in the versions of this environment."""
    found = dict[str, Distribution]()
    for requirement in map(Requirement, distribution.requires or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            other = metadata.distribution(requirement.name)
            assert requirement.specifier.contains(other.version, prereleases=True), requirement
            found |= {requirement.name: other, **_needed(other, *requirement.extras)}
    return found


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
