"""Addresses of services: which are on this machine, and which contain a password."""

from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["has_user_info", "is_loopback", "is_loopback_url"]


def is_loopback(host: str) -> bool:
    """True if a host is this machine, to which a token may be sent unencrypted and without a proxy."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """True if the host of a URL is this machine; False for text that is no URL."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def has_user_info(url: str) -> bool:
    """True if a URL may contain a user and a password. The URL of a service has no other use for `@`.

    The URL is not parsed: in one that is not valid a password can stand anywhere.
    """
    return "@" in url
