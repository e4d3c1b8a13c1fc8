"""`goalmaze bench train --family procgen`: where the time of a training on Procgen's pictures goes."""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple

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


class Setting(NamedTuple):
    """What one row measures.

    Attributes:
        stride: stride of the first convolution.
        cells: its cells along a side of the picture; 0 for the published network.
        scale: factor on the channels.
        precision: of the network.
        minibatches: minibatches of a rollout.
    """

    stride: int = 1
    cells: int = 0
    scale: float = 1
    precision: Precision = "fp32"
    minibatches: int = 16


SETTINGS: tuple[Setting, ...] = (
    Setting(),
    Setting(stride=2),
    Setting(cells=15, minibatches=4),
    Setting(cells=15),
    Setting(cells=15, minibatches=64),
    Setting(cells=15, scale=0.5),
    Setting(cells=15, scale=2),
)
"""What is measured without `--full`, in three minutes."""

SWEEP: tuple[Setting, ...] = (
    *SETTINGS,
    Setting(stride=4),
    Setting(cells=15, precision="bf16"),
    Setting(stride=2, precision="bf16"),
    Setting(precision="bf16"),
)
"""What `--full` measures. A CPU without instructions for bfloat16 takes many minutes for the last three."""

TURNS = 3
"""Rollouts that are timed, after one that warms up."""


def measure(full: bool) -> list[JsonObject]:
    """Return one row a setting of network and update.

    Rows hold the setting with its steps in a `minibatch`, `threads`, `steps_per_s` (medians over rollouts with their
    updates), and the fractions of the time that go to `environments` (steps with the levels they build, and shaping),
    `acting` (the network in rollouts, and what else a rollout takes) and `updates`.

    Raises:
        GoalmazeError: Procgen is not installed.
    """
    settings = SWEEP if full else SETTINGS
    return [_row(setting) for setting in tqdm(settings, desc="bench train, Procgen", disable=None)]


def _row(setting: Setting) -> JsonObject:
    network = {name: getattr(setting, name) for name in ("stride", "cells", "scale")}
    recipe = dataclasses.replace(
        RECIPE,
        network_options={**RECIPE.network_options, **network},
        precision=setting.precision,
        minibatches=setting.minibatches,
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
        **network,
        "precision": setting.precision,
        "minibatch": steps // setting.minibatches,
        "threads": recipe.threads,
        "steps_per_s": float(np.median(steps / whole)),
        **dict(zip(("environments", "acting", "updates"), map(float, fractions), strict=True)),
    }
