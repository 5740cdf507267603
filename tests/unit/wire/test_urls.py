"""The command that requests an upload from a shell."""

import shlex

import pytest

from upload_tui.wire import curl_command


@pytest.mark.parametrize(
    ("root", "is_direct"),
    [
        ("http://localhost:8902", True),
        ("http://127.0.0.1:8902", True),
        ("http://[::1]:8902", True),
        ("https://dds.test", False),
        ("http://[bad", False),
    ],
)
def test_the_token_of_a_service_on_loopback_goes_to_no_proxy(root: str, is_direct: bool) -> None:
    words = shlex.split(curl_command(root, "u 1\n;"))
    assert ("--noproxy" in words) == is_direct
    assert words[-1] == f"{root}/api/v1/uploads/u%201%0A%3B"
