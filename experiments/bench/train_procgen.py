"""`goalmaze bench train --family procgen`: where the time of a training on Procgen's pictures goes."""

from __future__ import annotations

import dataclasses
import time
from typing import TypeAlias

import numpy as np
import torch
from tqdm import tqdm

from goalmaze.agents.training.recipe import Precision, Recipe
from goalmaze.agents.training.sb3_environment import unwrap
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.experiments.bench.trainer import TimedTrainer

RECIPE = Recipe(
    family=ProcgenMaze.name,
    parameters={"mode": "easy", "region": 5},
    observation="rgb64",
    network="impala",
    network_options={"centred": True},
    envs=64,
    rollout_steps=32,
    minibatches=16,
    epochs=1,
    learning_rate=1e-3,
    discount=0.97,
    device="cpu",
)
"""What all rows share: easy mode, the cheese in the top right 5×5, one pass over each rollout."""

Setting: TypeAlias = tuple[int, int, Precision, int]
"""Stride of the first convolution, its cells (0: none), precision, minibatches of a rollout."""

SETTINGS: tuple[Setting, ...] = (
    (1, 0, "fp32", 16),
    (2, 0, "fp32", 16),
    (1, 15, "fp32", 4),
    (1, 15, "fp32", 16),
    (1, 15, "fp32", 64),
)
"""What is measured without `--full`, in two minutes."""

SWEEP: tuple[Setting, ...] = (
    *SETTINGS,
    (4, 0, "fp32", 16),
    (1, 15, "bf16", 16),
    (2, 0, "bf16", 16),
    (1, 0, "bf16", 16),
)
"""What `--full` measures. A CPU without instructions for bfloat16 takes many minutes for the last three."""

TURNS = 3
"""Rollouts that are timed, after one that warms up."""


def measure(full: bool) -> list[JsonObject]:
    """Return one row a setting of network and update.

    Rows hold `stride` and `cells` of the first convolution, `precision`, `minibatch`, `threads`, `steps_per_s` (medians
    over rollouts with their updates), and the fractions of the time that go to `environments` (steps with the levels
    they build, and shaping), `acting` (the network in rollouts, and what else a rollout takes) and `updates`.

    Raises:
        GoalmazeError: Procgen is not installed.
    """
    settings = SWEEP if full else SETTINGS
    return [_row(*setting) for setting in tqdm(settings, desc="bench train, Procgen", disable=None)]


def _row(stride: int, cells: int, precision: Precision, minibatches: int) -> JsonObject:
    recipe = dataclasses.replace(
        RECIPE,
        network_options={**RECIPE.network_options, "stride": stride, "cells": cells},
        precision=precision,
        minibatches=minibatches,
        threads=torch.get_num_threads(),
    )
    trainer = TimedTrainer(recipe)
    mazes, steps = unwrap(trainer.algorithm.env), recipe.envs * recipe.rollout_steps
    actions = np.random.default_rng(0).integers(0, 4, (recipe.rollout_steps, recipe.envs))
    seconds = np.zeros((TURNS + 1, 3))
    for turn in seconds:
        rollout, update = trainer.turn()
        begun = time.perf_counter()
        for row in actions:
            mazes.step(row)
        environments = time.perf_counter() - begun
        turn[:] = environments, rollout - environments, update
    # The first turn compiles and fills caches.
    whole = seconds[1:].sum(axis=1)
    fractions = np.median(seconds[1:] / whole[:, None], axis=0)
    return {
        "stride": stride,
        "cells": cells,
        "precision": precision,
        "minibatch": steps // minibatches,
        "threads": recipe.threads,
        "steps_per_s": float(np.median(steps / whole)),
        **dict(zip(("environments", "acting", "updates"), map(float, fractions), strict=True)),
    }
