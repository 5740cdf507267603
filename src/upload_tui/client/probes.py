"""The way to a service, step by step: proxy, name, port, TLS. Each step says what it found, or raises what is wrong with it.

Called by `doctor`, which wants to know which step fails; everybody else goes the whole way with `ServiceClient`.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from msgspec import Struct

from upload_tui.errors import UnreachableError

__all__ = ["Address", "Proxy", "address_of", "connect", "handshake", "proxy_for", "resolve", "default_certificates"]

_TIMEOUT_SECONDS = 10.0


class Address(Struct, frozen=True):
    """A host and a port; `is_secure` if TLS is spoken there."""

    host: str
    port: int
    is_secure: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Proxy(Struct, frozen=True):
    """A proxy, and the variable (or the system's settings) that names it. Its address is said without user and password."""

    address: Address
    source: str


def address_of(url: str) -> Address:
    """Where a URL's requests are sent if there is no proxy."""
    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    return Address(parts.hostname or "", parts.port or (443 if is_secure else 80), is_secure)


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy through which a URL is asked for, by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY as everywhere.

    Raises:
        UnreachableError: a variable names none.
    """
    parts = urlsplit(url)
    found = getproxies()
    kind = next((kind for kind in (parts.scheme, "all") if found.get(kind)), None)
    if kind is None or proxy_bypass(parts.hostname or ""):
        return None
    name = f"{kind}_proxy"
    source = next((spelling for spelling in (name, name.upper()) if environment.get(spelling)), "the system's settings")
    text = found[kind] if "://" in found[kind] else f"http://{found[kind]}"
    try:
        address = address_of(text)
    except ValueError as error:
        raise UnreachableError(
            f"{source} is not the URL of a proxy", "Write it like http://proxy.example:3128"
        ) from error
    return Proxy(address, source)


async def resolve(address: Address) -> tuple[str, ...]:
    """The numbers that a name stands for.

    Raises:
        UnreachableError: it stands for none.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise UnreachableError(f"Nobody says in time what {address.host} stands for", "Check the network") from error
    except (OSError, UnicodeError) as error:
        raise UnreachableError(
            f"The name {address.host} is not known", "Check it for a slip; some names are known inside a VPN only"
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


async def connect(address: Address) -> timedelta:
    """How long it takes to be let in at a port.

    Raises:
        UnreachableError: nobody opens.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError as error:
        raise UnreachableError(
            f"Nobody answers at {address} in {_TIMEOUT_SECONDS:.0f} seconds", "Check firewalls, a VPN, a proxy"
        ) from error
    except OSError as error:
        raise UnreachableError(f"Nobody answers at {address}", "Check the port, and that the service runs") from error
    writer.close()
    return timedelta(seconds=clock() - began)


async def handshake(address: Address, trusted: ssl.SSLContext) -> datetime | None:
    """When the certificate of a port ends; None if it does not say.

    Raises:
        UnreachableError: it cannot be trusted, or no TLS is spoken there.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=trusted)
    except ssl.SSLCertVerificationError as error:
        raise UnreachableError(
            f"The certificate of {address} cannot be trusted: {error.verify_message}",
            "If it is your own, name its authority by ca_bundle or SSL_CERT_FILE",
        ) from error
    except (ssl.SSLError, ConnectionError, TimeoutError, OSError) as error:
        raise UnreachableError(f"No TLS is spoken at {address}", "Check the port, or whether it is http://") from error
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    if "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


def default_certificates() -> ssl.SSLContext:
    """What is trusted if nothing else is named: SSL_CERT_FILE, SSL_CERT_DIR, or the authorities that everybody trusts.

    Raises:
        UnreachableError: SSL_CERT_FILE names no such file.
    """
    import httpx

    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise UnreachableError("The certificates of SSL_CERT_FILE cannot be read", "Correct or unset it") from error
