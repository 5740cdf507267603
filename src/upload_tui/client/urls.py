"""Where a service's answers are: its root and the path of its API. Imports nothing: whoever only names a service stays quick."""

__all__ = ["API_PATH", "service_root"]

API_PATH = "/api/v1"


def service_root(url: str) -> str:
    """A service's URL without `/api/v1` and slashes at its end, which people may write or leave out."""
    return url.strip().rstrip("/").removesuffix(API_PATH).rstrip("/")
