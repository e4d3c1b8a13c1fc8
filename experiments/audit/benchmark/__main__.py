"""Remakes the benchmark's page and picture: `python -m goalmaze.experiments.audit.benchmark docs`."""

from goalmaze.experiments.audit.benchmark.page import main

if __name__ == "__main__":
    main()
