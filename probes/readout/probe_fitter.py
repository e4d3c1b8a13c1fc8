"""The kinds of probes, and which kind is fitted to which concept and site."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.labels import Labels, LabelType
from goalmaze.probes.readout.fitting import SquareFitter
from goalmaze.probes.readout.linear import GlobalFitter
from goalmaze.probes.readout.windows import SquareClassFitter, WindowCellFitter
from goalmaze.probes.squares import read_window

ProbeKind = Literal["square", "window", "agent", "agent-window", "global"]
"""What a probe uses: the channels of each square, of the 3×3 window around each square, of the agent's own square, of
the 3×3 window around the agent, or all features together."""

WINDOW_SIDES: dict[ProbeKind, int] = {"square": 1, "window": 3}
"""Side in squares of the window around each square that a kind of probe uses."""

AGENT_SIDES: dict[ProbeKind, int] = {"agent": 1, "agent-window": 3}
"""Side in squares of the window around the agent that a kind of probe uses."""


def suitable_probe_kinds(label_type: LabelType, preferred: ProbeKind, *, is_map: bool) -> tuple[ProbeKind, ...]:
    """Return the kinds of probes that predict a concept at a site; none where no kind can.

    Args:
        label_type: of the concept.
        preferred: the preferred kind. Where it predicts squares and the maze has one class or number, all kinds that
            predict one are returned: a network may represent it at the agent's square or spread over the map.
        is_map: whether the site is a map of squares.
    """
    if not is_map:
        return () if label_type == "squares" else ("global",)
    if label_type == "squares":
        return ("window",) if preferred in ("window", "agent-window") else ("square",)
    if label_type == "cell" or preferred not in WINDOW_SIDES:
        return (preferred,)
    return (*AGENT_SIDES, "global")


def used_features(activations: Tensor, levels: LevelBatch, kind: ProbeKind) -> Tensor:
    """Return what a kind of probe uses of activations [N, ...]: the window around the agent, or all of them.

    Raises:
        GoalmazeError: the kind uses the agent's square, and the activations are no maps of squares.
    """
    if kind not in AGENT_SIDES:
        return activations
    _check_map(activations, kind)
    return around_agent(activations, levels, AGENT_SIDES[kind])


def around_agent(maps: Tensor, levels: LevelBatch, side: int) -> Tensor:
    """Return [N, C*side*side], the window of maps [N, C, H, W] around the agent's first cell; 0 beyond the border."""
    return read_window(maps, levels.start, side)


def _check_map(activations: Tensor, kind: ProbeKind) -> None:
    if activations.dim() != 4:
        raise GoalmazeError(f"a {kind} probe needs a map, and this site has no squares; use a global probe")


class ProbeFitter:
    """Fits probes of different concepts to the same activations; what the fits share is computed once.

    Args:
        activations: [N, ...], one row for each maze: the `used_features` of the kinds of probes to fit.
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
        """Return a probe: a function from the `used_features` [N, ...] to predictions like the labels.

        Raises:
            GoalmazeError: this kind of probe cannot predict the concept, or needs a map of squares.
        """
        if kind not in get_args(ProbeKind):
            raise unknown("probe kind", kind, get_args(ProbeKind))
        return self._fit_squares(labels, kind) if kind in WINDOW_SIDES else self._fit_global(labels)

    def _fit_global(self, labels: Labels) -> Callable[[Tensor], Tensor]:
        if labels.label_type == "squares":
            raise GoalmazeError(f"'{labels.name}' has a label for every square; use a square or window probe")
        if labels.label_type == "cell":
            return self._global_fitter().fit_cells(labels.values, self._cells)
        if labels.label_type == "number":
            return self._global_fitter().fit_numbers(labels.values)
        return self._global_fitter().fit_classes(labels.values, len(labels.classes))

    def _fit_squares(self, labels: Labels, kind: ProbeKind) -> Callable[[Tensor], Tensor]:
        _check_map(self._activations, kind)
        if labels.label_type == "squares":
            return self._class_fitter(WINDOW_SIDES[kind]).fit(labels.values, len(labels.classes))
        if labels.label_type == "cell":
            return self._cell_fitter(WINDOW_SIDES[kind]).fit(labels.values)
        raise GoalmazeError(
            f"a {kind} probe predicts squares, '{labels.name}' has one label for each maze; use a global probe"
        )
