"""Failures of the disk: one statement of SQLite, or one call for a file, fails; or all of them from that one on."""

import builtins
import errno
import io
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import pytest
from msgspec import Struct

__all__ = [
    "FILE_FAILURES",
    "STATEMENT_FAILURES",
    "Failure",
    "Injector",
    "Killed",
    "exempt",
    "failing_files",
    "failing_statements",
    "is_killed",
    "sqlite_error",
]


class Failure(Struct, frozen=True):
    """A way to fail.

    Attributes:
        name: SQLite's name without its prefix, or that of `errno`; `SHORT` for half of the bytes without an error.
        writes_only: whether only what writes can fail so.
        rolls_back: whether SQLite ends the transaction by itself.
        persists: whether all later ones fail too.
    """

    name: str
    writes_only: bool = False
    rolls_back: bool = False
    persists: bool = False

    def __str__(self) -> str:
        return f"{self.name}{' with rollback' if self.rolls_back else ''}{', persistent' if self.persists else ''}"


def _both(*failures: Failure) -> Sequence[Failure]:
    return [
        Failure(one.name, one.writes_only, one.rolls_back, persists) for one in failures for persists in (False, True)
    ]


STATEMENT_FAILURES = _both(
    Failure("FULL", writes_only=True),
    Failure("FULL", writes_only=True, rolls_back=True),
    Failure("IOERR", rolls_back=True),
    Failure("BUSY"),
    Failure("CORRUPT"),
)
FILE_FAILURES = _both(
    Failure("ENOSPC", writes_only=True), Failure("EIO"), Failure("EACCES", writes_only=True), Failure("SHORT")
)

_SQLITE_ERRORS: dict[str, tuple[int, type[sqlite3.Error], str]] = {
    "FULL": (sqlite3.SQLITE_FULL, sqlite3.OperationalError, "database or disk is full"),
    "IOERR": (sqlite3.SQLITE_IOERR, sqlite3.OperationalError, "disk I/O error"),
    "BUSY": (sqlite3.SQLITE_BUSY, sqlite3.OperationalError, "database is locked"),
    "CORRUPT": (sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError, "database disk image is malformed"),
}


def sqlite_error(name: str) -> sqlite3.Error:
    """The error that SQLite raises, by its name without the prefix."""
    code, kind, message = _SQLITE_ERRORS[name]
    error = kind(message)
    error.sqlite_errorcode, error.sqlite_errorname = code, f"SQLITE_{name}"
    return error


class Killed(BaseException):
    """The process is killed: no code that handles errors may handle it."""


