"""Refits the calibration of the package and prints the tables of its agents: `python -m goalmaze.experiments.audit`."""

from goalmaze.experiments.audit.benchmark.recalibration import main

if __name__ == "__main__":
    main()
