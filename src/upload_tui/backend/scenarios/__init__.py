"""Scenarios: scripted sequences of uploads and faults; simulated clients send real bytes over the service's API.

Only `history` writes to the database directly: it imports finished uploads without bytes. The same seed gives the same names,
sizes, order, outcomes and times. The package has the names and descriptions alone, so that a command line can list them; `scripts`
runs the scenarios.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DEFAULT_HISTORY_UPLOADS", "DEFAULT_SCENARIO", "MAX_HISTORY_UPLOADS", "SCENARIO_DESCRIPTIONS"]

DEFAULT_SCENARIO = "tour"

DEFAULT_HISTORY_UPLOADS = 10_000
MAX_HISTORY_UPLOADS = 1_000_000

SCENARIO_DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "tour": "every stage, an error of each kind and a slow verification within half a minute",
        "quiet": "an upload now and then, no failures",
        "steady": "an upload every few seconds, one in ten fails",
        "rush": "hundreds of uploads at once",
        "stuck": "the verification worker stops",
        "corrupt": "one upload of each integrity failure",
        "outage": "the service goes down and recovers, again and again",
        "history": "a year of finished uploads (--uploads), then one now and then",
        "flaky": "network and storage faults come and go",
    }
)
