"""Which exit code a command has if several apply."""

from itertools import product

import pytest

from upload_tui.cli.exit_codes import exit_code, exit_code_of_outcomes
from upload_tui.errors import EXIT_AUTH, EXIT_FAILED_UPLOAD, EXIT_NOT_FOUND, EXIT_OK, EXIT_UNREACHABLE, AuthError
from upload_tui.monitor import Outcome

IN_ORDER = {
    "has_failed": EXIT_FAILED_UPLOAD,
    "error": EXIT_AUTH,
    "is_missing": EXIT_NOT_FOUND,
    "is_incomplete": EXIT_UNREACHABLE,
}


@pytest.mark.parametrize("applies", product([False, True], repeat=len(IN_ORDER)))
def test_the_first_that_applies_gives_the_exit_code(applies: tuple[bool, ...]) -> None:
    found = dict(zip(IN_ORDER, applies, strict=True))
    error = AuthError("no access") if found.pop("error") else None
    expected = next((code for code, does in zip(IN_ORDER.values(), applies, strict=True) if does), EXIT_OK)
    assert exit_code(error=error, **found) == expected


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], EXIT_OK),
        ([Outcome.REACHED, Outcome.PENDING], EXIT_OK),
        ([Outcome.REACHED, Outcome.UNREADABLE], EXIT_UNREACHABLE),
        ([Outcome.UNREADABLE, Outcome.GONE], EXIT_NOT_FOUND),
        ([Outcome.UNREADABLE, Outcome.GONE, Outcome.MISSED], EXIT_FAILED_UPLOAD),
    ],
)
def test_uploads_that_were_waited_for_give_one_exit_code(outcomes: list[Outcome], code: int) -> None:
    assert exit_code_of_outcomes(outcomes) == code
