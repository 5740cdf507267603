"""Programs that benchmarks run: references, and services and dashboards over generated data."""
