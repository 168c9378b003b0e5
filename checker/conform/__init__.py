"""Logs of a running program, validated as behaviours of a compiled model."""
