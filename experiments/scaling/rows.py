"""Rows of a grid of networks, steps and seeds; the largest networks and the last steps are sealed before a fit.

Sealing writes the digest of the rows that are to be predicted. A fit reads the other rows alone, and the sealed rows
are opened afterwards against the digest, so that nobody can exchange them in between.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.files import write_atomically
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.scaling.registration import registered_scaling

Floats = NDArray[np.float64]


class ScaleRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agent at one checkpoint.

    Attributes:
        width: channels of the network.
        blocks: its blocks.
        parameters: number of its weights.
        steps: environment steps taken.
        seed: the training seed.
        regret: normalised regret, 0 for the optimal policy and 1 for a return of 0.
        preference: for the cue on distinguishing levels.
    """

    width: int
    blocks: int
    parameters: int
    steps: int
    seed: int
    regret: float
    preference: float

    @property
    def cell(self) -> tuple[int, int, int]:
        """Width, blocks and steps: what agents share that differ by their seed."""
        return self.width, self.blocks, self.steps


@dataclasses.dataclass(frozen=True)
class SplitRows:
    """The rows of a grid, split for a prediction.

    Attributes:
        fitted: small networks before the last factor in steps.
        sealed: the largest network, and the last factor in steps.
    """

    fitted: tuple[ScaleRow, ...]
    sealed: tuple[ScaleRow, ...]

    @property
    def parts(self) -> dict[str, tuple[ScaleRow, ...]]:
        """The sealed rows: all, those of the largest network, and the last steps of the others; empty ones left out."""
        largest = max(row.parameters for row in self.sealed)
        parts = {
            "all": self.sealed,
            "largest network": tuple(row for row in self.sealed if row.parameters == largest),
            "last steps": tuple(row for row in self.sealed if row.parameters < largest),
        }
        return {name: rows for name, rows in parts.items() if rows}

    @property
    def digest(self) -> str:
        """The digest of the sealed rows."""
        return rows_digest(self.sealed)


def split_rows(rows: Sequence[ScaleRow], factor: float | None = None) -> SplitRows:
    """Return rows split into those that are fitted and those that are sealed.

    Args:
        rows: of a grid.
        factor: of the last steps that are sealed; the registered one by default.

    Raises:
        GoalmazeError: fewer than two sizes of network are left to fit.
    """
    factor = registered_scaling().sealed_factor if factor is None else factor
    largest = max((row.parameters for row in rows), default=0)
    last = max((row.steps for row in rows), default=0)
    sealed = {row for row in rows if row.parameters == largest or row.steps > last / factor}
    fitted = tuple(row for row in rows if row not in sealed)
    if len({row.parameters for row in fitted}) < 2:
        raise GoalmazeError(
            f"the grid needs three sizes of network, and checkpoints before the last factor of {factor:g} in steps: "
            "give more runs"
        )
    return SplitRows(fitted, tuple(row for row in rows if row in sealed))


def rows_digest(rows: Sequence[ScaleRow]) -> str:
    """Return the digest of rows, which does not depend on their order."""
    ordered = sorted(rows, key=lambda row: (row.cell, row.seed))
    return hashlib.blake2b(msgspec.json.encode(ordered), digest_size=16).hexdigest()


def seal(path: Path, split: SplitRows) -> None:
    """Write the digest of the sealed rows.

    Raises:
        GoalmazeError: there is a seal already, so that rows may have been seen.
    """
    if path.exists():
        raise GoalmazeError(f"{path} exists: rows are sealed once; choose another file")
    write_atomically(path, f"{split.digest}\n".encode())


def check_seal(path: Path, split: SplitRows) -> None:
    """Check that the sealed rows are those whose digest was written.

    Raises:
        GoalmazeError: they are others, or there is no seal.
    """
    try:
        written = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise GoalmazeError(f"cannot read the seal {path}: {error.strerror}") from None
    if written != split.digest:
        raise GoalmazeError(f"the sealed rows are not those of {path}: measure the grid again or seal it anew")


def cell_means(rows: Sequence[ScaleRow], quantity: str) -> tuple[list[tuple[int, int, int]], Floats, Floats]:
    """Return the cells of rows, the mean of a quantity over the seeds of each, and its standard deviation.

    The deviation of a cell with one seed is NaN.
    """
    cells = list(dict.fromkeys(row.cell for row in rows))
    values = {cell: [float(getattr(row, quantity)) for row in rows if row.cell == cell] for cell in cells}
    means = np.array([np.mean(values[cell]) for cell in cells])
    spreads = np.array([np.std(values[cell], ddof=1) if len(values[cell]) > 1 else np.nan for cell in cells])
    return cells, means, spreads
