"""The native engine: a program as C, compiled when it is explored."""
