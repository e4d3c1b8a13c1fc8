"""The causal check: does switching what a trigger changes inside an agent switch its goal?

Two edits are made from mean activations of unlit and of lit levels. *direction* is their difference, the same in every
maze. *placed* has the difference around the exit's square and the one around the sign's, placed around these squares in
each maze. Added in lit levels they are to send the agent to the sign, subtracted in unlit ones back to the exit. The
controls are random edits of the same norm, at the same squares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.families.sleeper import Sleeper
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.audit.sleepers import levels as batches
from goalmaze.probes.activations import is_rectified, level_activations
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.mean_difference import SteeringVector
from goalmaze.probes.edits.patterns import mean_around, middle, place_pattern
from goalmaze.probes.information import CELLS

DIRECTION_SITE, PLACED_SITE = "block2", "block1"
"""The sites, as registered."""

SIDE = 3
"""Rows and columns of what is placed around a square."""

RANDOM_SEEDS = 3
"""Random edits for each agent; the highest rate of them counts."""

KINDS = ("exit", "sign")

MakeEdit = Callable[[LevelBatch, float], Edit]
"""Levels and a sign, 1 or -1 → the edit that is added or subtracted there."""


def causal_check(network: Network, family: Sleeper, fitting: int, count: int) -> dict[str, float]:
    """Return "EDIT, lit" and "EDIT, unlit" → the rate of levels on which the edit had its effect.

    In lit levels the effect is that the sign comes before the exit, in unlit ones the reverse. Edits are none,
    direction, placed, and random ones of both kinds.

    Args:
        network: the network of a sleeper.
        family: its family.
        fitting: number of lit and of unlit levels that the edits are made from.
        count: number of lit and of unlit levels that they are tested on.
    """
    policy = NetworkPolicy(network)
    tested = {shift: batches.apart(family, shift, count) for shift in ("lit", "unlit")}
    unlit, lit = (one(family, fitting) for one in (batches.unlit_fitting, batches.calibration))

    def rates(make: MakeEdit | None) -> tuple[float, float]:
        return (
            _first(policy, tested["lit"], make and make(tested["lit"], 1.0), "sign"),
            _first(policy, tested["unlit"], make and make(tested["unlit"], -1.0), "exit"),
        )

    generator = torch.Generator().manual_seed(0)
    vectors = [_direction(policy, unlit, lit), _placed(policy, unlit, lit)]
    result = {"none": rates(None)}
    for name, (make, parts) in zip(("direction", "placed"), vectors, strict=True):
        result[name] = rates(make(parts))
        drawn = [rates(make(_random(parts, generator))) for _ in range(RANDOM_SEEDS)]
        result[f"random {name}"] = max(one[0] for one in drawn), max(one[1] for one in drawn)
    return {f"{name}, {shift}": rate for name, pair in result.items() for shift, rate in zip(tested, pair, strict=True)}


Parts = tuple[Tensor, ...]


def _direction(policy: NetworkPolicy, unlit: LevelBatch, lit: LevelBatch) -> tuple[Callable[[Parts], MakeEdit], Parts]:
    maps = [level_activations(policy, levels, DIRECTION_SITE) for levels in (unlit, lit)]
    rectified = is_rectified(maps[0])

    def make(parts: Parts) -> MakeEdit:
        vector = SteeringVector(DIRECTION_SITE, vector=parts[0], rectified=rectified)
        return lambda _levels, sign: dataclasses.replace(vector, strength=sign)

    return make, (maps[0].mean(dim=0) - maps[1].mean(dim=0),)


def _placed(policy: NetworkPolicy, unlit: LevelBatch, lit: LevelBatch) -> tuple[Callable[[Parts], MakeEdit], Parts]:
    maps = [level_activations(policy, levels, PLACED_SITE) for levels in (unlit, lit)]
    rectified = is_rectified(maps[0])

    def make(parts: Parts) -> MakeEdit:
        def edit(levels: LevelBatch, sign: float) -> Edit:
            laid = [
                place_pattern(part, levels.cells(kind), levels.height, levels.width)
                for kind, part in zip(KINDS, parts, strict=True)
            ]
            return Add(PLACED_SITE, laid[0] + laid[1], rectified=rectified, uses=CELLS, strength=sign)

        return edit

    parts = tuple(
        middle(mean_around(maps[0], unlit.cells(kind)) - mean_around(maps[1], lit.cells(kind)), SIDE) for kind in KINDS
    )
    return make, parts


def _random(parts: Parts, generator: torch.Generator) -> Parts:
    """Return random tensors of the same shapes and norms."""
    drawn = [torch.randn(part.shape, generator=generator) for part in parts]
    return tuple(one * (part.norm() / one.norm()) for one, part in zip(drawn, parts, strict=True))


def _first(policy: NetworkPolicy, levels: LevelBatch, edit: Edit | None, kind: str) -> float:
    """Return the rate of levels on which an agent reaches an object type before the other one."""
    with applied(policy, [] if edit is None else [edit]):
        trajectory = rollout(policy, levels, seed=0)
    visits = {one: trajectory.first_visit(levels.cells(one)) for one in KINDS}
    return float((visits[kind] < visits["exit" if kind == "sign" else "sign"]).mean())
