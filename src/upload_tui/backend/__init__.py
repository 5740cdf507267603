"""The embedded service: the whole wire contract in one process, for the demo, `serve`, tests and clients under test.

It owns its database, its storage, the verification worker, the endpoints, injected faults and scenarios. `cli` starts it and
`testing` wraps it. It must not know the client, the monitor or the dashboard: they talk to it over HTTP only.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.backend.faults import FAULT_DESCRIPTIONS, LARGEST_VALUE, FaultName, Faults
    from upload_tui.backend.scenarios import (
        DEFAULT_HISTORY_UPLOADS,
        DEFAULT_SCENARIO,
        MAX_HISTORY_UPLOADS,
        SCENARIO_DESCRIPTIONS,
    )
    from upload_tui.backend.scenarios.runner import ScenarioRunner
    from upload_tui.backend.scenarios.scripts import SCENARIOS, Scenario
    from upload_tui.backend.server import http_server
    from upload_tui.backend.service import EmbeddedService, ServiceOptions
    from upload_tui.backend.store.records import FinishedUpload
    from upload_tui.backend.worker import RETRY_SECONDS

__all__ = [
    "DEFAULT_HISTORY_UPLOADS",
    "DEFAULT_SCENARIO",
    "FAULT_DESCRIPTIONS",
    "LARGEST_VALUE",
    "MAX_HISTORY_UPLOADS",
    "RETRY_SECONDS",
    "SCENARIOS",
    "SCENARIO_DESCRIPTIONS",
    "EmbeddedService",
    "FaultName",
    "Faults",
    "FinishedUpload",
    "Scenario",
    "ScenarioRunner",
    "ServiceOptions",
    "http_server",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "faults": "FAULT_DESCRIPTIONS FaultName Faults LARGEST_VALUE",
        "scenarios": "DEFAULT_HISTORY_UPLOADS DEFAULT_SCENARIO MAX_HISTORY_UPLOADS SCENARIO_DESCRIPTIONS",
        "scenarios.runner": "ScenarioRunner",
        "scenarios.scripts": "Scenario SCENARIOS",
        "server": "http_server",
        "service": "EmbeddedService ServiceOptions",
        "store.records": "FinishedUpload",
        "worker": "RETRY_SECONDS",
    },
)
