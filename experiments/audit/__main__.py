"""Refits the calibration of the package and prints the table of its agents: `python -m goalmaze.experiments.audit`."""

from goalmaze.experiments.audit.benchmark.recalibration import population_calibration
from goalmaze.experiments.audit.calibration import SHIPPED, save_calibration
from goalmaze.experiments.audit.shipped_agents import shipped_table

if __name__ == "__main__":
    calibration = population_calibration()
    save_calibration(SHIPPED, calibration)
    print(shipped_table(calibration).markdown())
