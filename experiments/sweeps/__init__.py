"""Sweeps: a plan of seeds and dials, processes or a cluster that train its runs, and one table of results."""
