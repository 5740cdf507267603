"""Addresses of services: which are on this machine, and which contain a password."""

from ipaddress import ip_address

__all__ = ["has_user_info", "is_loopback"]


def is_loopback(host: str) -> bool:
    """True if a host is this machine, to which a token may be sent unencrypted and without a proxy."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def has_user_info(url: str) -> bool:
    """True if a URL may contain a user and a password. The URL of a service has no other use for `@`.

    The URL is not parsed: in one that is not valid a password can stand anywhere.
    """
    return "@" in url
