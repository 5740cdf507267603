"""Peers beside us, in the same run and on the same terminal: how soon each has painted its first frame.

Their dependencies exclude ours, so each lives in an environment of its own, made once when `--peers FOLDER` names where. Without
it they are skipped with a word.
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
from tests.benchmarks.painted import PaintedProgram, python
from tests.benchmarks.turns import medians_in_turn

__all__ = ["BENCHMARKS", "Peer", "installed"]

_BARE_TABLE = python("-m", "tests.benchmarks.programs.bare_table")
_DEMO = python("-m", "upload_tui", "demo")


@dataclass(frozen=True, slots=True)
class Peer:
    """A program: what pip calls it, its pinned version, its command, and words of its first frame."""

    name: str
    version: str
    command: Sequence[str]
    first_words: str


_PEERS = (
    Peer("toolong", "1.5.0", ("tl", "peer.log"), " Tail"),
    Peer("posting", "2.11.1", ("posting",), "Send"),
    Peer("harlequin", "2.17.0", ("harlequin",), "Query"),
)


def first_frame_of_peers(*, quick: bool, folder: Path | None = None) -> Sequence[Figure]:
    """From the command to the first painted frame: ours and theirs, against a bare Textual app. Theirs has no goal to miss."""
    if folder is None:
        sys.stderr.write("peers: skipped; --peers FOLDER installs them there and measures them\n")
        return []
    with TemporaryDirectory() as home:
        (Path(home) / "peer.log").write_text("".join(f"line {number}\n" for number in range(1, 1000)))
        programs = {peer.name: (installed(peer, folder), peer.first_words) for peer in _PEERS}
        programs = {name: program for name, program in programs.items() if _starts(name, *program, home)}
        programs |= {"upload-tui demo": (_DEMO, "Uploads"), "reference": (_BARE_TABLE, "BareTable")}
        seconds = medians_in_turn(
            {name: partial(_first_frame, *program, home) for name, program in programs.items()}, 3 if quick else 9
        )
    bare = seconds.pop("reference") * 1000
    return [
        Figure(f"first frame of {name}", value * 1000, bare, "ms", 1.15 if name == "upload-tui demo" else 100.0)
        for name, value in seconds.items()
    ]


def installed(peer: Peer, folder: Path) -> Sequence[str]:
    """The peer's command line; installs the peer into an environment of its own first, if it is not there."""
    place = folder / f"{peer.name}-{peer.version}"
    if not (place / "bin" / peer.command[0]).exists():
        venv.create(place, with_pip=True)
        install = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", f"{peer.name}=={peer.version}"]
        subprocess.run(install, check=True)
    return [str(place.resolve() / "bin" / peer.command[0]), *peer.command[1:]]


def _starts(name: str, words: Sequence[str], text: str, home: str) -> bool:
    """Also warms it up; one that ends before its first frame is left out with a word."""
    try:
        _first_frame(words, text, home)
    except RuntimeError:
        sys.stderr.write(f"{name}: skipped; it does not start on this machine\n")
        return False
    return True


def _first_frame(words: Sequence[str], text: str, home: str) -> float:
    surroundings: Mapping[str, str] = dict.fromkeys(
        ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"), home
    )
    with PaintedProgram(words, surroundings, folder=Path(home) if words[-1] == "peer.log" else None) as program:
        return program.seconds_until(text)


BENCHMARKS = (first_frame_of_peers,)
