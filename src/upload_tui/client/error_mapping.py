"""Translate httpx's errors and the service's error responses into `upload_tui.errors`."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from socket import gaierror
from ssl import SSLCertVerificationError
from typing import TypeVar

import httpx

from upload_tui.errors import (
    AuthError,
    BadRequestError,
    Cause,
    ForeignPageError,
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    SettingsError,
    ThrottledError,
    UnreachableError,
    UploadTuiError,
)
from upload_tui.wire import API_PATH, CODE_NOT_CONSISTENT, ErrorEnvelope, parse_body, parse_error_envelope

__all__ = [
    "add_url_to_errors",
    "certificates_error",
    "key_log_error",
    "raise_for_status",
    "translate_errors",
    "translate_setup_errors",
]

ServiceErrorT = TypeVar("ServiceErrorT", bound=ServiceError)

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]*)?")
_MAX_RETRY_AFTER_SECONDS = 900.0
"""A service that asks for a longer wait is asked again after a quarter of an hour."""
_CHECK_NETWORK = "Try again, or check the network."
_CHECK_URL = "Check that --url names the service."
_TRY_LATER = "Try again in a few minutes."
_GATEWAY_STATUSES = (502, 504)
"""Something in front of the service answers while the service does not, as during its restart."""
_IGNORED_BYTES = b" \t\r\n\xef\xbb\xbf"
_JSON_STARTS = (b"{", b"[")
"""How each response of the service begins. If the rest cannot be read, a single upload may be the reason."""


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Translate what httpx raises during a request to `url`."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise _error_at(url, UnreachableError, Cause("No answer in time"), _CHECK_NETWORK) from error
    except httpx.ConnectError as error:
        raise _connection_error(url, error) from error
    except httpx.ProxyError as error:
        cause = Cause("The proxy refused the connection", details=str(error))
        title = f"{cause.words} to {url}: {error}"
        raise UnreachableError(title, "Check HTTPS_PROXY and NO_PROXY.", cause=cause) from error
    except httpx.HTTPStatusError as error:
        response = error.response
        raise _status_error(response.status_code, response.headers, response.content, str(error.request.url)) from error
    except httpx.DecodingError as error:
        raise _error_at(url, InvalidResponseError, Cause("The response cannot be decoded"), _CHECK_URL) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _error_at(url, UnreachableError, Cause("Invalid URL"), "Use one that starts with https://.") from error
    except httpx.HTTPError as error:
        raise _error_at(url, UnreachableError, Cause("Connection lost"), _CHECK_NETWORK) from error


@contextmanager
def translate_setup_errors() -> Iterator[None]:
    """Translate the errors of creating an httpx client, which reads proxies and certificates from the environment."""
    try:
        yield
    except (ImportError, ValueError) as error:
        raise UnreachableError(f"The proxy cannot be used: {error}", "Check HTTPS_PROXY and ALL_PROXY.") from error
    except OSError as error:
        raise certificates_error(error) from error


def key_log_error(error: OSError) -> SettingsError | None:
    """The error of creating a TLS context if it is about the file of SSLKEYLOGFILE; None otherwise."""
    if not error.filename or error.filename != os.environ.get("SSLKEYLOGFILE"):
        return None
    return SettingsError(f"SSLKEYLOGFILE cannot be written: {error.strerror}", "Correct or unset it.")


def certificates_error(error: OSError) -> UploadTuiError:
    """The error of creating a TLS context, which opens the files that variables name: they are part of the configuration."""
    if key_log := key_log_error(error):
        return key_log
    name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "")
    if not name:
        return UnreachableError(f"The trusted certificates cannot be read: {error.strerror}", "Install them again.")
    return SettingsError(f"The certificates of {name} cannot be read", "Correct or unset it.")


@contextmanager
def add_url_to_errors(url: str) -> Iterator[None]:
    """Add the URL to an `InvalidResponseError`."""
    try:
        yield
    except InvalidResponseError as error:
        raise InvalidResponseError(f"{error.title} ({url})", _CHECK_URL, cause=error.cause) from error


def raise_for_status(status: int, headers: httpx.Headers, body: bytes, url: str) -> None:
    """Raise the `ServiceError` of an error response, or of a page that the service did not send; return if it is a success."""
    if not 200 <= status < 300:
        raise _status_error(status, headers, body, url)
    if not body.lstrip(_IGNORED_BYTES).startswith(_JSON_STARTS):
        try:
            parse_body(body)  # a number, say
        except InvalidResponseError as error:
            hint = "Try again in a few minutes, or check that --url names the service."
            raise _error_at(url, ForeignPageError, Cause("The response is another page, not JSON"), hint) from error


def _connection_error(url: str, error: httpx.ConnectError) -> UnreachableError:
    causes = [*_causes(error)]
    if any(isinstance(cause, SSLCertVerificationError) for cause in causes):
        return _error_at(url, UnreachableError, Cause("Certificate not trusted"), "Set ca_bundle, or check the URL.")
    if any(isinstance(cause, gaierror) for cause in causes):
        return _error_at(url, UnreachableError, Cause("Unknown host"), "Check the URL for typos.")
    is_refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
    cause = Cause("Connection refused" if is_refused else "Cannot connect")
    return _error_at(url, UnreachableError, cause, "Check the URL, and that the service is running.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it; the errors of several addresses come in a group."""
    while error is not None:
        yield error
        for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
            yield from _causes(one)
        error = error.__cause__ or error.__context__


