"""Prints the table of simulated coverage: `python -m goalmaze.experiments.coverage`."""

from __future__ import annotations

from goalmaze.experiments.coverage.simulations import table

if __name__ == "__main__":
    print(table().markdown())
