"""The stories by name, with what each shows; imports nothing, so that a command line can list them."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DEFAULT_HISTORY_UPLOADS", "DEFAULT_SCENARIO", "MAX_HISTORY_UPLOADS", "SCENARIO_DESCRIPTIONS"]

DEFAULT_SCENARIO = "tour"

DEFAULT_HISTORY_UPLOADS = 10_000
MAX_HISTORY_UPLOADS = 1_000_000

SCENARIO_DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "tour": "every stage, an error of each kind and a slow verification within half a minute",
        "quiet": "one upload now and then, all is well",
        "steady": "an upload every few seconds, one in ten fails",
        "rush": "hundreds of uploads at once",
        "stuck": "the verification worker stops",
        "corrupt": "one of every integrity failure",
        "outage": "the service is down for a while, then recovers, again and again",
        "history": "a year of finished uploads (--uploads), imported, then one now and then",
        "flaky": "faults of network and storage come and go",
    }
)
