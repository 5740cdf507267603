"""The scenarios by name and description. Imports nothing, so that a command line can list them."""

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
