"""The first frame of the dashboard needs few modules: each one more delays every start."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

_PROGRAM = """
import asyncio, json, os, sys
import textual.app, textual.widgets._data_table
from textual.drivers.headless_driver import HeadlessDriver

class Driver(HeadlessDriver):
    is_headless = False  # otherwise Textual paints nothing

    def write(self, data):
        if len(data) > 1000:
            missing = [title for title in TITLES if title not in data]
            print(json.dumps([missing, [*{*sys.modules} - before]]), file=sys.__stdout__, flush=True)
            os._exit(0)

TITLES = "initiated", "completed", "verified", "error", "Uploads", "Timeline", "Waiting", "Activity", "Loading"

before = {*sys.modules}
from upload_tui.cli.group import run
run(sys.argv[1:])
"""
"""Prints the titles that the first frame lacks, and the modules that were imported until then, beside those of a bare app."""

_NOT_OURS = {"click", "gc", "gettext", "hashlib", "msgspec", "rich", "shlex", "textual"}
_SHUTIL = {"bz2", "lzma", "random", "shutil", "tempfile"}
"""Newer versions of Textual and platformdirs load these as well."""
_ALWAYS = """
    addresses clock errors files lazy processes redaction threads
    cli.group cli.support.dashboard cli.support.environment cli.support.error_reporting cli.support.options cli.support.output
    cli.support.preferences cli.support.signals cli.support.streams cli.support.user_commands cli.support.visits
    settings.keys settings.layers settings.service_settings
    status.abilities status.anomalies status.timeline
    text.causes text.folding text.quantities text.sanitizer
    wire.resources wire.status_shapes wire.times wire.upload
    monitor.ages monitor.analysis.statistics monitor.analysis.trouble monitor.changes monitor.model monitor.notices monitor.picture
    monitor.since monitor.queries.query
    monitor.sessions.connection monitor.sessions.deferred monitor.sessions.schedule monitor.sessions.session
    tui.alerts tui.app tui.base_app tui.bindings tui.bridge tui.command_app tui.controls tui.fitting tui.key_queue tui.playback_app
    tui.preferences tui.upload_commands
    tui.appearance.columns tui.appearance.display_options tui.appearance.glyphs tui.appearance.project_names
    tui.appearance.theme
    tui.screens.dashboard tui.screens.query_screen tui.screens.session_screen tui.screens.views
    tui.widgets.activity_pane tui.widgets.alarm_bar tui.widgets.cached_lines tui.widgets.change_text
    tui.widgets.chunk_strip tui.widgets.chunk_summary tui.widgets.cursor_lines tui.widgets.footer tui.widgets.funnel
    tui.widgets.pending_list tui.widgets.pending_text tui.widgets.status_bar tui.widgets.timeline_view
    tui.widgets.table.cells tui.widgets.table.query_text
    tui.widgets.table.row_cursor tui.widgets.table.row_list tui.widgets.table.row_painter tui.widgets.table.row_window
    tui.widgets.table.upload_table
"""
_DEMO = "backend.scenarios.catalogue cli.commands.demo cli.support.scenarios"
_WATCH = """
    cli.access.access cli.access.service cli.commands.watch
    monitor.analysis.worker_health monitor.queries.matching monitor.store_picture
    monitor.store.acknowledgements monitor.store.aggregates monitor.store.bulk monitor.store.conditions
    monitor.store.database monitor.store.keyset_paging
    monitor.store.partitions monitor.store.query monitor.store.recovery monitor.store.row_finder monitor.store.rows
    monitor.store.schema.bulk_lease monitor.store.schema.indexes monitor.store.schema.migrations monitor.store.schema.pages
    monitor.store.search monitor.store.store monitor.store.trouble_first
    monitor.sync.state monitor.trouble_rules
"""


@pytest.mark.parametrize(
    ("command", "more", "packages"),
    [(["demo"], _DEMO, set()), (["watch", "--url", "http://127.0.0.1:9"], _WATCH, {"sqlite3"})],
    ids=["demo", "watch"],
)
def test_the_first_frame_has_all_titles_and_imports_only_what_it_shows(
    command: Sequence[str], more: str, packages: set[str], tmp_path: Path
) -> None:
    environment = {
        **os.environ, "HOME": str(tmp_path), "UPLOAD_TUI_TOKEN": "t", "TEXTUAL_DRIVER": "__main__:Driver",
        "COLUMNS": "120", "LINES": "40",
    }  # fmt: skip
    program = [sys.executable, "-c", _PROGRAM, *command]
    output = subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout
    assert output, "the program painted no frame"
    missing, imported = json.loads(output)
    assert missing == []
    modules = {module for module in imported if not module.startswith("_")}
    allowed = {f"upload_tui.{module}" for module in (_ALWAYS + more).split()}
    ours = {module for module in modules if module.startswith("upload_tui.") and not _is_package(module)}
    assert " ".join(sorted(ours - allowed)) == ""
    assert {module.partition(".")[0] for module in modules} - {"upload_tui"} <= _NOT_OURS | _SHUTIL | packages


def _is_package(module: str) -> bool:
    return Path(__file__).resolve().parents[2].joinpath("src", *module.split(".")).is_dir()
