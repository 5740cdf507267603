"""Suggestions for mistyped names."""

import re

import pytest

from upload_tui import errors
from upload_tui.errors import ServiceError, ThrottledError, UploadTuiError, did_you_mean


def kinds(kind: type[UploadTuiError] = UploadTuiError) -> list[type[UploadTuiError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in kinds(below))]


def test_the_tree_of_the_module_has_each_error_with_its_base_and_exit_code() -> None:
    above: dict[int, str] = {}
    documented = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ((?:│   |    )*(?:[├└]── )?)(\w+)(?: +(\d+) |$)", line):
            depth = len(found[1]) // 4
            above[depth] = found[2]
            documented[found[2]] = (above.get(depth - 1), int(found[3] or 2))
    assert documented.pop("UploadTuiError") == (None, 2)
    assert documented == {kind.__name__: (kind.__base__.__name__, kind.exit_code) for kind in kinds()[1:]}  # type: ignore[union-attr]


KNOWN = ("verified", "initiated", "error")


def test_the_most_similar_name_is_suggested() -> None:
    assert did_you_mean("verifed", KNOWN) == "Did you mean verified?"


def test_there_is_no_suggestion_for_a_name_unlike_any_other() -> None:
    assert did_you_mean("zzz", KNOWN) == ""
    assert did_you_mean("zzz", KNOWN, otherwise="Known names: a.") == "Known names: a."


@pytest.mark.parametrize("kind", [kind for kind in kinds() if issubclass(kind, ServiceError)])
def test_an_error_with_another_title_is_the_same_otherwise(kind: type[ServiceError]) -> None:
    error = kind("not read", "Try again.")
    error.status, error.is_transient = 503, not kind.is_transient
    other = error.with_title("Prot: not read")
    assert (type(other), other.exit_code, other.hint) == (kind, kind.exit_code, "Try again.")
    assert (other.status, other.is_transient) == (error.status, error.is_transient)
    assert (other.title, error.title) == ("Prot: not read", "not read")


def test_an_error_with_another_title_keeps_the_time_to_wait() -> None:
    assert ThrottledError("busy", retry_after_seconds=7).with_title("Prot: busy").retry_after_seconds == 7
