"""Credentials, and the token that every request carries: got when it is needed, renewed before it ends."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from upload_tui.clock import Clock
from upload_tui.errors import AuthError, InvalidResponseError, UploadTuiError
from upload_tui.wire import parse_body, read_error_envelope

__all__ = ["Credentials", "TokenAuth"]

_RENEW_BEFORE = timedelta(minutes=5)
"""A token is renewed this long before it ends, or after half its life if that is shorter."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, keys to be exchanged for one, or something to be asked for one. Never shown in a `repr`.

    Attributes:
        token: the first token; empty to begin with an exchange of keys.
        agent_key, user_key: exchanged together.
        source: gives a token when it is called, in a thread; the same one again means that it has no newer one.
    """

    token: str = field(default="", repr=False)
    agent_key: str = field(default="", repr=False)
    user_key: str = field(default="", repr=False)
    source: Callable[[], str] | None = field(default=None, repr=False)

    @property
    def has_keys(self) -> bool:
        """True if a token can be had for keys."""
        return bool(self.agent_key and self.user_key)


class TokenAuth(httpx.Auth):
    """Puts the token into each request; gets one with the keys at first, before the old one ends, and once after a 401."""

    def __init__(self, credentials: Credentials, exchange_url: str, clock: Clock) -> None:
        self._credentials = credentials
        self._exchange_url = exchange_url
        self._clock = clock
        self._token = credentials.token
        self._renew_on: datetime | None = None
        self._lock = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a token; a refused token is renewed once, by whoever is refused first."""
        async with self._lock:
            if self._is_renewal_due():
                await self._store_token((yield self._exchange_request(request)))
        used = self._token
        request.headers["Authorization"] = used
        response = yield request
        if response.status_code != 401:
            return
        # httpx takes the answer to the last request for the whole's: after an exchange ours must be sent again in any case.
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
    async def _call_source(source: Callable[[], str]) -> str:
        try:
            return await asyncio.to_thread(source)
        except UploadTuiError as error:
            raise AuthError(f"The token was refused, and there is no other: {error.title}", error.hint) from error

    def _is_renewal_due(self) -> bool:
        if not self._credentials.has_keys:
            return False
        return not self._token or (self._renew_on is not None and self._clock.now() >= self._renew_on)

    def _exchange_request(self, request: httpx.Request) -> httpx.Request:
        keys = {"agent_key": self._credentials.agent_key, "user_key": self._credentials.user_key}
        # httpx keeps how long to wait in the request itself: one without waits for ever.
        return httpx.Request("POST", self._exchange_url, json=keys, extensions=dict(request.extensions))

    async def _store_token(self, response: httpx.Response) -> None:
        await response.aread()
        if _is_key_refused(response):
            raise AuthError(
                "The service does not take the agent key and the user key",
                "Check agent_key and user_key of the profile.",
            )
        if response.status_code == 404:  # of the exchange itself: no upload is gone for that
            raise InvalidResponseError(f"There is no token to be had at {self._exchange_url}", "Check the URL.")
        if not response.is_success:
            raise httpx.HTTPStatusError("token exchange failed", request=response.request, response=response)
        answer: Any = parse_body(response.content)
        if not isinstance(answer, dict) or not isinstance(answer.get("api_token"), str) or not answer["api_token"]:
            raise InvalidResponseError("The service answered the keys with no token")
        self._token = answer["api_token"]
        self._renew_on = self._renewal_time(answer.get("time_to_live"))

    def _renewal_time(self, lifetime_seconds: object) -> datetime | None:
        # The lifetime is trusted rather than the end: it needs no agreement of clocks.
        if not isinstance(lifetime_seconds, int) or not 0 < lifetime_seconds < 10**9:
            return None
        lifetime = timedelta(seconds=lifetime_seconds)
        return self._clock.now() + max(lifetime - _RENEW_BEFORE, lifetime / 2)


def _is_key_refused(response: httpx.Response) -> bool:
    """True if other keys would be taken; whatever else is wrong passes."""
    is_unknown_key = (
        response.status_code == 404 and "invalid key" in read_error_envelope(response.content).reason.lower()
    )
    return is_unknown_key or response.status_code in (400, 401, 403)
