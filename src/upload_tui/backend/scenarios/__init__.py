"""Scenarios: scripted sequences of uploads and faults; simulated clients send real bytes over the service's API.

Only `history` writes to the database directly: it imports finished uploads without bytes. The same seed gives the same names,
sizes, order, outcomes and times. `catalogue` lists the scenarios and imports nothing; `registry` runs them.
"""
