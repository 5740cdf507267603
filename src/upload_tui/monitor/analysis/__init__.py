"""Pure analysis of uploads: lateness, latencies, statistics. No I/O, no store."""
