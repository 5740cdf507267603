"""Coverage-guided fuzzing; not part of the suite. Its corpus is, in the tests of `wire`."""
