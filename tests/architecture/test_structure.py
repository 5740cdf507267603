"""The structure of the house: which room may import which, how large rooms get, where style lives."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "upload_tui"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"textual", "rich", "httpx", "pydantic", "starlette", "uvicorn", "stamina", "sqlite3"}

# What importing a room may bring along, of what is heavy.
ALLOWED = {
    "upload_tui": set(),
    "upload_tui.errors": set(),
    "upload_tui.clock": set(),
    "upload_tui.status": set(),
    "upload_tui.settings.service_settings": set(),
    "upload_tui.cli.group": set(),
    "upload_tui.cli.commands.demo": set(),
    "upload_tui.cli.commands.serve": set(),
    "upload_tui.cli.commands.watch": set(),
    "upload_tui.wire.upload": set(),
    # httpx brings rich along for a command line of its own.
    "upload_tui.client.service_client": {"httpx", "stamina", "rich"},
    "upload_tui.monitor.sessions.live": {"httpx", "stamina", "sqlite3", "rich"},
    "upload_tui.backend.service": {"pydantic", "starlette", "sqlite3"},
    "upload_tui.backend.scenarios.catalogue": set(),
    "upload_tui.backend.scenarios.registry": {"pydantic", "starlette", "sqlite3"},
    "upload_tui.tui.app": {"textual", "rich"},
    "upload_tui.widgets": {"textual", "rich", "sqlite3"},
    "upload_tui.testing": set(),
    "upload_tui.testing.clock": set(),
    "upload_tui.testing.builders": set(),
    "upload_tui.testing.scene": {"pydantic", "httpx", "stamina", "sqlite3", "starlette", "rich"},
}


@pytest.mark.parametrize("room", ALLOWED)
def test_only_what_a_room_needs_is_imported_when_it_is(room: str) -> None:
    script = f"import sys, {room}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) <= ALLOWED[room]


def test_imports_run_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def _definitions(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, kinds):
                yield f"{module.relative_to(PACKAGE)}:{node.name}", node  # type: ignore[attr-defined]


def _lines(nodes: list[ast.stmt]) -> int:
    return nodes[-1].end_lineno - nodes[0].lineno + 1 if nodes else 0  # type: ignore[operator]


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {
        str(module.relative_to(PACKAGE)): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES
    }
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_no_class_is_longer_than_300_lines() -> None:
    lengths = {name: _lines([node]) for name, node in _definitions(ast.ClassDef)}  # type: ignore[list-item]
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}


def test_no_function_is_longer_than_30_lines() -> None:
    """Its docstring aside."""
    found = _definitions(ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = {name: _lines(node.body[1:] if ast.get_docstring(node) else node.body) for name, node in found}  # type: ignore[attr-defined,arg-type]
    assert {name: lines for name, lines in lengths.items() if lines > 30} == {}


def test_every_module_says_what_it_owns() -> None:
    silent = [str(module) for module in MODULES if not ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))]
    assert silent == []


def test_no_css_is_in_python() -> None:
    assert [str(module) for module in MODULES if "DEFAULT_CSS" in module.read_text(encoding="utf-8")] == []


def test_the_readme_has_both_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- command: demo -->" in readme
    assert "<!-- command: tests -->" in readme
