"""Suggestions for mistyped names."""

from upload_tui.errors import did_you_mean

KNOWN = ("verified", "initiated", "error")


def test_the_most_similar_name_is_suggested() -> None:
    assert did_you_mean("verifed", KNOWN) == "Did you mean verified?"


def test_there_is_no_suggestion_for_a_name_unlike_any_other() -> None:
    assert did_you_mean("zzz", KNOWN) == ""
    assert did_you_mean("zzz", KNOWN, otherwise="Known names: a.") == "Known names: a."
