"""The steps of connecting to a service: DNS, port, TLS. Each returns what it found or raises an `UnreachableError`.

For `doctor`, which reports the step that fails. Everything else connects with `ServiceClient`.
"""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from msgspec import Struct

from upload_tui.errors import UnreachableError

__all__ = ["Address", "address_of", "connect", "default_certificates", "handshake", "resolve"]

_TIMEOUT_SECONDS = 10.0


class Address(Struct, frozen=True):
    """A host and a port; `is_secure` if it uses TLS."""

    host: str
    port: int
    is_secure: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def address_of(url: str) -> Address:
    """The address that a URL's requests go to without a proxy."""
    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    return Address(parts.hostname or "", parts.port or (443 if is_secure else 80), is_secure)


async def resolve(address: Address) -> tuple[str, ...]:
    """The IP addresses of a host.

    Raises:
        UnreachableError: there are none.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise UnreachableError(f"No answer from DNS for {address.host}", "Check the network") from error
    except (OSError, UnicodeError) as error:
        raise UnreachableError(
            f"Unknown host: {address.host}", "Check it for typos; some hosts are only known inside a VPN"
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


async def connect(address: Address) -> timedelta:
    """Connect to a port and return how long it took.

    Raises:
        UnreachableError: no connection.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError as error:
        raise UnreachableError(
            f"No connection to {address} within {_TIMEOUT_SECONDS:.0f}s", "Check firewalls, the VPN and the proxy"
        ) from error
    except OSError as error:
        what = "Connection refused" if isinstance(error, ConnectionRefusedError) else "Cannot connect"
        raise UnreachableError(f"{what}: {address}", "Check the port, and that the service is running") from error
    writer.close()
    return timedelta(seconds=clock() - began)


async def handshake(address: Address, trusted: ssl.SSLContext) -> datetime | None:
    """Connect with TLS and return when the certificate expires; None if it has no such date.

    Raises:
        UnreachableError: the certificate is not trusted, or the port does not use TLS.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=trusted)
    except ssl.SSLCertVerificationError as error:
        raise UnreachableError(
            f"Certificate of {address} not trusted: {error.verify_message}",
            "If it is your own, set ca_bundle or SSL_CERT_FILE to its authority",
        ) from error
    except (ssl.SSLError, ConnectionError, TimeoutError, OSError) as error:
        raise UnreachableError(f"No TLS at {address}", "Check the port, or use http://") from error
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    if "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


def default_certificates() -> ssl.SSLContext:
    """The certificates trusted by default: SSL_CERT_FILE, SSL_CERT_DIR, or the usual authorities.

    Raises:
        UnreachableError: a file that a variable names cannot be used.
    """
    import httpx

    from upload_tui.client.error_mapping import certificates_error

    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise certificates_error(error) from error
