"""Laws of scale from trained runs: `python -m goalmaze.experiments.scaling seal|predict FILE RUN ...`.

`seal` measures the runs, splits the rows and writes the digest of the sealed ones into FILE; `predict` measures them
again, checks the digest, fits the laws to the other rows, and prints how well they predict the sealed ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from goalmaze.experiments.scaling.grid import grid_rows
from goalmaze.experiments.scaling.report import predict_sealed
from goalmaze.experiments.scaling.rows import seal, split_rows


def main() -> None:
    """Seal the rows of runs, or predict them."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("action", choices=["seal", "predict"])
    arguments.add_argument("file", type=Path, help="the file of the seal")
    arguments.add_argument("runs", nargs="+", help="run folders with a series of checkpoints")
    chosen = arguments.parse_args()
    split = split_rows(grid_rows(chosen.runs))
    if chosen.action == "seal":
        seal(chosen.file, split)
        print(f"sealed {len(split.sealed)} of {len(split.sealed) + len(split.fitted)} rows: {split.digest}")
    else:
        print(predict_sealed(split, chosen.file))


if __name__ == "__main__":
    main()
