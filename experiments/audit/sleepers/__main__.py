"""Remakes the page on sleepers: `python -m goalmaze.experiments.audit.sleepers docs`."""

from goalmaze.experiments.audit.sleepers.page import main

if __name__ == "__main__":
    main()
