"""Screens: each asks the session, hands facts to its widgets, and decides what a person's wish means."""
