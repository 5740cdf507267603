"""An animated SVG of a recording, for a README or a talk: `python -m upload_tui.testing.animation RECORDING FILE.svg`.

Record what the dashboard saw with `upload-tui record`. The picture moves in browsers and on code hosts, without scripts.
"""

import argparse
import asyncio
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from upload_tui.testing.dashboards import dashboard, settled
from upload_tui.testing.sessions import replay_of
from upload_tui.tui import DEFAULT_THEME

__all__ = ["animate", "take_frames"]

_FRAME_SECONDS = 1.0
"""How long each frame is shown."""
_LAST_FRAME_SECONDS = 4.0
_LINE_HEIGHT = 24.4
_PART = re.compile(
    r'<rect [^>]*? y="(?P<rect_y>[\d.]+)"[^>]*/>|<text [^>]*? y="(?P<text_y>[\d.]+)".*?</text>', re.DOTALL
)
_MATRIX = re.compile(r'(?P<head>.*clip-path="url\(#[\w-]+-clip-terminal\)">)(?P<parts>.*)', re.DOTALL)
_RULE = re.compile(r"^\s*\.(?P<name>[\w-]+-r\d+) \{(?P<rule>.*?)\}\n?", re.MULTILINE)
_ID = re.compile(r"terminal-\d+-")


async def take_frames(
    recording: Path | str, *, size: tuple[int, int] = (100, 30), every_seconds: float = 2.0, theme: str = DEFAULT_THEME
) -> list[str]:
    """Screenshots of the dashboard as it replays a recording, one for every few seconds of the recording.

    Raises:
        StorageError: the file cannot be read or is not a recording.
    """
    session = replay_of(recording, until=0)
    begun_on, frames = session.connection().since, []
    app = dashboard(session, theme=theme, controls=session)
    async with app.run_test(size=size) as pilot:
        seconds = 0.0
        while True:
            await settled(pilot)
            frames.append(app.export_screenshot())
            if begun_on + timedelta(seconds=seconds) >= session.ends_on:
                break
            seconds += every_seconds
            session.seek(begun_on + timedelta(seconds=seconds))
    session.close()
    return frames


def animate(frames: Sequence[str]) -> str:
    """One SVG that shows these screenshots of Textual one after the other, for ever. A line that stays is stored once."""
    styles: dict[str, str] = {}
    lines_of_frames = [_lines_of(_named_alike(frame, styles)) for frame in frames]
    first = _MATRIX.match(_named_alike(frames[0], styles))
    assert first is not None  # noqa: S101  # a screenshot has one
    spans: dict[tuple[int, int], list[str]] = defaultdict(list)
    for number in sorted({number for lines in lines_of_frames for number in lines}):
        for start, end, line in _runs([lines.get(number, "") for lines in lines_of_frames]):
            spans[start, end].append(line)
    total = (len(frames) - 1) * _FRAME_SECONDS + _LAST_FRAME_SECONDS
    rules = [f".{name} {{{rule}}}" for rule, name in styles.items()]
    rules += [_keyframes(start, end, len(frames), total) for start, end in spans]
    groups = [f'<g class="{_span_name(*span)}">{"".join(lines)}</g>' for span, lines in spans.items()]
    head = _RULE.sub("", first["head"]).replace("</style>", "\n".join([*rules, "</style>"]), 1)
    return "\n".join([head, '<g class="terminal-matrix">', *groups, "</g></g></svg>", ""])


def _named_alike(frame: str, styles: dict[str, str]) -> str:
    """A frame whose names of styles are those of all frames: one for each rule."""
    frame = _ID.sub("terminal-", frame)
    names = {rule["name"]: styles.setdefault(rule["rule"], f"s{len(styles)}") for rule in _RULE.finditer(frame)}
    return re.sub(r'class="(terminal-r\d+)"', lambda match: f'class="{names[match[1]]}"', frame)


def _lines_of(frame: str) -> Mapping[int, str]:
    """What is drawn on each line of the terminal, from 0: backgrounds, then texts."""
    matrix = _MATRIX.match(frame)
    lines: dict[int, str] = defaultdict(str)
    for part in _PART.finditer(matrix["parts"] if matrix else ""):
        y = float(part["rect_y"]) - 1.5 if part["rect_y"] else float(part["text_y"]) - 20
        lines[round(y / _LINE_HEIGHT)] += part[0]
    return lines


def _runs(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield each line with the first frame that has it and the first that no longer does."""
    start = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or lines[end] != lines[start]:
            if lines[start]:
                yield start, end, lines[start]
            start = end


def _span_name(start: int, end: int) -> str:
    return f"f{start}-{end}"


def _keyframes(start: int, end: int, count: int, total_seconds: float) -> str:
    """The rules that show a group from one frame to another; none are needed if it is always shown."""
    name = _span_name(start, end)
    if (start, end) == (0, count):
        return ""
    shown, hidden = (100 * frame * _FRAME_SECONDS / total_seconds for frame in (start, end))
    steps = [] if start == 0 else ["0% {visibility: hidden}"]
    steps.append(f"{shown:.3f}% {{visibility: visible}}")
    steps += [] if end == count else [f"{hidden:.3f}% {{visibility: hidden}}"]
    steps.append(f"100% {{visibility: {'visible' if end == count else 'hidden'}}}")
    return (
        f".{name} {{animation: {name} {total_seconds:g}s step-end infinite}}\n@keyframes {name} {{{' '.join(steps)}}}"
    )


def _parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m upload_tui.testing.animation", description=__doc__)
    parser.add_argument("recording", type=Path, help="a file of upload-tui record")
    parser.add_argument("file", type=Path, help="the SVG to write")
    parser.add_argument("--size", type=_parse_size, default=(100, 30), metavar="WxH", help="of the terminal; 100x30")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="time between two pictures; 2")
    parser.add_argument("--theme", default=DEFAULT_THEME)
    given = parser.parse_args()
    frames = asyncio.run(take_frames(given.recording, size=given.size, every_seconds=given.every, theme=given.theme))
    given.file.write_text(animate(frames), encoding="utf-8")


if __name__ == "__main__":
    _main()
