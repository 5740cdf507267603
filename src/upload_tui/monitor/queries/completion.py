"""Completion of a query while it is typed: earlier queries first, then fields and the values of fields."""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from upload_tui.monitor.queries.terms import FIELDS, NUMBER_FIELDS, STAGE_NAMES, State

__all__ = ["Completion", "complete_query"]

_LAST_TERM = re.compile(r"(?:^|[\s(])-?(?:([A-Za-z]+)(?:!=|[:=]))?([^\s(),:=<>\"]*)$")
_LAST_VALUE = re.compile(r"(?:^|[\s(])-?([A-Za-z]+)(?:!=|>=|<=|[:=<>])[^\s()\"]*$")
_VALUES: Mapping[str, Sequence[str]] = {"stage": STAGE_NAMES, "is": tuple(State)}


class Completion(Struct, frozen=True):
    """A completed text, and a line of help for the field that is being typed; each is empty if there is none."""

    text: str = ""
    help: str = ""


def complete_query(text: str, history: Sequence[str] = ()) -> Completion:
    """Complete a text; `history` are earlier queries, the last one first."""
    earlier = next((one for one in history if text and one.startswith(text) and one != text), "")
    value = _LAST_VALUE.search(text)
    name = value[1].lower() if value else ""
    match = _LAST_TERM.search(text)
    found = next(_candidates(match[1], match[2]), "") if match else ""
    if name not in FIELDS:
        name = re.split(r"[:>]", found)[0] if match and not match[1] else ""
    completed = text + found[len(match[2]) :] if match and found else ""
    return Completion(earlier or completed, f"{name}: {FIELDS[name]}" if name in FIELDS else "")


def _candidates(field: str | None, beginning: str) -> Iterator[str]:
    """The field names, or the values of a field, that begin so."""
    names = [f"{name}{'>' if name in NUMBER_FIELDS else ':'}" for name in FIELDS]
    candidates = names if field is None else _VALUES.get(field.lower(), ())
    is_enough = len(beginning) > (field is None)  # one letter begins many words
    return (one for one in candidates if is_enough and one.startswith(beginning.lower()) and one != beginning)
