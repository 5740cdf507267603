"""The structure of the code: which room imports which, sizes, and a script that prints figures."""
