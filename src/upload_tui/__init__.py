"""upload-tui: watch chunked uploads until they are safe.

Owns nothing but the package's version, which is looked up only when asked for, so that importing the package is free.
"""

from typing import Any

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("upload-tui")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
