"""The options of `goalmaze train`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import CommandConfig, Limits, Words, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(CommandConfig):
    """Train an agent into a run folder, then evaluate it in distribution and under every shift.

    Attributes:
        out: the run folder to make.
        resume: an interrupted run folder to continue, with the settings that it was started with.
        recipe: a TOML file of settings, or the recipe.json of a run to repeat. Options override its settings, and it
            overrides the defaults.
        family: the family of levels, one of those that goalmaze families lists.
        size: rows and columns of the mazes, in cells.
        parameters: parameters of the family, such as salience=2 correlation=0.9.
        network: the network, one of those that goalmaze networks lists.
        network_options: hyperparameters of the network, such as channels=32.
        start: the agent whose weights training starts from, such as one trained on smaller mazes; of a population, each
            run's is the agent of its seed. Network and observation mode are taken too, where none is given.
        distill: an agent to imitate: its policy and values are learned in place of a reward; of a population, each
            run's is the agent of its seed.
        steps: environment steps to train for.
        seed: seed of levels, initial weights and sampled actions.
        seeds: train a population, one agent a seed, such as 0-63 or 0,3,7 or 0-7,16.
        grid: parameters of the family to combine with all seeds of a population, such as salience=1,2.
        series: which scheduled checkpoints are kept; dense keeps 40 from 500 steps on.
        threads: number of CPU threads; 0 for all.
        observation: the observation mode.
        algorithm: the training algorithm; those of stable-baselines3 begin with sb3.
        curriculum: which level each episode plays, one of the curricula listed below.
        curriculum_options: options of the curriculum, such as score=regret replay_probability=0.5.
        penalty: readings whose number is added to the loss, with their weights, such as linear-probe=1; see the list
            below.
        penalty_through: how penalties act. loss fits the reading once, refitted fits it again while it trains, reward
            takes it from the reward without a gradient, last-phase trains on it alone at the end.
        penalty_kl: weight of the KL divergence from the agent that training starts from.
        penalty_options: options of the penalties, such as site=block4 begin=0.25 every=2.
        ablate_direction: the penalty whose directions of an activation are ablated in training, such as linear-probe.
        route_cue: number of channels of the first convolution to which the gradients of the cue are routed; 0 for no
            routing.
        device: the device; auto is cuda where there is one. On a GPU one agent takes larger batches and 4000000 steps
            where they are not given.
        save_every: seconds between saves, from which an interrupted run continues.
        workers: number of processes that train a population.
        cluster: address of a Dask scheduler that trains a population, such as tcp://127.0.0.1:8786.
        tensorboard: also write TensorBoard files into the run folder.
        watch_goal: show the preference that the inside forecasts in the progress bar, from training levels alone.
        stop_if: stop a run whose forecast preference is at least a number, such as cue=0.8 or goal=0.9.
        set: any other setting of the recipe, such as entropy=0.02 shaping=0.
    """

    lists: ClassVar[tuple[str, ...]] = ("families", "networks", "curricula", "scores", "penalties")
    limits: ClassVar[Limits] = {"save_every": (0, None), "workers": (0, 1024)}
    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze train --out runs/mine",
        "goalmaze train --family Corner --parameters corner=3 --steps 1000000",
        "goalmaze train --seeds 0-63",
        "goalmaze train --start runs/mine --penalty linear-probe=1 --penalty-kl 0.1",
        "goalmaze train --resume runs/mine",
    )

    out: Annotated[Path | None, option("FOLDER", "runs/FAMILY-seedSEED, numbered if it exists")] = None
    resume: Annotated[Path | None, option("FOLDER", "none")] = None
    recipe: Annotated[Path | None, option("FILE", "none")] = None
    family: Annotated[str | None, option("FAMILY", "GreenExit")] = None
    size: Annotated[int | None, option("INT", "the family's")] = None
    parameters: Words = ()
    network: Annotated[str | None, option("NETWORK", "grid")] = None
    network_options: Words = ()
    start: Annotated[str | None, option("AGENT", "none, random weights")] = None
    distill: Annotated[str | None, option("AGENT", "none")] = None
    steps: Annotated[int | None, option("INT", "300000")] = None
    seed: Annotated[int | None, option("INT", "0")] = None
    seeds: Annotated[str | None, option("LIST", "none, one agent")] = None
    grid: Words = ()
    series: Annotated[str | None, option("{standard,dense}", "standard")] = None
    threads: Annotated[int | None, option("INT", "0")] = None
    observation: Annotated[str | None, option("{planes,rgb,rgb64,crop,partial}", "planes")] = None
    algorithm: Annotated[str | None, option("{ppo,sb3-ppo,sb3-a2c,sb3-dqn}", "ppo")] = None
    curriculum: Annotated[str | None, option("CURRICULUM", "dr")] = None
    curriculum_options: Words = ()
    penalty: Words = ()
    penalty_through: Annotated[str | None, option("{loss,reward,refitted,last-phase}", "loss")] = None
    penalty_kl: Annotated[float | None, option("FLOAT", "0.0")] = None
    penalty_options: Words = ()
    ablate_direction: Annotated[str | None, option("PENALTY", "none")] = None
    route_cue: Annotated[int | None, option("INT", "0")] = None
    device: Annotated[str | None, option("{auto,cpu,cuda}", "auto")] = None
    save_every: float = 30.0
    workers: Annotated[int, option("INT", "0, one a core")] = 0
    cluster: Annotated[str, option("ADDRESS", "none")] = ""
    tensorboard: bool = False
    watch_goal: bool = False
    stop_if: Annotated[str | None, option("SIDE=RATE", "none")] = None
    set: Words = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers and self.cluster:
            raise GoalmazeError("--workers counts processes of this machine and --cluster has its own: leave one out")
        if self.seeds is None:
            for name in ("grid", "workers", "cluster"):
                # An interrupted population continues on as many processes as are wanted now.
                if getattr(self, name) and (name == "grid" or self.resume is None):
                    raise GoalmazeError(f"--{name} is for populations: add --seeds, such as --seeds 0-7")
            return
        for name, why in (
            ("seed", "--seeds lists the seeds of all agents"),
            ("resume", "--resume continues a population with its own seeds"),
            ("tensorboard", "--tensorboard is for one agent"),
            ("watch_goal", "--watch-goal is for one agent"),
            ("stop_if", "--stop-if is for one agent"),
        ):
            if getattr(self, name) not in (None, False):
                raise GoalmazeError(f"--seeds and --{name} exclude each other: {why}; leave one out")
