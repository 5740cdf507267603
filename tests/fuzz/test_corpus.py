"""What the fuzzers start from, and what they found."""

from pathlib import Path

import pytest

from tests.fuzz.targets import CORPUS, PROPERTIES, TARGETS, property_target


@pytest.mark.parametrize(
    ("name", "file"),
    [(folder.name, file) for folder in sorted(CORPUS.iterdir()) for file in sorted(folder.iterdir())],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_no_input_of_the_corpus_fails_again(name: str, file: Path) -> None:
    target = TARGETS[name] if name in TARGETS else property_target(PROPERTIES[name])
    target(file.read_bytes())


def test_each_target_and_each_property_has_a_corpus() -> None:
    """Without one, a fuzzer starts from random bytes."""
    assert {folder.name for folder in CORPUS.iterdir()} == TARGETS.keys() | PROPERTIES.keys()
