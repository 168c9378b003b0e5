"""Theorems about the protocol, for any number of threads and pages."""
