"""Writes the calibration file of the package: `python -m goalmaze.experiments.audit`."""

from goalmaze.experiments.audit.calibration import SHIPPED, save_calibration
from goalmaze.experiments.audit.shipped_agents import provisional_calibration

if __name__ == "__main__":
    save_calibration(SHIPPED, provisional_calibration())
