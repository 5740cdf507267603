"""The state model of an upload (DDS-902): stages, timelines, transitions and anomalies.

Owns the meaning of an upload's status. Every package may import it. It does no I/O, has no clock, and does not know how a service
encodes a status (that is `wire`).
"""

from upload_tui.status.abilities import SOURCE_PREFIX, Ability, Origin
from upload_tui.status.anomalies import (
    FUTURE_TOLERANCE,
    Anomaly,
    AnomalyName,
    Transition,
    contradicts_itself,
    format_time,
    inspect_chunks,
    inspect_timeline,
    invalid_chunks,
    is_contradictory,
    is_unsafe,
    most_serious,
    transitions_between,
    was_superseded,
    was_taken_back,
)
from upload_tui.status.timeline import (
    ENDED_STATE,
    FINAL_STAGES,
    PENDING_STAGES,
    Certainty,
    Event,
    Span,
    Stage,
    Timeline,
    UnknownState,
)

__all__ = [
    "ENDED_STATE",
    "FINAL_STAGES",
    "FUTURE_TOLERANCE",
    "PENDING_STAGES",
    "SOURCE_PREFIX",
    "Ability",
    "Anomaly",
    "AnomalyName",
    "Certainty",
    "Event",
    "Origin",
    "Span",
    "Stage",
    "Timeline",
    "Transition",
    "UnknownState",
    "contradicts_itself",
    "format_time",
    "inspect_chunks",
    "inspect_timeline",
    "invalid_chunks",
    "is_contradictory",
    "is_unsafe",
    "most_serious",
    "transitions_between",
    "was_superseded",
    "was_taken_back",
]
