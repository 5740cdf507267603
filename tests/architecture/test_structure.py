"""The structure of the code: what a package imports, sizes, documentation, where style is."""

import ast
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from tests.architecture.figures import (
    CLASS_LINES,
    CONSTRUCTOR_PARAMETERS,
    FUNCTION_LINES,
    MODULE_LINES,
    ROOT,
    class_lines,
    constructor_parameters,
    function_lines,
    modules_of,
    pass_throughs,
    splinters,
    undocumented,
)
from upload_tui.status import Origin

MODULES = modules_of()
PACKAGE = "upload_tui"
SUBPACKAGES = {
    module.name.split(".")[1] for module in MODULES if module.is_package and module.name.startswith(f"{PACKAGE}.")
}
APP_LINES = 150
FILES_IN_A_FOLDER = 15
HEAVY = {"textual", "rich", "httpx", "pydantic", "starlette", "uvicorn", "stamina", "sqlite3"}

# The heavy packages that each statement may import.
ALLOWED: dict[str, set[str]] = {
    "import upload_tui": set(),
    "import upload_tui.errors": set(),
    "import upload_tui.clock": set(),
    "import upload_tui.status": set(),
    "from upload_tui.settings import ServiceSettings": set(),
    "import upload_tui.cli.group": set(),
    "import upload_tui.cli.commands.serve": set(),
    "from upload_tui.wire import Upload": set(),
    # httpx imports rich for its own command line.
    "from upload_tui.client import ServiceClient": {"httpx", "stamina", "rich"},
    "from upload_tui.monitor import LiveSession": {"httpx", "stamina", "sqlite3", "rich"},
    "from upload_tui.backend import EmbeddedService": {"pydantic", "starlette", "sqlite3"},
    "from upload_tui.backend import SCENARIO_DESCRIPTIONS": set(),
    "from upload_tui.backend import SCENARIOS": {"pydantic", "starlette", "sqlite3"},
    "from upload_tui.tui import UploadApp": {"textual", "rich"},
    "import upload_tui.widgets": {"textual", "rich", "sqlite3"},
    "import upload_tui.testing": set(),
    "from upload_tui.testing import FrozenClock": set(),
    "from upload_tui.testing import an_upload": set(),
    "from upload_tui.testing import Scene": {"pydantic", "httpx", "stamina", "sqlite3", "starlette", "rich"},
}

# Modules that other packages may import although they are no package's `__init__`, and why.
INNER_IMPORTS: dict[str, str] = {
    "upload_tui.widgets": "is itself the public interface of the dashboard's widgets",
}

# Modules of under 40 lines with one importer, and why each is a file of its own.
SPLINTERS: dict[str, str] = {}

# Methods that only forward to a member, and why callers do not use the member itself.
PASS_THROUGHS: dict[str, str] = {
    "backend.store.database:Database.close": "a resource that its owner closes",
    "client.requester:RequestGate.is_holding": "names what a locked lock means",
    "monitor.in_memory_picture:InMemoryPicture.close": "a resource that its owner closes",
    "monitor.recording.replay:ReplaySession.close": "a resource that its owner closes",
    "monitor.sessions.source:SourceSession.refresh": "the protocol `Session` has it",
    "processes:ChildProcess.close": "a resource that its owner closes",
    "testing.service:UploadService.verify_next": "the kit's users do not import the service",
    "testing.sessions:_BaseSession.close": "a resource that its owner closes",
    "tui.app:UploadApp.watch_app_focus": "Textual calls it",
    "tui.screens.session_screen:SessionScreen.action_refresh": "Textual calls it",
}

# Modules that name exit codes other than 0, and why.
EXIT_CODE_MODULES: dict[str, str] = {
    "errors": "has them, and the errors theirs",
    "cli.exit_codes": "decides where no error was raised",
    "cli": "an interrupt during the import",
    "cli.group": "an interrupt before the command runs",
    "cli.support.error_reporting": "interrupts, and click's own errors",
    "cli.commands.wait": "the default of --timeout-exit-code",
    "testing.gallery": "is a program of its own",
}

# Modules that name a service or a source as the origin of uploads, and why; all others ask what it `has`.
ORIGIN_MODULES: dict[str, str] = {
    "sources.uploads": "makes the uploads of a source",
    "status.abilities": "has the table",
    "wire.status_shapes": "parses the two by other rules",
    "wire.upload": "makes the uploads of a service",
}

# Constructors with more parameters than the limit, and why.
WIDE_CONSTRUCTORS: dict[str, str] = {}


def test_what_differs_between_services_and_sources_is_in_one_table() -> None:
    named = {
        module.name.removeprefix(f"{PACKAGE}.")
        for module in MODULES
        for node in module.nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Origin"
        if node.attr in Origin.__members__
    }
    assert named <= ORIGIN_MODULES.keys()


@pytest.mark.parametrize("statement", ALLOWED)
def test_an_import_loads_only_the_heavy_packages_it_needs(statement: str) -> None:
    script = f"import sys\n{statement}\nprint(*sorted({HEAVY!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) <= ALLOWED[statement]


