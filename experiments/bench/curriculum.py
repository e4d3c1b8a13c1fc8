"""The cost of a curriculum: environment steps per second with it, beside domain randomisation in the same minute."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
import torch
from tqdm import tqdm

from goalmaze.agents.training.curricula.plr import PrioritisedReplay
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.sb3_environment import unwrap
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.bench.trainer import TimedTrainer

CURRICULA: tuple[tuple[str, str], ...] = (
    ("plr", "regret"),
    ("accel", "regret"),
    ("accel", "value-loss"),
    ("accel", "novelty"),
)
"""The curricula and scores that are measured: those of least and of most work."""

START = "zoo:green-exit"
"""A trained agent: its episodes are short, so levels are replayed, scored and edited as often as late in training."""

MIXTURE = 0.01
"""Rate of distinguishing levels."""


def curriculum_rows(turns: int, filled: int) -> list[JsonObject]:
    """Return a row for each of `CURRICULA`, all with the same keys.

    `steps_per_s` and `dr_steps_per_s` are medians over turns of one rollout and its update, with the curriculum and
    with domain randomisation. `cost` is the median of the ratio of their times, minus 1. A curriculum updates the
    network on replayed steps alone and may so be cheaper, therefore `rollout_cost` compares rollouts without updates.

    Args:
        turns: rollouts that are timed.
        filled: rollouts before them, so that the buffer is filled.
    """
    recipe = Recipe(
        start=START, parameters={"mixture": MIXTURE}, learning_rate=0.0, threads=torch.get_num_threads(), device="cpu"
    )
    return [
        compare(
            dataclasses.replace(recipe, curriculum=name, curriculum_options={"score": score, "buffer": 4096}),
            turns,
            filled,
        )
        for name, score in tqdm(CURRICULA, desc="bench train, curricula", disable=None)
    ]


def compare(recipe: Recipe, turns: int, filled: int) -> JsonObject:
    """Return the row of one curriculum; see `curriculum_rows`."""
    ours = TimedTrainer(recipe)
    plain = TimedTrainer(dataclasses.replace(recipe, curriculum="dr", curriculum_options={}))
    for _ in range(filled):
        ours.turn()
    plain.turn()
    # In turns, so that other load on the machine slows both alike.
    seconds = np.array([[ours.turn(), plain.turn()] for _ in range(turns)])
    steps, whole = recipe.envs * recipe.rollout_steps, seconds.sum(axis=2)
    medians = np.median(steps / whole, axis=0)
    curriculum = cast(PrioritisedReplay, unwrap(ours.algorithm.env).curriculum)
    return {
        "curriculum": recipe.curriculum,
        "score": curriculum.options.score,
        "buffer": len(curriculum.buffer),
        "steps_per_s": float(medians[0]),
        "dr_steps_per_s": float(medians[1]),
        "cost": float(np.median(whole[:, 0] / whole[:, 1]) - 1),
        "rollout_cost": float(np.median(seconds[:, 0, 0] / seconds[:, 1, 0]) - 1),
    }
