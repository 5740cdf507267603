"""Scenarios: scripted lives of the service, played by clients that send real bytes over its API.

Only `history` writes to the database directly: it imports finished uploads without bytes. The same seed gives the same names,
sizes, order, outcomes and times. `catalogue` lists the scenarios and imports nothing; `registry` runs them.
"""
