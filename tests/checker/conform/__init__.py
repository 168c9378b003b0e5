"""Logs against models: toy programs."""
