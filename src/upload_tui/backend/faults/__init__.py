"""Faults injected on purpose: which are active, and what they do to responses, to stored bytes and to the control endpoint."""
