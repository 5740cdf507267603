"""Timelines for the tests of this package."""

from datetime import UTC, datetime, timedelta

from upload_tui.status import Anomaly, Event, Stage, Timeline

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def timeline(*stages: Stage, step: float = 10) -> Timeline:
    """A timeline that starts at noon and reaches a stage every `step` seconds."""
    return Timeline(tuple(Event(stage, at(index * step)) for index, stage in enumerate(stages)))


def names(anomalies: tuple[Anomaly, ...]) -> set[str]:
    return {anomaly.name for anomaly in anomalies}


COMPLETED = timeline(Stage.INITIATED, Stage.COMPLETED)
VERIFIED = timeline(Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED)
