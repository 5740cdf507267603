"""URLs of the service."""

import shlex
from urllib.parse import quote

from upload_tui.addresses import is_loopback_url

__all__ = ["API_PATH", "curl_command", "service_root"]

API_PATH = "/api/v1"


def service_root(url: str) -> str:
    """The URL of a service without a trailing `/api/v1` and slashes, which users may write or leave out."""
    return url.strip().rstrip("/").removesuffix(API_PATH).rstrip("/")


def curl_command(root: str, upload_id: str) -> str:
    """A shell command that requests an upload; the token is a variable in it. Like the client, it asks no proxy for loopback."""
    url = f"{root}{API_PATH}/uploads/{quote(upload_id, safe='')}"
    direct = "--noproxy '*' " if is_loopback_url(root) else ""
    return f'curl {direct}--header "Authorization: $UPLOAD_TUI_TOKEN" {shlex.quote(url)}'
