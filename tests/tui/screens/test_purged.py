"""That the stored data of an upload were deleted is one word with one time, wherever it is shown."""

from datetime import timedelta
from typing import Any

import pytest
from textual.widgets import Static

from tests.tui.dashboards import opened, until
from upload_tui.cli.commands.show import upload_lines
from upload_tui.cli.support.tables import change_columns, upload_columns
from upload_tui.monitor import (
    Query,
    UploadChange,
    UploadPurged,
    change_record,
    full_upload_record,
    upload_record,
)
from upload_tui.testing import NOW, an_upload
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import HangingLines
from upload_tui.tui.widgets.change_text import change_pieces
from upload_tui.tui.widgets.timeline_view import timeline_lines
from upload_tui.wire import StatusShape, format_time

_OPTIONS = DisplayOptions()
_PURGED_ON = NOW + timedelta(seconds=3)
_READ_ON = NOW + timedelta(seconds=90)


def an_old_upload(stages: dict[str, float], *, is_purged: bool, is_dated: bool = True) -> dict[str, Any]:
    upload = an_upload("scan.tiff", **stages, status_shape=StatusShape.DEPLOYED)  # type: ignore[arg-type]
    if is_purged:
        upload["status"]["purged_on"] = format_time(_PURGED_ON) if is_dated else "then"
    return upload


def has_word(line: str) -> bool:
    """Whether a line says it; that of an anomaly has the name of the field."""
    return "purged" in line.replace(";", "").split()


@pytest.mark.parametrize("is_restarted", [False, True], ids=["seen", "after a restart"])
@pytest.mark.parametrize("is_dated", [True, False], ids=["with its time", "at an unknown time"])
@pytest.mark.parametrize(
    "stages",
    [{"initiated": 90}, {"completed": 60}, {"completed": 60, "verified": 40}, {"completed": 60, "error": 40}],
    ids=lambda stages: [*stages][-1],
)
async def test_a_purge_has_one_time_and_one_word(stages: dict[str, float], is_dated: bool, is_restarted: bool) -> None:
    purged = an_old_upload(stages, is_purged=True, is_dated=is_dated)
    async with opened([purged if is_restarted else an_old_upload(stages, is_purged=False)]) as (pilot, session, _):
        session.clock.advance(90)
        if not is_restarted:
            session.publish(purged)
        clocks = {f"{on.astimezone():%H:%M:%S}" for on in (_PURGED_ON, _READ_ON)}
        clock = f"{(_PURGED_ON if is_dated else _READ_ON).astimezone():%H:%M:%S}"
        changes = [one for one in session.changes.history(9) if isinstance(one, UploadPurged)]
        assert len(changes) == (0 if is_restarted else 1)
        for change in changes:
            tail = [column.text(change_record(change)) for column in change_columns(None)]
            assert tail[0].endswith(clock)
            assert tail[1].strip() == "purged"
            for width in (60, 120):
                activity = "".join(text for text, _ in change_pieces(change, _READ_ON, _OPTIONS, width))
                assert clock in activity
                assert activity.count("purged") == 1
                assert "deleted" not in activity

        (detail,) = session.picture.details(Query())
        timeline = [line.plain for line in timeline_lines(detail, _READ_ON, _OPTIONS, 60)]
        (shown,) = [line for line in timeline if has_word(line)]
        assert shown.split()[2:] == ([clock] if is_dated else [])
        show = [line.split() for line in upload_lines(full_upload_record(detail, {}), None)]
        (printed,) = [words for words in show if words[0] == "purged"]
        assert printed[-1] == (clock if is_dated else "?")
        note = next(one for one in upload_columns(None, lambda: _READ_ON) if one.title == "NOTE")
        assert "purged" in note.text(upload_record(detail))

        await pilot.press("h")
        text = pilot.app.screen.query_one(Static)
        await until(pilot, lambda: isinstance(text.visual, HangingLines))
        assert isinstance(text.visual, HangingLines)
        history = [line for line in text.visual.wrapped(100).plain.splitlines() if has_word(line)]
        assert len(history) == 1
        assert "deleted" not in history[0]
        assert [one in history[0] for one in sorted(clocks)] == [
            one == clock and not (is_restarted and not is_dated) for one in sorted(clocks)
        ]


def test_each_change_with_a_time_of_its_own_happened_then() -> None:
    """Of all kinds of changes, also those to come."""
    kinds = [kind for kind in UploadChange.__subclasses__() if "on" in kind.__struct_fields__]
    assert UploadPurged in kinds
    values: dict[str, Any] = dict.fromkeys(name for kind in kinds for name in kind.__struct_fields__)
    for kind in kinds:
        change = kind(**{**{name: values[name] for name in kind.__struct_fields__}, "at": _READ_ON, "on": _PURGED_ON})
        assert change.happened_on == _PURGED_ON
