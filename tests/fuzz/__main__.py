"""Fuzz a target: `python -m tests.fuzz queries`, `python -m tests.fuzz all --seconds 60`.

A target is one of `targets`, a Hypothesis test of its list, or another one as `MODULE:NAME` (below `tests`), which its own
`fuzz_one_input` runs; `properties` are all tests of the list, and `all` is everything. With atheris
(`pip install atheris`), coverage guides the search, and libFuzzer's options follow `--`; without it, entries of the corpus are
changed at random. An input that fails is written to the current folder, and `--file` runs it again: fix what it shows, then add it to
`tests/fuzz/corpus` under a name that says what it shows.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from random import Random, SystemRandom
from tempfile import TemporaryDirectory

try:
    import atheris
except ImportError:
    atheris = None

_INSTRUMENTED = ["upload_tui.wire", "upload_tui.sources", "upload_tui.status", "upload_tui.monitor.queries", "json"]

with atheris.instrument_imports(include=_INSTRUMENTED) if atheris else nullcontext():
    from tests.fuzz.targets import CORPUS, PROPERTIES, TARGETS, Target, property_target


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments name; 1 if an input fails. One of `--file` that fails raises its error."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help=f"all, properties, {', '.join([*TARGETS, *PROPERTIES])}, or MODULE:NAME")
    parser.add_argument("--seconds", type=_seconds, default=60.0, help="how long, for all targets together")
    parser.add_argument("--seed", type=int, help="of the changes without atheris")
    parser.add_argument("--file", type=_content, help="run this input only")
    parser.add_argument("options", nargs="*", help="of libFuzzer")
    options = parser.parse_args(arguments)
    groups = {"all": [*TARGETS, *PROPERTIES], "properties": [*PROPERTIES]}
    names = groups.get(options.target, [options.target])
    try:
        targets = {name: _target(name) for name in names}
    except (ImportError, AttributeError, ValueError) as error:
        parser.error(f"there is no target {options.target!r} ({error}); --help names them")
    if options.file is not None and len(names) > 1:
        parser.error("--file needs one target")
    if options.file is not None:
        targets[names[0]](options.file)
        return 0
    if atheris and len(names) == 1:
        _run_atheris(targets[names[0]], names[0], options.options)
    seed = SystemRandom().randrange(10**9) if options.seed is None else options.seed
    return max(_change_at_random(target, name, options.seconds / len(names), seed) for name, target in targets.items())


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{file} cannot be read: {error.strerror}") from error


def _target(name: str) -> Target:
    return TARGETS[name] if name in TARGETS else property_target(PROPERTIES.get(name, name))


def _run_atheris(target: Target, name: str, options: Sequence[str]) -> None:
    """Fuzz until a limit of libFuzzer, which ends the process."""
    with TemporaryDirectory() as found:
        known = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
        atheris.Setup([sys.argv[0], "-max_len=8192", found, *known, *options], target)
        atheris.Fuzz()


_PIECES = (
    b"null",
    b"-1",
    b"1e999",
    b'""',
    b"[]",
    b"{}",
    b"\xff",
    b"\x00",
    b"\xed\xa0\x80",
    b"9" * 400,
    b"[" * 2000,
    b"2026-02-30T99:00:00Z",
)


def _change_at_random(target: Target, name: str, seconds: float, seed: int) -> int:
    """Change entries of the corpus at random; return 1 if one fails."""
    rng = Random(f"{seed} {name}")
    files = sorted((CORPUS / name).iterdir()) if (CORPUS / name).is_dir() else []
    corpus, count, ends = [file.read_bytes() for file in files] or [rng.randbytes(200)], 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        data = _changed(rng.choice(corpus), rng, corpus)
        count += 1
        try:
            target(data)
        except Exception as error:  # noqa: BLE001  # whatever it is, this input has found it
            file = Path(f"failed-{name.rpartition(':')[2]}-{count}")
            file.write_bytes(data)
            found = f"{name}: {type(error).__name__}: {error}\n  input {count} of seed {seed}, written to {file}"
            sys.stderr.write(f"{found}\n  python -m tests.fuzz {name} --file {file}\n")
            return 1
    sys.stdout.write(f"{name}: {count} inputs, seed {seed}\n")
    return 0


def _changed(data: bytes, rng: Random, corpus: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        start = rng.randrange(len(changed) + 1)
        end = min(len(changed), start + rng.choice((0, 1, 1, 4, 30)))
        other = rng.choice(corpus)
        place = rng.randrange(len(other) + 1)
        pieces = (
            b"",
            rng.randbytes(1),
            rng.choice(_PIECES),
            other[place : place + rng.randrange(40)],
            changed[start:end] * 2,
        )
        with suppress(IndexError):
            changed[start:end] = rng.choice(pieces)
    return bytes(changed)


if __name__ == "__main__":
    sys.exit(main())
