"""The data that scripts get, byte for byte: the output of each format over a service that is the same at every run."""
