"""How `show` writes the times of a timeline."""

from datetime import UTC

import pytest

from upload_tui.cli.commands.show import time_text

ON, EARLIEST, LATEST = (f"2026-03-14T09:26:{second}.000Z" for second in (30, 20, 40))


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ((ON, "reported", None, None), "2026-03-14 09:26:30"),
        ((ON, "estimated", None, None), "~2026-03-14 09:26:30"),
        ((ON, "estimated", None, LATEST), "~2026-03-14 09:26:30 (before 2026-03-14 09:26:40)"),
        ((ON, "estimated", EARLIEST, None), "~2026-03-14 09:26:30 (after 2026-03-14 09:26:20)"),
        (
            (ON, "estimated", EARLIEST, LATEST),
            "~2026-03-14 09:26:30 (after 2026-03-14 09:26:20 and before 2026-03-14 09:26:40)",
        ),
        ((None, "observed", EARLIEST, LATEST), "between 2026-03-14 09:26:20 and 2026-03-14 09:26:40"),
        ((None, "observed", None, LATEST), "before 2026-03-14 09:26:40"),
        ((None, "reported", None, None), "?"),
    ],
)
def test_a_time_has_its_bounds(event: tuple[str | None, str, str | None, str | None], text: str) -> None:
    assert time_text(dict(zip(("on", "certainty", "earliest", "latest"), event, strict=True)), UTC) == text
