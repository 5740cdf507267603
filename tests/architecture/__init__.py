"""The structure of the code: which package imports which, sizes, and a script that prints figures."""
