"""Queries: their terms, the parser of what users write, and their evaluation in memory. All is pure but `field_values`."""
