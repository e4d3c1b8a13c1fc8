"""The penalties of this room. Whatever trains imports this module: the registry in `agents` may not import probes."""

from __future__ import annotations

from goalmaze.agents.training.penalties.base import Penalty
from goalmaze.probes.penalties.irrelevant_probe import IrrelevantProbePenalty
from goalmaze.probes.penalties.linear_probe import LinearProbePenalty
from goalmaze.probes.penalties.random_direction import RandomDirectionPenalty

SHIPPED: tuple[type[Penalty], ...] = (IrrelevantProbePenalty, LinearProbePenalty, RandomDirectionPenalty)
