"""Stories that the embedded service can be told: real clients that send real bytes over its own API, at a story's pace.

Nothing here writes to the database. The same seed tells the same story: names, sizes, order, outcomes and times.
"""

from upload_tui.backend.scenarios.registry import SCENARIOS, Scenario, find_scenario

__all__ = ["SCENARIOS", "Scenario", "find_scenario"]