def _status_error(status: int, headers: httpx.Headers, body: bytes, url: str) -> ServiceError:
    error = _error_of_status(status, headers, parse_error_envelope(body), url)
    error.status = status
    error.is_transient = error.is_transient or status in _GATEWAY_STATUSES
    return error


def _error_at(url: str, kind: type[ServiceErrorT], cause: Cause, hint: str) -> ServiceErrorT:
    """An error with its cause and the URL in its title."""
    return kind(f"{_cause_text(cause)}: {url}", hint, cause=cause)


def _cause_text(cause: Cause) -> str:
    """`Server error (500: no room left)`."""
    code = ": ".join(filter(None, (str(cause.status or ""), cause.details)))
    return f"{cause.words} ({code})" if code else cause.words


def _error_of_status(status: int, headers: httpx.Headers, envelope: ErrorEnvelope, url: str) -> ServiceError:
    def error_of(kind: type[ServiceErrorT], words: str, hint: str) -> ServiceErrorT:
        return _error_at(url, kind, Cause(words, status, envelope.reason), hint)

    if status == 401:
        return error_of(AuthError, "Token rejected", "Check the token, or the keys of the profile.")
    if status == 403:
        return error_of(AuthError, "Access denied", "Ask for access to it.")
    if status == 404:
        return _not_found_error(envelope, url)
    if status in (429, 503):
        words = "Too many requests" if status == 429 else "Service busy"
        error = error_of(ThrottledError, words, "Try again later.")
        error.retry_after_seconds = _retry_after_seconds(headers)
        return error
    if status == 400:
        return error_of(BadRequestError, "Request rejected", envelope.suggestion)
    if status >= 500:
        return error_of(ServerError, "Server error", _TRY_LATER)
    return _error_at(url, InvalidResponseError, Cause(f"Unexpected status {status}"), _CHECK_URL)


def _not_found_error(envelope: ErrorEnvelope, url: str) -> ServiceError:
    """The error of a 404, which has several meanings: its code, its suggestion and the URL distinguish them."""
    if envelope.code == CODE_NOT_CONSISTENT:
        return _error_at(url, NotConsistentError, Cause("Not available yet"), "Try again in a moment.")
    if "object_kind" in envelope.suggestion:
        return _error_at(url, ServerError, Cause("Server error", 404, envelope.reason), _TRY_LATER)
    root, projects, rest = url.partition(f"{API_PATH}/projects")
    if projects and rest[:1] in ("", "?"):  # the list of projects is there in every service
        cause = Cause("No such service", 404, envelope.reason)
        title = _cause_text(cause._replace(words=f"{cause.words} at {root}"))
        return InvalidResponseError(title, "Check --url, also its path.", cause=cause)
    if not envelope.reason:
        return _error_at(url, InvalidResponseError, Cause("No such service"), _CHECK_URL)
    return _error_at(url, NotFoundError, Cause("Not found", 404, envelope.reason), "Check the id or the name.")


def _retry_after_seconds(headers: httpx.Headers) -> float | None:
    """The `Retry-After` header in seconds, limited; a date counts from the `Date` of the response. None if invalid."""
    text = headers.get("retry-after", "").strip()
    if _DECIMAL.fullmatch(text):
        return min(float(text), _MAX_RETRY_AFTER_SECONDS)
    until, sent_on = _parse_date(text), _parse_date(headers.get("date", ""))
    if until is None or sent_on is None:
        return None
    return min(max((until - sent_on).total_seconds(), 0.0), _MAX_RETRY_AFTER_SECONDS)


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
