"""What the fuzzers start from, and what they found."""

from pathlib import Path

import pytest

from tests.fuzz.targets import CORPUS, TARGETS


@pytest.mark.parametrize(
    ("name", "file"),
    [(name, file) for name in TARGETS for file in sorted((CORPUS / name).iterdir())],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_the_corpus(name: str, file: Path) -> None:
    TARGETS[name](file.read_bytes())
