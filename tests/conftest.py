"""Isolates tests from the machine: from its home, settings, proxies, terminal, time zone and language."""

import gc
import importlib.util
import os
import signal
import socket
import sqlite3
import ssl
import sys
from collections.abc import Hashable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import count, groupby
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import textual.constants
from textual.css.model import RuleSet
from textual.css.styles import RulesMap
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode

_FOLDER = Path(__file__).parent
_QUICK_FOLDERS = ("architecture", "unit", "tui")
_QUICK_EXAMPLES = 5  # of a test: sets of parameters, and generated examples of each
_QUICK_EXAMPLES_WITH_SCREEN = 1  # each opens a dashboard
_MORE_WORKERS = 3

_INHERITED = {"PATH", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV", "COVERAGE_PROCESS_START", "TEXTUAL_SNAPSHOT_TEMPDIR"}
_INHERITED_PREFIXES = ("PYTEST_", "PIP_", "SSL_CERT_")
_FIXED = {
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "TEXTUAL_ANIMATIONS": "none",
}
collect_ignore = ["sample_project"]  # a project of its own; tests/e2e runs it with the built wheel

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the quick profile, which a developer runs after each change."""
    parser.addoption(
        "--quick",
        action="store_true",
        help=f"only the fast tests of {', '.join(_QUICK_FOLDERS)}, each with at most {_QUICK_EXAMPLES} sets of parameters "
        f"and as many generated examples; in tui with {_QUICK_EXAMPLES_WITH_SCREEN} set",
    )


@pytest.hookimpl(trylast=True)  # after `-k` and `-m`
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the quick profile does not run."""
    if not config.getoption("--quick"):
        return
    for item in items:
        _limit_examples(getattr(item, "obj", None))
    kept = _cells_of_each_test([item for item in items if item.get_closest_marker("slow") is None])
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def _limit_examples(test: object) -> None:
    """Generate no more examples than the quick profile says, also if the test has a number of its own."""
    own = getattr(test, "_hypothesis_internal_use_settings", None)
    if own is not None and own.max_examples > _QUICK_EXAMPLES:
        vars(test)["_hypothesis_internal_use_settings"] = hypothesis.settings(own, max_examples=_QUICK_EXAMPLES)


def _cells_of_each_test(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """A few sets of parameters for each test, the same in each run, evenly spaced over all of them."""
    kept = set[pytest.Item]()
    for _, group in groupby(sorted(items, key=_place), key=lambda item: _place(item)[0]):
        cells = list(group)
        has_screen = cells[0].path.is_relative_to(_FOLDER / "tui")
        limit = _QUICK_EXAMPLES_WITH_SCREEN if has_screen else _QUICK_EXAMPLES
        step = max(1.0, (len(cells) - 1) / max(1, limit - 1))
        kept.update(cells[round(number * step)] for number in range(min(len(cells), limit)))
    return kept


def _place(item: pytest.Item) -> tuple[str, tuple[int, ...]]:
    """The test without its parameters, and the place of these among all, whatever order the tests are in."""
    call = getattr(item, "callspec", None)
    return item.nodeid.partition("[")[0], tuple(call.indices.values()) if call else ()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what the quick profile does not run."""
    is_left_out = collection_path.parent == _FOLDER and collection_path.name not in _QUICK_FOLDERS
    return True if is_left_out and config.getoption("--quick") else None


def pytest_xdist_auto_num_workers() -> int:
    """More than the cores, as most tests wait for a program, or for moments until a screen is idle."""
    return (os.cpu_count() or 1) + _MORE_WORKERS


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment, and have Textual read it again: the plugin for pictures has already imported it."""
    gc.disable()  # until all tests are collected, as these stay
    for name in list(os.environ):
        if name not in _INHERITED and not name.startswith(_INHERITED_PREFIXES):
            del os.environ[name]
    os.environ.update(_FIXED)
    sys.dont_write_bytecode = False  # or each worker compiles all tests again, which takes longer than collecting them
    importlib.reload(textual.constants)
    _share_parsed_stylesheets()
    _share_component_styles()
    _share_default_certificates()
    _share_parsed_urls()
    _remember_what_is_not_installed()
    _pass_on_no_ignored_signal()
    # The speed of an example depends on the load of the machine; speed is measured by benchmarks.
    # The same examples each time, or a change fails for what is not its own; `--hypothesis-seed` gives others.
    hypothesis.settings.register_profile(
        "any machine",
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        derandomize=config.getoption("--hypothesis-seed", None) is None,
    )
    hypothesis.settings.register_profile(
        "quick", parent=hypothesis.settings.get_profile("any machine"), max_examples=_QUICK_EXAMPLES
    )
    hypothesis.settings.load_profile("quick" if config.getoption("--quick") else "any machine")


def _pass_on_no_ignored_signal() -> None:
    """Let programs under test have the default action of each signal, as in a terminal.

    `nohup` and a shell's background jobs ignore some signals, which programs inherit. A function that does nothing is not inherited.
    """
    for number in signal.valid_signals() - {
        signal.SIGPIPE,
        signal.SIGXFSZ,
    }:  # Python ignores these, and `subprocess` resets them
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Take what is there for good, modules and thousands of collected tests, out of every search for garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_logfinish() -> None:
    """Delete the garbage of a test at once, and take what stays, such as Textual's caches, out of later searches for garbage."""
    gc.collect()
    gc.freeze()


def _remember_what_is_not_installed() -> None:
    """Let an import of `sniffio` fail at once: httpx tries it for each request within a process, and Python searches all folders."""
    if importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]


def _share_parsed_stylesheets() -> None:
    """Parse a stylesheet once for all apps of this process: the rules depend on its text and the variables only."""
    parse, parsed = Stylesheet._parse_rules, dict[Hashable, list[RuleSet]]()

    def parse_once(self: Stylesheet, *arguments: Any, **options: Any) -> list[RuleSet]:
        key = (*arguments, *sorted(options.items()), *sorted(self._variables.items()))
        if key not in parsed:
            parsed[key] = parse(self, *arguments, **options)
        return parsed[key]

    Stylesheet._parse_rules = parse_once  # type: ignore[method-assign]


def _share_component_styles() -> None:
    """Find the rules of a component class once for each place in a screen: three quarters of all searches for rules are for these."""
    apply, known = Stylesheet.apply, dict[Hashable, RulesMap]()

    def apply_once(self: Stylesheet, node: DOMNode, **options: Any) -> None:
        if type(node) is not DOMNode:  # a widget
            apply(self, node, **options)
            return
        rules = [rule for name in sorted(self.rules_map.keys() & node._selector_names) for rule in self.rules_map[name]]
        states = sorted({state for rule in rules for state in rule.pseudo_classes})
        path = (
            (type(place), place.id, place.classes, *map(place.has_pseudo_class, states))
            for place in node.css_path_nodes
        )
        key = (*rules, *path)
        if key in known:
            node.styles.base.merge_rules(known[key])
        else:
            apply(self, node, **options)
            known[key] = node.styles.base.get_rules()

    Stylesheet.apply = apply_once  # type: ignore[method-assign]


def _share_default_certificates() -> None:
    """Load the default certificates once: httpx does it for each client and each single request, which takes longer than these."""
    create, created = httpx.create_ssl_context, dict[Hashable, ssl.SSLContext]()

    def create_once(verify: ssl.SSLContext | str | bool = True, **options: Any) -> ssl.SSLContext:
        if verify is not True:
            return create(verify, **options)
        key = (*sorted(options.items()), os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        if key not in created:
            created[key] = create(verify, **options)
        return created[key]

    vars(httpx._transports.default)["create_ssl_context"] = create_once


def _share_parsed_urls() -> None:
    """Parse a URL once: httpx does it several times for each request, and requests of tests are much alike."""
    parse = lru_cache(maxsize=10_000)(httpx._urlparse.urlparse)
    for module in (httpx._urlparse, httpx._urls):
        vars(module)["urlparse"] = parse


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Paths of home folders. Pytest's own `mktemp` looks at all folders that it made before, thousands, for each new one."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder for the test."""
    folder = next(homes)
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(folder / name.lower()))
    return folder


@pytest.fixture(autouse=True, scope="session")
def migrated_database() -> Iterator[None]:
    """Make a new store in memory by copying one: its migrations take longer than most tests. Files are migrated."""
    recovery = importlib.import_module("upload_tui.monitor.store.recovery")
    migrate = recovery.migrate
    with closing(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)) as migrated:
        migrate(migrated)

        def copy_or_migrate(connection: sqlite3.Connection) -> None:
            if type(connection) is sqlite3.Connection and _is_new_in_memory(connection):
                migrated.backup(connection)
            migrate(connection)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recovery, "migrate", copy_or_migrate)
            yield


def _is_new_in_memory(connection: sqlite3.Connection) -> bool:
    (_, _, file), *_ = connection.execute("PRAGMA database_list")
    return not file and not connection.execute("SELECT 1 FROM sqlite_master").fetchone()


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Fail a test that connects to another machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if (
            self.family in (socket.AF_INET, socket.AF_INET6)
            and isinstance(address, tuple)
            and address[0] not in _LOOPBACK
        ):
            raise AssertionError(f"a test connects to {address[0]}")
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield
