"""The kinds of probes, and which kind is fitted to which concept and site."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.labels import Labels, LabelType
from goalmaze.probes.readout.fitting import SquareFitter
from goalmaze.probes.readout.linear import GlobalFitter
from goalmaze.probes.readout.windows import SquareClassFitter, WindowCellFitter

ProbeKind = Literal["square", "window", "global"]
"""What a probe uses: the channels of each square, of the 3×3 window around each square, or all features together."""

WINDOW_SIDES = {"square": 1, "window": 3}
"""Side in squares of the window that a kind of probe uses."""


def suitable_probe_kind(label_type: LabelType, preferred: ProbeKind, *, is_map: bool) -> ProbeKind | None:
    """Return the kind of probe closest to the preferred one that can predict a concept; None where none can.

    Args:
        label_type: of the concept.
        preferred: the preferred kind.
        is_map: whether the site is a map of squares.
    """
    if label_type == "squares":
        return None if not is_map else "square" if preferred == "global" else preferred
    return preferred if label_type == "cell" and is_map else "global"


class ProbeFitter:
    """Fits probes of different concepts to the same activations; what the fits share is computed once.

    Args:
        activations: [N, ...], one row for each maze.
        levels: the mazes.
        seed: of the mazes drawn where there are too many.
    """

    def __init__(self, activations: Tensor, levels: LevelBatch, seed: int) -> None:
        self._activations, self._cells = activations, levels.height * levels.width
        # Made when first needed: an eigenbasis of all features is the most expensive, and probes of squares do without.
        self._global_fitter = functools.cache(lambda: GlobalFitter(activations))
        self._class_fitter = functools.cache(lambda side: SquareClassFitter(activations, side, seed))
        self._cell_fitter = functools.cache(
            lambda side: SquareFitter(activations) if side == 1 else WindowCellFitter(activations, side)
        )

    def fit(self, labels: Labels, kind: ProbeKind) -> Callable[[Tensor], Tensor]:
        """Return a probe: a function from activations [N, ...] to predictions like the labels.

        Raises:
            GoalmazeError: this kind of probe cannot predict the concept, or needs a map of squares.
        """
        if kind not in (*WINDOW_SIDES, "global"):
            raise unknown("probe kind", kind, (*WINDOW_SIDES, "global"))
        return self._fit_global(labels) if kind == "global" else self._fit_squares(labels, kind)

    def _fit_global(self, labels: Labels) -> Callable[[Tensor], Tensor]:
        if labels.label_type == "squares":
            raise GoalmazeError(f"'{labels.name}' has a label for every square; use a square or window probe")
        if labels.label_type == "cell":
            return self._global_fitter().fit_cells(labels.values, self._cells)
        if labels.label_type == "number":
            return self._global_fitter().fit_numbers(labels.values)
        return self._global_fitter().fit_classes(labels.values, len(labels.classes))

    def _fit_squares(self, labels: Labels, kind: ProbeKind) -> Callable[[Tensor], Tensor]:
        if self._activations.dim() != 4:
            raise GoalmazeError(f"a {kind} probe needs a map, and this site has no squares; use a global probe")
        if labels.label_type == "squares":
            return self._class_fitter(WINDOW_SIDES[kind]).fit(labels.values, len(labels.classes))
        if labels.label_type == "cell":
            return self._cell_fitter(WINDOW_SIDES[kind]).fit(labels.values)
        raise GoalmazeError(
            f"a {kind} probe predicts squares, '{labels.name}' has one label for each maze; use a global probe"
        )
