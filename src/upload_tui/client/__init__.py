"""The client: httpx on one side, typed answers and typed errors on the other."""
