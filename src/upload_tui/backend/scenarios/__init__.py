"""Stories that the embedded service can be told: real clients that send real bytes over its own API, at a story's pace.

Nothing here writes to the database, but for `history`, which imports finished uploads whose bytes were never here. The same
seed tells the same story: names, sizes, order, outcomes and times. `catalogue` names them and imports nothing; `registry`
can tell them.
"""
