"""The tables of the README that come from the program; `python -m tests.formats.readme` writes them anew."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from upload_tui.errors import EXIT_CODES
from upload_tui.monitor import METRICS
from upload_tui.settings import KEYS

__all__ = ["README", "with_tables"]

README = Path(__file__).parents[2] / "README.md"


def _settings() -> Iterator[Sequence[str]]:
    yield "key", "variable", "flag", "meaning"
    for key in KEYS:
        yield _code(key.name), _code(key.variable_name or ""), _code(key.flag), key.help


def _exit_codes() -> Iterator[Sequence[str]]:
    yield "code", "meaning"
    for code, meaning in EXIT_CODES.items():
        yield str(code), meaning


def _metrics() -> Iterator[Sequence[str]]:
    yield "metric", "kind", "labels", "meaning"
    for metric in METRICS:
        labels = (label for label in metric.labels if label != "project_name")
        yield _code(metric.name), metric.kind, " ".join(map(_code, labels)), metric.help


_TABLES: Mapping[str, Callable[[], Iterator[Sequence[str]]]] = {
    "Settings": _settings,
    "Exit codes": _exit_codes,
    "Metrics": _metrics,
}
"""The rows of the first table below each heading, the titles first."""


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _line(cells: Sequence[str]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |\n"


def with_tables(text: str) -> str:
    """The README with its tables as the program has them now."""
    for heading, rows in _TABLES.items():
        titles, *others = rows()
        table = "".join(map(_line, (titles, ["---"] * len(titles), *others)))
        pattern = rf"(\n## {heading}\n(?:(?!## |\|).*\n)*)(?:\|.*\|\n)+"
        text, count = re.subn(pattern, lambda found, table=table: found[1] + table, text, count=1)  # type: ignore[misc]
        assert count == 1, f"no table below {heading}"
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
