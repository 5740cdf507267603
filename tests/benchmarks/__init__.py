"""Speed as ratios: what ours takes against a reference in the same run. `python -m tests.benchmarks` runs all of it."""
