"""upload-tui: watch chunked uploads until they are verified. Importing the package imports nothing else."""

__all__ = ["__version__"]

__version__ = "0.1.0"
