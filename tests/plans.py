"""A recipe and plans of sweeps that take seconds."""

from __future__ import annotations

from pathlib import Path

from goalmaze.agents.training.recipe import Recipe

MAZES = {"size": 5}
NETWORK = {"channels": 4, "blocks": 1, "hidden": 8}
SMALL_RECIPE = Recipe(
    parameters=MAZES, network_options=NETWORK, steps=512, envs=16, rollout_steps=16, minibatches=2, epochs=1, threads=1
)

SMALL = """
seeds = [0, 1]
[train]
family = "Corner"
steps = 512
envs = 16
rollout_steps = 16
minibatches = 2
epochs = 1
[train.parameters]
size = 5
[train.network_options]
channels = 4
blocks = 1
hidden = 8
[dials]
corner = [1, 3]
"""
LONG = SMALL.replace("steps = 512", "steps = 24_576").replace("corner = [1, 3]", "corner = [1]")


def write_plan(folder: Path, text: str) -> Path:
    """Write a plan into a folder and return its file."""
    path = folder / "plan.toml"
    path.write_text(text)
    return path