def test_the_command_line_starts_without_modules_that_only_a_command_needs() -> None:
    heavy = {"asyncio", "difflib", "json", "logging", "msgspec", "pathlib", "platformdirs", "socket", "urllib.parse"}
    script = (
        "import click, sys; before = {*sys.modules}; import upload_tui.cli.group; "
        f"print(*{heavy!r} & {{*sys.modules}} - before)"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


def test_import_contracts_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_a_package_is_imported_only_through_its_public_interface() -> None:
    inner = {
        f"{module.name} -> {source}"
        for module in MODULES
        if module.name not in INNER_IMPORTS
        for source in module.imported_modules()
        if source.count(".") > 1 and source.startswith(f"{PACKAGE}.")
        if (imported := source.split(".")[1]) in SUBPACKAGES and imported not in module.name.split(".")[1:2]
    }
    assert inner == set()


@pytest.mark.parametrize("name", sorted(SUBPACKAGES - {"cli"}))
def test_a_package_has_the_names_it_lists(name: str) -> None:
    package = import_module(f"{PACKAGE}.{name}")
    assert all(hasattr(package, listed) for listed in package.__all__)
    if "__getattr__" not in vars(package):
        return
    assert sorted(package.__all__) == dir(package)
    # A name that only `__getattr__` returns has no type.
    (module,) = (module for module in MODULES if module.name == package.__name__)
    typed = {imported for imported in module.imported_names() if imported.startswith(f"{module.name}.")}
    assert set(package.__all__) <= {imported.rpartition(".")[2] for imported in typed}


def test_modules_are_short() -> None:
    assert {module.name: module.lines for module in MODULES if module.lines > MODULE_LINES} == {}


def test_classes_are_short() -> None:
    sizes = {f"{module.name}:{name}": class_lines(node) for module in MODULES for name, node in module.classes()}
    limits = {name: APP_LINES if name.endswith("App") else CLASS_LINES for name in sizes}
    assert {name: lines for name, lines in sizes.items() if lines > limits[name]} == {}


def test_functions_are_short() -> None:
    sizes = {f"{module.name}:{name}": function_lines(node) for module in MODULES for name, node in module.functions()}
    assert {name: lines for name, lines in sizes.items() if lines > FUNCTION_LINES} == {}


def test_constructors_have_few_parameters() -> None:
    counts = {
        f"{module.name}:{name}": constructor_parameters(node) for module in MODULES for name, node in module.classes()
    }
    assert {name for name, count in counts.items() if count > CONSTRUCTOR_PARAMETERS} == set(WIDE_CONSTRUCTORS)


def test_folders_have_few_files() -> None:
    """Their `__init__` is not counted."""
    counts = Counter(module.file.parent.relative_to(ROOT).as_posix() for module in MODULES if not module.is_package)
    assert {folder: count for folder, count in counts.items() if count > FILES_IN_A_FOLDER} == {}


def test_a_small_module_with_one_importer_has_a_reason() -> None:
    assert set(splinters(MODULES)) == set(SPLINTERS)


def test_a_method_that_only_forwards_has_a_reason() -> None:
    assert set(pass_throughs(MODULES)) == {f"{PACKAGE}.{name}" for name in PASS_THROUGHS}


def test_modules_and_public_functions_are_documented() -> None:
    assert undocumented(MODULES) == []


def test_no_css_is_in_python() -> None:
    assert [module.name for module in MODULES if "DEFAULT_CSS" in module.source] == []


def test_no_test_replaces_a_constant_of_the_program() -> None:
    """A test that needs another one passes it: `Store(limits=Limits(...))`, an option or an argument."""
    replaced = []
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[object] = []
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "setattr":
                names = [argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant)]
            elif isinstance(node, ast.Assign):
                names = [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
            replaced += [f"{file.name}: {name}" for name in names if str(name).rpartition(".")[2].isupper()]
    assert replaced == []


def test_only_the_clocks_read_the_time_of_this_machine() -> None:
    """Ages and times ago count by the picture's clock, which may be the service's. Leases are between processes of one machine."""
    allowed = {f"upload_tui.{name}" for name in ("clock", "monitor.store.bulk", "monitor.store.recovery")}
    found = {
        module.name
        for module in MODULES
        for node in module.nodes
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in {"datetime.now", "datetime.utcnow", "date.today", "time.time"}
    }
    assert found == allowed


def test_only_named_modules_use_other_exit_codes_than_0() -> None:
    naming = {
        module.name
        for module in MODULES
        for name in module.imported_names()
        if name.startswith(f"{PACKAGE}.errors.EXIT_") and not name.endswith(("EXIT_OK", "EXIT_CODES"))
    }
    others = EXIT_CODE_MODULES.keys() - {"errors"}
    assert naming == {f"{PACKAGE}.{name}" for name in others}


def test_no_module_imports_itself() -> None:
    """A name that it has is there; imported again in a function, it looks like one that is loaded late."""
    imports = {
        (module.name, node.module) for module in MODULES for node in module.nodes if isinstance(node, ast.ImportFrom)
    }
    packages = {module.name for module in MODULES if module.is_package}
    assert {name for name, imported in imports if name == imported and name not in packages} == set()


def test_commands_run_event_loops_only_where_signals_end_them() -> None:
    calls = "asyncio.run(", "asyncio.Runner("
    running = {
        module.name for module in MODULES if ".cli." in module.name and any(one in module.source for one in calls)
    }
    assert running == {"upload_tui.cli.support.signals"}


def test_the_readme_has_the_commands_that_are_run_from_it() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- command: demo -->" in readme
    assert "<!-- command: tests -->" in readme
