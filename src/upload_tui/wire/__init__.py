"""JSON of the service on one side, frozen facts on the other; used by the client and by the embedded service alike."""
