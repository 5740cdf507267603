"""The time to the first frame of similar programs, in the same run and on the same terminal.

Their dependencies conflict, so each has an environment of its own in the folder of `--peers`. Without it they are skipped.
"""

import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.figures import Figure
from tests.benchmarks.sampling import interleaved_medians
from tests.benchmarks.terminal import TerminalProgram, python

__all__ = ["BENCHMARKS", "Peer", "installed"]

_BARE_TABLE = python("-m", "tests.benchmarks.programs.bare_table")
_DEMO = python("-m", "upload_tui", "demo")


@dataclass(frozen=True, slots=True)
class Peer:
    """A program: its package, pinned version, command, and a text of its first frame."""

    name: str
    version: str
    command: Sequence[str]
    first_text: str


_PEERS = (
    Peer("toolong", "1.5.0", ("tl", "peer.log"), " Tail"),
    Peer("posting", "2.11.1", ("posting",), "Send"),
    Peer("harlequin", "2.17.0", ("harlequin",), "Query"),
)


def first_frame_of_peers(*, quick: bool, folder: Path | None = None) -> Sequence[Figure]:
    """From the command to the first painted frame, compared with a bare Textual app. Only upload-tui has a real goal."""
    if folder is None:
        sys.stderr.write("peers: skipped; --peers FOLDER installs and measures them\n")
        return []
    with TemporaryDirectory() as home:
        (Path(home) / "peer.log").write_text("".join(f"line {number}\n" for number in range(1, 1000)))
        programs = {peer.name: (installed(peer, folder), peer.first_text) for peer in _PEERS}
        programs = {name: program for name, program in programs.items() if _starts(name, *program, home)}
        programs |= {"upload-tui demo": (_DEMO, "Uploads"), "reference": (_BARE_TABLE, "BareTable")}
        seconds = interleaved_medians(
            {name: partial(_first_frame, *program, home) for name, program in programs.items()}, 3 if quick else 9
        )
    bare = seconds.pop("reference") * 1000
    return [
        Figure(f"first frame of {name}", value * 1000, bare, "ms", 1.15 if name == "upload-tui demo" else 100.0)
        for name, value in seconds.items()
    ]


def installed(peer: Peer, folder: Path) -> Sequence[str]:
    """The command line of a program, which is installed in its own environment first if it is missing."""
    environment = folder / f"{peer.name}-{peer.version}"
    if not (environment / "bin" / peer.command[0]).exists():
        venv.create(environment, with_pip=True)
        install = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q", f"{peer.name}=={peer.version}"]
        subprocess.run(install, check=True)
    return [str(environment.resolve() / "bin" / peer.command[0]), *peer.command[1:]]


def _starts(name: str, command: Sequence[str], text: str, home: str) -> bool:
    """Start a program once as a warm-up; False, with a message, if it ends before its first frame."""
    try:
        _first_frame(command, text, home)
    except RuntimeError:
        sys.stderr.write(f"{name}: skipped; it does not start on this machine\n")
        return False
    return True


def _first_frame(command: Sequence[str], text: str, home: str) -> float:
    environment: Mapping[str, str] = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"), home)
    with TerminalProgram(command, environment, folder=Path(home) if command[-1] == "peer.log" else None) as program:
        return program.seconds_until(text)


BENCHMARKS = (first_frame_of_peers,)
