"""The prediction of sealed rows: errors of the law and of its rivals, coverage, and exponents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.scaling.law import RIVALS, IntrinsicLaw, LogLinear, Predictor, columns, prediction_interval
from goalmaze.experiments.scaling.pairs import Pair, matched_pairs
from goalmaze.experiments.scaling.registration import registered_scaling
from goalmaze.experiments.scaling.rows import ScaleRow, SplitRows, cell_means, check_seal

Floats = NDArray[np.float64]

LAWS: dict[str, type[Predictor]] = {"regret": IntrinsicLaw, "preference": LogLinear}
"""Quantity → the law that is fitted to it. No law of preference is known; the log-linear one is its own rival."""


@dataclasses.dataclass(frozen=True)
class PredictionRow:
    """How well one predictor predicts the means of sealed cells.

    Attributes:
        quantity: regret or preference.
        part: which sealed cells, a name of `SplitRows.parts`.
        predictor: its name.
        cells: number of sealed cells.
        median_points: median absolute error over cells, in points (hundredths).
        median_deviations: the same in standard deviations between seeds of the cell.
        coverage: rate of sealed agents inside the prediction interval; NaN for a rival.
        against_best_rival: relative change of the median error against the best rival; NaN for a rival.
    """

    quantity: str
    part: str
    predictor: str
    cells: int
    median_points: float
    median_deviations: float
    coverage: float
    against_best_rival: float

    def json(self) -> JsonObject:
        """Return the row as plain data."""
        return {name: number(one) if isinstance(one, float) else one for name, one in dataclasses.asdict(self).items()}


@dataclasses.dataclass(frozen=True)
class Scaling(Result):
    """The prediction of the sealed rows of a grid.

    Attributes:
        rows: one for each quantity, part of the sealed cells, and predictor.
        exponents: of the law of the regret.
        pairs: the networks with about as many parameters that are deep or wide.
        split: the rows of the grid.
    """

    rows: tuple[PredictionRow, ...]
    exponents: dict[str, float]
    pairs: tuple[Pair, ...]
    split: SplitRows

    def json(self) -> JsonObject:
        """Return the prediction as plain data."""
        return {
            "rows": [one.json() for one in self.rows],
            "exponents": {name: number(one) for name, one in self.exponents.items()},
            "pairs": [dataclasses.asdict(one) for one in self.pairs],
            "fitted": len(self.split.fitted),
            "sealed": len(self.split.sealed),
            "digest": self.split.digest,
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return what was sealed, one row for each predictor, and the pairs."""
        powers = ", ".join(f"{name} {one:.2f}" for name, one in self.exponents.items())
        rows = [
            [
                one.quantity,
                one.part,
                one.predictor,
                one.cells,
                formatted(one.median_points, ".1f"),
                formatted(one.median_deviations, ".2f"),
                formatted(one.coverage, ".2f"),
                formatted(one.against_best_rival, "+.0%"),
            ]
            for one in self.rows
        ]
        headers = ["quantity", "sealed", "predictor", "cells", "points", "seed SD", "coverage", "against rival"]
        counts = f"{len(self.split.fitted)} rows fitted, {len(self.split.sealed)} sealed (digest {self.split.digest})"
        pairs = [[_size(one.deep), _size(one.wide), str(one.regret), str(one.preference)] for one in self.pairs]
        return [
            f"{counts}; exponents of the regret: {powers}",
            Table(headers, rows, "median error of the predictions of sealed cells"),
            *([Table(PAIR_HEADERS, pairs, "deep minus wide, with about as many parameters")] if pairs else []),
        ]


PAIR_HEADERS = ("deep", "wide", "regret", "preference for the cue")


def _size(network: tuple[int, int, int]) -> str:
    width, blocks, parameters = network
    return f"{width} x {blocks} ({parameters:,})"


def predict_sealed(split: SplitRows, sealed: Path) -> Scaling:
    """Fit the laws to the fitted rows, and compare their predictions with the sealed ones.

    Args:
        split: the rows.
        sealed: the file of the seal.

    Raises:
        GoalmazeError: the sealed rows are not those of the seal.
    """
    # Before any fit: what was sealed must be what is opened.
    check_seal(sealed, split)
    rows = [row for quantity in LAWS for row in _predictions(split, quantity)]
    law = IntrinsicLaw.fit(*columns(split.fitted, "regret"))
    pairs = matched_pairs((*split.fitted, *split.sealed), registered_scaling().pair_ratio)
    return Scaling(tuple(rows), law.exponents, pairs, split)


def _predictions(split: SplitRows, quantity: str) -> list[PredictionRow]:
    law = LAWS[quantity]
    cells, means, spreads = cell_means(split.sealed, quantity)
    sizes = {row.cell: row.parameters for row in split.sealed}
    wanted = (np.array([sizes[one] for one in cells], float), np.array([one[2] for one in cells], float))
    predictors = {one: one.fit(*columns(split.fitted, quantity)) for one in (law, *RIVALS)}
    errors = {one: np.abs(fitted.predict(*wanted) - means) for one, fitted in predictors.items()}
    numbers = registered_scaling()
    low, high = prediction_interval(
        law, split.fitted, quantity, wanted, level=numbers.level, resamples=numbers.resamples
    )
    place = {cell: i for i, cell in enumerate(cells)}
    rows = []
    for part, sealed in split.parts.items():
        chosen = sorted({place[row.cell] for row in sealed})
        inside = [low[place[row.cell]] <= getattr(row, quantity) <= high[place[row.cell]] for row in sealed]
        best = min(float(np.median(errors[one][chosen])) for one in RIVALS if one is not law)
        rows += [
            PredictionRow(
                quantity,
                part,
                one.name,
                len(chosen),
                100 * float(np.median(error[chosen])),
                _median((error / np.where(spreads > 0, spreads, np.nan))[chosen]),
                float(np.mean(inside)) if one is law else float("nan"),
                float(np.median(error[chosen])) / max(best, 1e-12) - 1 if one is law else float("nan"),
            )
            for one, error in errors.items()
        ]
    return rows


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def planted_rows(
    law: IntrinsicLaw, widths: Sequence[int], blocks: Sequence[int], steps: Sequence[int], seeds: int, noise: float
) -> list[ScaleRow]:
    """Return rows of a known law with noise between seeds, to check a fit on.

    Args:
        law: the law.
        widths: of the grid.
        blocks: of the grid.
        steps: of the grid.
        seeds: number of seeds.
        noise: standard deviation of the logit of the regret between seeds.
    """
    rng = np.random.default_rng(1)
    rows = []
    for width in widths:
        for count in blocks:
            parameters = 9 * width * width * count + 50 * width
            for seed in range(seeds):
                for step in steps:
                    mean = law.predict(np.array([parameters], float), np.array([step], float))
                    logit = np.log(mean / (1 - mean)) + noise * rng.normal()
                    regret = float(1 / (1 + np.exp(-logit[0])))
                    rows.append(ScaleRow(width, count, parameters, step, seed, regret, float(rng.uniform(0.4, 0.6))))
    return rows
