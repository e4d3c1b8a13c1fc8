"""Remakes the page on goal formation and its pictures: `python -m goalmaze.experiments.formation docs RUN ...`."""

from goalmaze.experiments.formation.page import main

if __name__ == "__main__":
    main()
