"""The state model of an upload (DDS-902): stages, timelines, transitions, anomalies.

Pure: no input, no output, no clock of its own, and nothing imported from the other rooms but what lies below.
"""

from upload_tui.status.anomalies import Anomaly, AnomalyName, inspect_chunks, inspect_timeline
from upload_tui.status.stages import FINAL_STAGES, PENDING_STAGES, Stage
from upload_tui.status.timeline import Certainty, Event, Span, Timeline
from upload_tui.status.transitions import Transition, is_legal_step, transitions_between

__all__ = [
    "FINAL_STAGES",
    "PENDING_STAGES",
    "Anomaly",
    "AnomalyName",
    "Certainty",
    "Event",
    "Span",
    "Stage",
    "Timeline",
    "Transition",
    "inspect_chunks",
    "inspect_timeline",
    "is_legal_step",
    "transitions_between",
]
