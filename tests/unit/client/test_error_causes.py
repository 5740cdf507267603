"""The cause of an error says what its title says, in parts and without the URL."""

import json
import socket
import ssl
from collections.abc import Callable

import httpx
import pytest

from upload_tui.client.error_mapping import add_url_to_errors, raise_for_status, translate_errors
from upload_tui.errors import Cause, InvalidResponseError, ServiceError

URL = "https://example.org:8443/api/v1/projects/7b2c/uploads?page=1"
BODIES = {
    "nothing": {},
    "a reason": {"reason": "no room left"},
    "not consistent": {"code": "resource_not_consistent"},
    "an internal error": {"reason": "no room left", "suggestion": "set object_kind"},
}


def raised(call: Callable[[], object]) -> ServiceError:
    with pytest.raises(ServiceError) as error:
        call()
    return error.value


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("url", [URL, "https://example.org:8443/api/v1/projects"])
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504])
def test_the_cause_of_a_response_has_its_status_and_reason_but_no_url(
    status: int, url: str, body: dict[str, str]
) -> None:
    error = raised(lambda: raise_for_status(status, httpx.Headers(), json.dumps(body).encode(), url))
    words, of_cause, details = error.cause
    assert error.title.startswith(words)
    assert "https:" not in words
    assert of_cause in {None, status}
    assert details in {"", body.get("reason")}
    assert (str(status) in error.title) is (of_cause is not None or str(status) in words)
    assert ("no room left" in error.title) is (details == "no room left")


@pytest.mark.parametrize(
    ("status", "is_transient"),
    [(400, False), (401, False), (404, False), (500, False), (501, False), (502, True), (504, True)],
)
def test_what_a_gateway_answers_may_pass(status: int, *, is_transient: bool) -> None:
    error = raised(lambda: raise_for_status(status, httpx.Headers(), b"{}", URL))
    assert (error.status, error.is_transient) == (status, is_transient)


def connect_error(cause: OSError) -> httpx.ConnectError:
    """What httpx raises for a failure of the operating system."""
    error = httpx.ConnectError(str(cause))
    error.__cause__ = cause
    return error


OF_NETWORK = [*httpx.NetworkError.__subclasses__(), *httpx.ProtocolError.__subclasses__()]
LOST_CONNECTIONS = [kind for kind in OF_NETWORK if kind is not httpx.ConnectError]


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        *((kind(""), Cause("No answer in time")) for kind in httpx.TimeoutException.__subclasses__()),
        (connect_error(ssl.SSLCertVerificationError()), Cause("Certificate not trusted")),
        (connect_error(socket.gaierror()), Cause("Unknown host")),
        (httpx.ConnectError("no route"), Cause("Cannot connect")),
        (httpx.ProxyError("502"), Cause("The proxy refused the connection", details="502")),
        (httpx.DecodingError(""), Cause("The response cannot be decoded")),
        (httpx.UnsupportedProtocol(""), Cause("Invalid URL")),
        *((kind(""), Cause("Connection lost")) for kind in LOST_CONNECTIONS),
    ],
    ids=lambda one: type(one).__name__,
)
def test_the_cause_of_a_failed_request_has_no_url(failure: httpx.HTTPError, cause: Cause) -> None:
    def fail() -> None:
        with translate_errors(URL):
            raise failure

    error = raised(fail)
    assert error.cause == cause
    assert URL in error.title


def test_an_error_that_gets_its_url_later_keeps_its_cause() -> None:
    def fail() -> None:
        with add_url_to_errors(URL):
            raise InvalidResponseError("The response is not JSON")

    error = raised(fail)
    assert error.cause == Cause("The response is not JSON")
    assert error.title == f"The response is not JSON ({URL})"
