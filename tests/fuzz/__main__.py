"""Compare the two readers of pages on inputs that atheris finds: `python -m tests.fuzz -max_total_time=300`.

Needs `pip install atheris`. New inputs go to a temporary folder; one that fails is written to the current folder. Fix
the readers, then add it to `tests/fuzz/corpus` under a name that says what it shows.
"""

import sys
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["upload_tui.wire", "upload_tui.status", "json"]):
    from tests.fuzz.agreement import CORPUS, assert_readers_agree


def main() -> None:
    """Run the fuzzer with the options of libFuzzer."""
    with TemporaryDirectory() as found:
        atheris.Setup([sys.argv[0], "-max_len=8192", found, str(CORPUS), *sys.argv[1:]], assert_readers_agree)
        atheris.Fuzz()


main()
