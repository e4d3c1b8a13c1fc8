"""The options of `goalmaze train`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import CommandConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(CommandConfig):
    """Train an agent into a run folder.

    Attributes:
        out: the run folder to make; runs/FAMILY-seedN with a free number where not given.
        resume: an interrupted run folder to go on with; all else is as it was then.
        recipe: a TOML recipe, or the recipe.json of a run to repeat; the flags below override it.
        family: the world.
        size: rows and columns of the mazes, in cells.
        parameters: the family's parameters, such as salience=2 correlation=0.9.
        network: the network.
        network_options: its hyperparameters, such as channels=32.
        start: the agent whose weights to begin with, such as one trained on smaller mazes.
        steps: environment steps.
        seed: of levels, weights and sampled actions.
        threads: CPU threads, 0 for all.
        observation: what the agent sees.
        algorithm: "ppo" is this package's PPO; "sb3-ppo", "sb3-a2c" and "sb3-dqn" are those of stable-baselines3.
        device: "cpu", "cuda", or "auto" for cuda where there is one.
        save_every: seconds between saves that a killed run can be resumed from.
        tensorboard: write TensorBoard's files into the run folder too.
        set: any other field of the recipe, such as entropy=0.02 shaping=0.
    """

    out: Path | None = None
    resume: Path | None = None
    recipe: Path | None = None
    family: str | None = None
    size: int | None = None
    parameters: tuple[str, ...] = ()
    network: str | None = None
    network_options: tuple[str, ...] = ()
    start: str | None = None
    steps: int | None = None
    seed: int | None = None
    threads: int | None = None
    observation: str | None = None
    algorithm: str | None = None
    device: str | None = None
    save_every: float = 30.0
    tensorboard: bool = False
    set: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.save_every < 0:
            raise GoalmazeError(f"--save-every is {self.save_every}: choose 0 or more seconds")
