"""Measuring the engines beside their peers."""
