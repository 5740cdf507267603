"""Addresses of services: which are on this machine, which contain a password, and what of them may be shown."""

import re

from upload_tui.lazy import lazy_pattern

__all__ = ["USER_INFO_SIGNS", "has_user_info", "is_loopback", "is_loopback_url", "safe_origin"]


USER_INFO_SIGNS = ("@", "%40", "\uff20", "\ufe6b")
"""What ends a user and a password in a URL; the last two are wide forms, which become `@`."""


def is_loopback(host: str) -> bool:
    """True if a host is this machine, to which a token may be sent unencrypted and without a proxy.

    In any spelling that resolvers accept: `localhost.`, `a.localhost` (RFC 6761), `127.1`, `::ffff:127.0.0.1`, `0.0.0.0`.
    """
    import socket  # here and below, because each start imports this module
    from ipaddress import IPv6Address, ip_address

    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        if name.isascii() and name[:1].isdigit() and ":" not in name:
            name = socket.inet_ntoa(socket.inet_aton(name))
        address = ip_address(name.strip("[]"))
    except (OSError, ValueError):
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def is_loopback_url(url: str) -> bool:
    """True if the host of a URL is this machine; False for text that is no URL."""
    from urllib.parse import urlsplit

    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def has_user_info(url: str) -> bool:
    """True if a URL may contain a user and a password. The URL of a service has no other use for `@`.

    The URL is not parsed: in one that is not valid a password can stand anywhere.
    """
    return any(sign in url for sign in USER_INFO_SIGNS)


_ORIGIN = lazy_pattern(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d+)?(?=[/?#]|$)", re.IGNORECASE)


def safe_origin(url: str) -> str:
    """The scheme, host and port of a URL, which can be quoted; empty if it is not clear what they are.

    Anything else in a URL that is not valid may be a secret, such as a password or a signature.
    """
    match = _ORIGIN.match(url)
    return match[0] if match and not has_user_info(url) else ""
