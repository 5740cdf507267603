"""The manual pages that a source distribution gets."""

import subprocess
import sys
from pathlib import Path

import click

from tests.architecture.figures import ROOT
from upload_tui.cli.group import upload_tui


def test_each_command_has_a_manual_page(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / ".ci" / "man_pages.py", tmp_path], check=True)
    pages = {file.stem: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    context = click.Context(upload_tui)
    assert {f"upload-tui-{name}" for name in upload_tui.list_commands(context)} < set(pages)
    for name, page in pages.items():
        assert page.startswith(f'.TH "{name.upper()}" 1'.replace("-", "\\-"))
        assert ".SH SYNOPSIS\n" in page
    assert "\\-\\-timeout" in pages["upload-tui-wait"]
    assert "EXIT CODES" in pages["upload-tui"]
