"""upload-tui: watch chunked uploads until they are safe. Importing this imports nothing else."""

__all__ = ["__version__"]

__version__ = "0.1.0"
