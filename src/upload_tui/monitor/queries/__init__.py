"""Queries: their terms, the parser of what users write, and their evaluation in memory. All are pure, except `field_values`."""
