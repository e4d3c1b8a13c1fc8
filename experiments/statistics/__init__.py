"""Intervals, bootstrap and comparisons; pure."""
