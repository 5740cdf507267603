"""The decision about proxies: one for the client, which sends the token, and for `doctor`.

Loopback is never proxied: plain http is allowed there because the token does not leave the machine.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from upload_tui.addresses import is_loopback
from upload_tui.client.probes import Address, address_of
from upload_tui.errors import UnreachableError

__all__ = ["Proxy", "proxy_for"]

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
    return _read_proxy(found[kind], source)


def _is_exempt(host: str, netloc: str, exemptions: str) -> bool:
    """True if NO_PROXY or the system's settings name the host, its domain, its port or its network."""
    return proxy_bypass(host) or proxy_bypass(netloc) or _is_in_network(host, exemptions.split(","))


def _is_in_network(host: str, networks: list[str]) -> bool:
    for text in networks:
        try:
            if ip_address(host) in ip_network(text.strip().strip("[]"), strict=False):
                return True
        except ValueError:
            continue
    return False


def _read_proxy(text: str, source: str) -> Proxy:
    url = text if "://" in text else f"http://{text}"
    try:
        address = address_of(url)
        is_valid = bool(address.host) and urlsplit(url).scheme in _SCHEMES and url.isprintable()
    except ValueError:
        is_valid = False
    if not is_valid:
        # Raised outside of the `except`: the cause would quote the value.
        raise UnreachableError(f"{source} is not the URL of a proxy", "Use the form http://proxy.example:3128")
    return Proxy(address, source, url)
