"""The steps of connecting to a service: the proxy, DNS, the port, TLS. The client and `doctor` share the decision about proxies.

`doctor` takes the steps one by one and reports the one that fails. Everything else connects with `ServiceClient`.

Loopback is never proxied: plain http is allowed there because the token does not leave the machine.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from msgspec import Struct

from upload_tui.addresses import is_loopback
from upload_tui.errors import UnreachableError

__all__ = ["Address", "Proxy", "address_of", "connect", "default_certificates", "handshake", "proxy_for", "resolve"]

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
        UnreachableError: the name cannot be resolved.
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
        SettingsError: a file that a variable names cannot be used.
        UnreachableError: the usual authorities cannot be read.
    """
    import httpx

    from upload_tui.client.error_mapping import certificates_error

    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise certificates_error(error) from error


_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Attributes:
        address: without user and password.
        source: the variable that names it, or "the system's settings".
        url: with user and password; not shown in a `repr`.
    """

    address: Address
    source: str
    url: str = field(repr=False)


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy for a URL according to HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; None if it needs none.

    Raises:
        UnreachableError: a variable is not the URL of a proxy. The error does not contain its value, which may have a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None  # the request reports that the URL is invalid
    found = getproxies()
    kind = next((kind for kind in (parts.scheme, "all") if found.get(kind)), None)
    host = parts.hostname or ""
    if kind is None or is_loopback(host) or _is_exempt(host, parts.netloc.rpartition("@")[2], found.get("no", "")):
        return None
    name = f"{kind}_proxy"
    source = next((spelling for spelling in (name, name.upper()) if environment.get(spelling)), "the system's settings")
    return _parse_proxy(found[kind], source)


def _is_exempt(host: str, netloc: str, exemptions: str) -> bool:
    """True if NO_PROXY or the system's settings name the host, its domain, its port or its network."""
    names = [text.strip() for text in exemptions.split(",")]
    return proxy_bypass(host) or proxy_bypass(netloc) or _is_in_domain(host, names) or _is_in_network(host, names)


def _is_in_domain(host: str, names: list[str]) -> bool:
    """True if a name is `*.` and the domain of the host, as curl and others read it."""
    return any(name.startswith("*.") and f".{host}".lower().endswith(name[1:].lower()) for name in names)


def _is_in_network(host: str, networks: list[str]) -> bool:
    for text in networks:
        try:
            if ip_address(host) in ip_network(text.strip("[]"), strict=False):
                return True
        except ValueError:
            continue
    return False


def _parse_proxy(text: str, source: str) -> Proxy:
    url = text if "://" in text else f"http://{text}"
    try:
        address = address_of(url)
        is_valid = bool(address.host) and urlsplit(url).scheme in _SCHEMES and url.isprintable()
    except ValueError:
        is_valid = False
    if not is_valid:
        # Raised outside of the `except`: the cause would quote the value.
        raise UnreachableError(f"{source} is not the URL of a proxy", "Use the form http://proxy.example:3128")
    if url.lower().startswith("socks") and find_spec("socksio") is None:
        raise UnreachableError(
            f"The proxy {address} of {source} uses SOCKS, which needs the package socksio",
            "Install it beside upload-tui, or use an HTTP proxy",
        )
    return Proxy(address, source, url)