def is_killed(error: BaseException) -> bool:
    """Whether an error, or an error of a group, is `Killed`."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_killed(one) for one in error.exceptions)
    return isinstance(error, Killed)


class Injector:
    """Fails call number `number` of those that can fail in this way, and later ones if the failure persists.

    Args:
        failure: the way to fail.
        number: from 1; 0 fails none and counts.
    """

    def __init__(self, failure: Failure, number: int) -> None:
        self.failure = failure
        self.number = number
        self.count = 0
        self.failed_on = ""
        """What failed first; empty if nothing did."""
        self._damaged: set[int] = set()

    @property
    def has_fired(self) -> bool:
        return bool(self.failed_on)

    def fails(self, what: str, inode: int = 0) -> bool:
        """Count a call; True if it has to fail. Damage is that of one file."""
        self.count += 1
        is_due = self.count == self.number
        if is_due:
            self.failed_on = what
            self._damaged.add(inode)
        is_persistent = self.failure.persists and 0 < self.number < self.count
        return is_due or (is_persistent and (self.failure.name != "CORRUPT" or inode in self._damaged))

    def check_alive(self, connection: sqlite3.Connection, sql: str) -> None:
        """Raise `Killed` if the process of a connection is killed before a statement, "" if it only reads. None is by default."""


# Statements

_READING = ("SELECT", "EXPLAIN", "BEGIN", "ROLLBACK", "ATTACH", "VALUES")


class _FailingConnection(sqlite3.Connection):
    """A connection whose statements fail when the injector says so. What is in memory does not fail."""

    injector: Injector
    is_exempt = False

    def __init__(self, database: Any, *args: Any, **options: Any) -> None:
        super().__init__(database, *args, **options)
        path = str(database).removeprefix("file://").partition("?")[0]
        self._inode = 0 if path == ":memory:" or not Path(path).exists() else Path(path).stat().st_ino

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        self._check(sql)
        return super().execute(sql, *args)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        self._check(sql)
        return super().executemany(sql, rows)

    def executescript(self, sql: str, /) -> sqlite3.Cursor:
        self._check(sql)
        return super().executescript(sql)

    def backup(self, *args: Any, **options: Any) -> None:
        self._check("SELECT (backup)")
        assert not self.in_transaction, "a copy that waits for the transaction of its own connection never ends"
        super().backup(*args, **options)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Literal[False]:
        if kind is None and self.in_transaction:
            try:
                self._check("COMMIT")
            except sqlite3.Error:
                self.rollback()  # as the original does
                raise
        return super().__exit__(kind, error, trace)

    def _check(self, sql: str) -> None:
        if self.is_exempt:
            return
        failure = self.injector.failure
        word = sql.split(None, 1)[0].upper()
        is_reading = word in _READING or (word == "PRAGMA" and "=" not in sql)
        self.injector.check_alive(self, "" if is_reading else sql)
        if not self._inode or (failure.writes_only and is_reading):
            return
        # A transaction that has begun finds nobody else writing. Without shared memory, as on a network file system, who only reads
        # may keep it from being committed.
        if word == "ROLLBACK" or (failure.name == "BUSY" and self.in_transaction and word != "COMMIT"):
            return
        if self.injector.fails(" ".join(sql.split())[:60], self._inode):
            if failure.rolls_back and self.in_transaction:
                super().execute("ROLLBACK")
            raise sqlite_error(failure.name)


@contextmanager
def exempt(connection: sqlite3.Connection) -> Iterator[None]:
    """Let no statement of a connection fail inside the context, so that the simulation can read what is true."""
    assert isinstance(connection, _FailingConnection)
    connection.is_exempt = True
    try:
        yield
    finally:
        connection.is_exempt = False


@contextmanager
def failing_statements(injector: Injector) -> Iterator[None]:
    """Let statements of files fail that are opened inside the context."""
    connection = type("Connection", (_FailingConnection,), {"injector": injector})
    connect = sqlite3.connect

    def connect_failing(database: Any, **options: Any) -> sqlite3.Connection:
        return connect(database, factory=connection, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect_failing)
        yield


# Files


class _FailingFile(io.FileIO):
    """A file whose writes may fail after half of the bytes, and whose reads may fail or be short."""

    def __init__(self, file: Any, mode: str, closefd: bool, opener: Any, check: Callable[..., bool]) -> None:
        super().__init__(file, mode, closefd, opener)
        self._check = check

    def write(self, data: Any, /) -> int:
        content = bytes(data)
        half = content[: max(1, len(content) // 2)]
        try:
            is_short = self._check("write", self.fileno())
        except OSError:
            super().write(half)
            raise
        return super().write(half if is_short else content)

    def read(self, size: int | None = -1, /) -> Any:
        is_short = self._check("read", self.fileno(), writes=False)
        return super().read(max(1, size // 2) if is_short and size is not None and size > 0 else size)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        is_short = self._check("read", self.fileno(), writes=False)
        return super().readinto(view[: max(1, len(view) // 2)] if is_short else view)


class _FailingOpen:
    """`open`, for files below a folder: opening, reading and writing may fail."""

    def __init__(self, folder: Path, check: Callable[..., bool]) -> None:
        self._folder = str(folder)
        self._check = check
        self._open = builtins.open

    def __call__(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        newline: str | None = None, closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        if not _name(file).startswith(self._folder):
            return self._open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        is_writing = not {*mode} <= {*"rtb"}
        if opener is None and not isinstance(file, int):  # an opener calls `os.open`
            self._check("open", file, writes=is_writing)
        raw = _FailingFile(file, "".join({*mode} - {*"tb"}), closefd, opener, self._check)
        if buffering == 0:
            return raw
        buffer: Any = io.BufferedRandom if "+" in mode else io.BufferedWriter if is_writing else io.BufferedReader
        has_bytes = "b" in mode
        return buffer(raw) if has_bytes else io.TextIOWrapper(buffer(raw), encoding, errors, newline, buffering == 1)


_CALLS = ("open", "replace", "rename", "mkdir", "fsync", "write", "stat", "unlink")
_WRITING_CALLS = {*_CALLS} - {"open", "stat", "unlink"}
"""An `open` may be one. Nothing needs space in order to be removed."""


@contextmanager
def failing_files(injector: Injector, folder: Path) -> Iterator[None]:
    """Let calls for files below a folder fail: opening, reading, writing (half of it is written), flushing, renaming and others."""

    def check(what: str, path: Any, *, writes: bool = True) -> bool:
        """Count a call; return whether it has to be a short one."""
        name, failure = _name(path), injector.failure
        is_short = failure.name == "SHORT"
        if not name.startswith(str(folder)) or (failure.writes_only and not writes):
            return False
        if (is_short and what not in {"read", "write"}) or not injector.fails(f"{what} {Path(name).name}"):
            return False
        if not is_short:
            number = getattr(errno, failure.name)
            raise OSError(number, os.strerror(number), name)
        return True

    def wrapped(name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def call(path: Any, *args: Any, **options: Any) -> Any:
            is_opened_to_write = name == "open" and bool(args[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            is_writing = name in _WRITING_CALLS or is_opened_to_write
            within = _name(options["dir_fd"]) if options.get("dir_fd") is not None else ""
            if check(name, Path(within, path) if within else path, writes=is_writing):
                args = (args[0][: max(1, len(args[0]) // 2)], *args[1:])
            return original(path, *args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        failing_open = _FailingOpen(folder, check)
        for name in _CALLS:
            patch.setattr(os, name, wrapped(name))
        patch.setattr(os, "supports_dir_fd", {*os.supports_dir_fd, os.stat})
        patch.setattr(builtins, "open", failing_open)
        patch.setattr(io, "open", failing_open)
        yield


def _name(path: Any) -> str:
    """The path of a file or a descriptor; empty if it has none."""
    if not isinstance(path, int):
        return os.fsdecode(path)
    try:
        return str(Path(f"/proc/self/fd/{path}").readlink())
    except OSError:
        return ""
