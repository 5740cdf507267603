"""What is imported or compiled when it is first used, so that the program starts fast."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, AnyStr, cast

__all__ = ["lazy_names", "lazy_pattern"]


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's `__getattr__` and `__dir__`.

    Args:
        package: the package's `__name__`.
        modules: the names to import, separated by spaces, by the module below the package that defines them.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get, lambda: sorted(homes)


class _LazyPattern:
    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self._pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(self._pattern, self._flags), name)
        setattr(self, name, value)  # found without this method from now on
        return value


def lazy_pattern(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """A regular expression of a module that each start imports. Its methods compile it when they are first used."""
    return cast("re.Pattern[AnyStr]", _LazyPattern(pattern, flags))
