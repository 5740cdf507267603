"""Credentials, and the token of every request: requested when needed, renewed before it expires."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from upload_tui.client.error_mapping import raise_for_status
from upload_tui.clock import Clock
from upload_tui.errors import AuthError, Cause, InvalidResponseError, SettingsError, UploadTuiError
from upload_tui.redaction import register_secrets
from upload_tui.wire import parse_body, parse_error_envelope

__all__ = ["Credentials", "TokenAuth"]

_RENEW_BEFORE = timedelta(minutes=5)
"""A token is renewed this long before it expires, or after half of its lifetime if that is later."""
_TOKEN = re.compile(r"[\x20-\x7e]*")
"""The characters that a header can have. Errors about any other would quote the token."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, two keys that are exchanged for a token, or a function that returns a token. Not shown in a `repr`.

    Attributes:
        token: the first token; empty to start with an exchange of keys.
        agent_key, user_key: exchanged together for a token.
        source: returns a token. If it returns the rejected token again, there is no newer one.
    """

    token: str = field(default="", repr=False)
    agent_key: str = field(default="", repr=False)
    user_key: str = field(default="", repr=False)
    source: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)

    @property
    def has_keys(self) -> bool:
        """True if keys can be exchanged for a token."""
        return bool(self.agent_key and self.user_key)


class TokenAuth(httpx.Auth):
    """Adds the token to each request.

    With keys, it requests a token first, before the current one expires, and once after a 401.

    Args:
        credentials: the token, the keys or the source.
        exchange_url: where keys are exchanged for a token.
        clock: measures the lifetime of tokens.

    Raises:
        SettingsError: the token has characters that a header cannot have.
    """

    def __init__(self, credentials: Credentials, exchange_url: str, clock: Clock) -> None:
        register_secrets((credentials.token, credentials.agent_key, credentials.user_key))
        self._credentials = credentials
        self._exchange_url = exchange_url
        self._clock = clock
        self._token = _checked(credentials.token)
        self._renew_on: datetime | None = None
        self._lock = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a token; of concurrent requests with a rejected token, only the first renews it."""
        async with self._lock:
            if self._is_renewal_due():
                await self._store_token((yield self._exchange_request(request)))
        used = self._token
        request.headers["Authorization"] = used
        response = yield request
        if response.status_code != 401:
            return
        # httpx returns the response to the last request: after an exchange the original request must be sent again in any case.
        has_keys = self._credentials.has_keys
        async with self._lock:
            if self._token == used and has_keys:
                await self._store_token((yield self._exchange_request(request)))
            elif self._token == used and self._credentials.source is not None:
                self._token = await self._call_source(self._credentials.source)
        if has_keys or self._token != used:
            request.headers["Authorization"] = self._token
            yield request

    @staticmethod
    async def _call_source(source: Callable[[], Awaitable[str]]) -> str:
        try:
            return _checked(await source())
        except UploadTuiError as error:
            cause = Cause("The token was rejected, and there is no other", details=error.title)
            raise AuthError(f"{cause.words}: {error.title}", error.hint, cause=cause) from error

    def _is_renewal_due(self) -> bool:
        if not self._credentials.has_keys:
            return False
        return not self._token or (self._renew_on is not None and self._clock.now() >= self._renew_on)

    def _exchange_request(self, request: httpx.Request) -> httpx.Request:
        keys = {"agent_key": self._credentials.agent_key, "user_key": self._credentials.user_key}
        # httpx stores the timeout in the extensions of a request: without them the exchange would have none.
        return httpx.Request("POST", self._exchange_url, json=keys, extensions=dict(request.extensions))

    async def _store_token(self, response: httpx.Response) -> None:
        await response.aread()
        if _is_key_refused(response):
            raise AuthError(
                "The service rejected the agent key and the user key", "Check agent_key and user_key of the profile."
            )
        if response.status_code == 404:  # about the exchange itself: it must not look like an upload that is gone
            cause = Cause("No tokens are issued", response.status_code)
            raise InvalidResponseError(f"{cause.words} at {self._exchange_url}", "Check the URL.", cause=cause)
        raise_for_status(response.status_code, response.headers, response.content, self._exchange_url)
        body: Any = parse_body(response.content)
        if not isinstance(body, dict) or not _is_token(body.get("api_token")):
            raise InvalidResponseError("The service returned no token for the keys")
        self._token = body["api_token"]
        register_secrets((self._token,))
        self._renew_on = self._renewal_time(body.get("time_to_live"))

    def _renewal_time(self, lifetime_seconds: object) -> datetime | None:
        # The lifetime is used instead of the expiry date: it does not depend on synchronized clocks.
        if not isinstance(lifetime_seconds, int) or not 0 < lifetime_seconds < 10**9:
            return None
        lifetime = timedelta(seconds=lifetime_seconds)
        return self._clock.now() + max(lifetime - _RENEW_BEFORE, lifetime / 2)


def _is_key_refused(response: httpx.Response) -> bool:
    """True if the keys are wrong; False for any other failure."""
    is_unknown = response.status_code == 404 and "invalid key" in parse_error_envelope(response.content).reason.lower()
    return is_unknown or response.status_code in (400, 401, 403)


def _is_token(text: object) -> bool:
    return isinstance(text, str) and bool(text) and _TOKEN.fullmatch(text) is not None


def _checked(token: str) -> str:
    """Return the token if it is empty or valid; the error about an invalid one does not quote it."""
    register_secrets((token,))
    if token and not _is_token(token):
        raise SettingsError(
            "The token contains a line break or another character that no token has",
            "Check token, UPLOAD_TUI_TOKEN, or what the token file, command or keyring has.",
        )
    return token
