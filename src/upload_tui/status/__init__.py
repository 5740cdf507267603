"""The state model of an upload (DDS-902): stages, timelines, transitions and anomalies.

Owns the meaning of an upload's status. Every package may import it. It does no I/O, has no clock, and does not know how a service
encodes a status (that is `wire`).
"""

from upload_tui.status.anomalies import FUTURE_TOLERANCE, Anomaly, AnomalyName, inspect_chunks, inspect_timeline
from upload_tui.status.stages import FINAL_STAGES, PENDING_STAGES, Stage
from upload_tui.status.timeline import Certainty, Event, Span, Timeline, UnknownState
from upload_tui.status.transitions import Transition, transitions_between

__all__ = [
    "FINAL_STAGES",
    "FUTURE_TOLERANCE",
    "PENDING_STAGES",
    "Anomaly",
    "AnomalyName",
    "Certainty",
    "Event",
    "Span",
    "Stage",
    "Timeline",
    "Transition",
    "UnknownState",
    "inspect_chunks",
    "inspect_timeline",
    "transitions_between",
]
