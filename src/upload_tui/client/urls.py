"""URLs of the service. Imports nothing, so that commands that only name a service start fast."""

__all__ = ["API_PATH", "service_root"]

API_PATH = "/api/v1"


def service_root(url: str) -> str:
    """The URL of a service without a trailing `/api/v1` and slashes, which users may write or leave out."""
    return url.strip().rstrip("/").removesuffix(API_PATH).rstrip("/")
