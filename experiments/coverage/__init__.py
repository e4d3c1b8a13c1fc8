"""Simulated coverage of the intervals that commands print."""
