"""Compare the two readers of pages on inputs that atheris finds: `python -m tests.fuzz -max_total_time=300`.

With `lines` as the first argument, lines of sources are read, stored and read again instead.

Needs `pip install atheris`. New inputs go to a temporary folder; one that fails is written to the current folder. Fix
the readers, then add it to `tests/fuzz/corpus` under a name that says what it shows.
"""

import sys
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["upload_tui.wire", "upload_tui.sources", "upload_tui.status", "json"]):
    from tests.fuzz.agreement import CORPUS, assert_readers_agree
    from tests.fuzz.source_lines import LINES_CORPUS, assert_line_is_stable


def main() -> None:
    """Run the fuzzer with the options of libFuzzer."""
    has_lines = sys.argv[1:2] == ["lines"]
    corpus, target = (LINES_CORPUS, assert_line_is_stable) if has_lines else (CORPUS, assert_readers_agree)
    with TemporaryDirectory() as found:
        options = sys.argv[2:] if has_lines else sys.argv[1:]
        atheris.Setup([sys.argv[0], "-max_len=8192", found, str(corpus), *options], target)
        atheris.Fuzz()


main()
