"""From httpx's errors and the service's error answers to our own; nothing outside this module names httpx's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLError

import httpx

from upload_tui.errors import (
    AuthError,
    BadRequestError,
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.wire import CODE_NOT_CONSISTENT, ErrorEnvelope, read_error_envelope

__all__ = ["raise_for_status", "translate_errors"]

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]*)?")
_MAX_RETRY_AFTER_SECONDS = 900.0
"""Whoever asks to be left alone for longer is asked after a quarter of an hour all the same."""


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Within this, what httpx raises about `url` comes out as one of ours."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise UnreachableError(f"No answer came in time from {url}", "Try again, or check the network.") from error
    except httpx.ConnectError as error:
        raise _connection_error(url, error) from error
    except httpx.ProxyError as error:
        raise UnreachableError(
            f"The proxy does not let us through to {url}: {error}", "Check HTTPS_PROXY and NO_PROXY."
        ) from error
    except httpx.HTTPStatusError as error:
        answer = error.response
        raise status_error(answer.status_code, answer.headers, answer.content, str(error.request.url)) from error
    except httpx.DecodingError as error:
        raise InvalidResponseError(
            f"An answer cannot be decoded: {url}", "Check that --url names the service."
        ) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise UnreachableError(f"No request can be sent to {url}", "Give one that begins with https://.") from error
    except httpx.HTTPError as error:
        raise UnreachableError(f"The connection broke to {url}", "Try again, or check the network.") from error


def _connection_error(url: str, error: httpx.ConnectError) -> UnreachableError:
    if isinstance(error.__cause__, SSLError) or "CERTIFICATE" in str(error).upper():
        return UnreachableError(
            f"There is no certificate that can be trusted at {url}", "Set ca_bundle, or check the URL."
        )
    if "name" in str(error).lower() or "getaddrinfo" in str(error):
        return UnreachableError(f"The name is not known in {url}", "Check the URL for a slip.")
    return UnreachableError(f"Nobody answers at {url}", "Check the URL, and that the service runs.")


def raise_for_status(status: int, headers: httpx.Headers, body: bytes, url: str) -> None:
    """Return if the answer is a good one.

    Raises:
        ServiceError: the one of the tree that the status and the envelope mean.
    """
    if not 200 <= status < 300:
        raise status_error(status, headers, body, url)


def status_error(status: int, headers: httpx.Headers, body: bytes, url: str) -> ServiceError:
    """The error that an answer's status and envelope mean."""
    error = _status_error(status, headers, body, url)
    error.status = status
    return error


def _status_error(status: int, headers: httpx.Headers, body: bytes, url: str) -> ServiceError:
    """The 404s are told apart by their code and suggestion."""
    fault = read_error_envelope(body)
    said = f": {fault.reason}" if fault.reason else ""
    if status in (401, 403):
        mend = "Check the token, or the keys of the profile." if status == 401 else "Ask for access to it."
        return AuthError(f"Not allowed ({status}{said}) at {url}", mend)
    if status == 404:
        return _not_found_error(fault, url, said)
    if status in (429, 503):
        wait = _retry_after_seconds(headers)
        return ThrottledError(
            f"The service is busy ({status}{said}) at {url}", "It is asked again later.", retry_after_seconds=wait
        )
    if status == 400:
        return BadRequestError(f"The request was refused (400{said}) by {url}", fault.suggestion)
    if status >= 500:
        return ServerError(
            f"The service has trouble of its own ({status}{said}) at {url}", "Try again in a few minutes."
        )
    return InvalidResponseError(
        f"An answer with the status {status} came from {url}", "Check that --url names the service."
    )


def _not_found_error(envelope: ErrorEnvelope, url: str, reason: str) -> ServiceError:
    if envelope.code == CODE_NOT_CONSISTENT:
        return NotConsistentError(f"Not to be seen yet: {url}", "Wait a moment and ask again.")
    if "object_kind" in envelope.suggestion:
        return ServerError(f"The service has trouble of its own (404{reason}) at {url}", "Try again in a few minutes.")
    if not envelope.reason:
        return InvalidResponseError(f"There is no such service at {url}", "Check that --url names the service.")
    return NotFoundError(f"Not there (404{reason}): {url}", "Check the id or the name.")


def _retry_after_seconds(headers: httpx.Headers) -> float | None:
    """As a number, or as a date, which is reckoned from the answer's own; nobody is made to wait longer than is sensible."""
    text = headers.get("retry-after", "").strip()
    if _DECIMAL.fullmatch(text):
        return min(float(text), _MAX_RETRY_AFTER_SECONDS)
    until, said_on = _parse_date(text), _parse_date(headers.get("date", ""))
    if until is None or said_on is None:
        return None
    return min(max((until - said_on).total_seconds(), 0.0), _MAX_RETRY_AFTER_SECONDS)


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
