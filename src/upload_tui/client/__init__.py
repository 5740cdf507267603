"""The HTTP client of the service: httpx on one side, typed results and typed errors on the other.

Owns requests, retries, credentials and the translation of every failure into an error of `upload_tui.errors`. The monitor and the
commands use it. It keeps no picture and knows neither stores nor the screen.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.client.credentials import Credentials
    from upload_tui.client.error_mapping import key_log_error
    from upload_tui.client.probes import (
        Address,
        Proxy,
        address_of,
        connect,
        default_certificates,
        handshake,
        proxy_for,
        resolve,
    )
    from upload_tui.client.requester import RequestOutcome, batches, gather_all, unlimited_requests
    from upload_tui.client.service_client import ServiceClient

__all__ = [
    "Address",
    "Credentials",
    "Proxy",
    "RequestOutcome",
    "ServiceClient",
    "address_of",
    "batches",
    "connect",
    "default_certificates",
    "gather_all",
    "handshake",
    "key_log_error",
    "proxy_for",
    "resolve",
    "unlimited_requests",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "credentials": "Credentials",
        "error_mapping": "key_log_error",
        "probes": "Address address_of connect default_certificates handshake Proxy proxy_for resolve",
        "requester": "batches gather_all RequestOutcome unlimited_requests",
        "service_client": "ServiceClient",
    },
)
