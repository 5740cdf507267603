"""The wheel: its contents, and running it without the checkout."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

SHEETS = {"app.tcss", "dashboard.tcss", "widgets.tcss", "dialogs.tcss"}

pytestmark = pytest.mark.e2e


def test_wheel_has_the_style_sheets(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {f"upload_tui/styles/{sheet}" for sheet in SHEETS} <= set(names)
    assert "upload_tui/py.typed" in names
    assert not any(name.startswith("tests") for name in names)


def test_wheel_declares_the_extras(wheel: Path) -> None:
    archive = ZipFile(wheel)
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    extras = {line.split()[1] for line in metadata.splitlines() if line.startswith("Provides-Extra:")}
    assert extras == {"web", "keyring", "testing"}
    assert "Typing :: Typed" in metadata


def test_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env" / "lib").iterdir()) / "site-packages"
    ZipFile(wheel).extractall(site)
    # Only this package comes from the wheel; its requirements come from this environment.
    others = [entry for entry in sys.path if entry.endswith("site-packages")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *others]), "PYTHONSAFEPATH": "1"}
    script = "import upload_tui.tui as s; print(*s.stylesheet_paths(), sep='\\n')"
    shown = subprocess.run(
        [python, "-c", script], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert {Path(line).name for line in shown.stdout.split()} == SHEETS
    assert all(line.startswith(str(site)) for line in shown.stdout.split())
    version = subprocess.run(
        [python, "-m", "upload_tui", "--version"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert version.stdout.startswith("upload-tui ")
