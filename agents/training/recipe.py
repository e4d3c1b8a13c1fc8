"""The recipe of a training run: all of its settings as plain data. Imports nothing heavy, since `--help` needs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

import msgspec

from goalmaze.agents.training.device_defaults import by_device
from goalmaze.agents.training.migration import current_recipe
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.observations.spec import Mode
from goalmaze.envs.ranges import MAX_RUN_SEED, check_number

Precision: TypeAlias = Literal["fp32", "bf16"]
"""Arithmetic of a network."""

DEFAULT_PRECISION = cast(Precision, by_device("fp32"))

Through: TypeAlias = Literal["loss", "reward", "refitted", "last-phase"]
"""How a penalty acts: in the loss with a reading that is fitted once; taken from the reward, without gradient; in the
loss with a reading that is refitted; in the loss, alone, in a last phase of training."""

MAX_WEIGHT = 1e6
"""Largest weight of a penalty."""

OBSERVATION_OPTIONS = ("pixels", "radius")

RANGES: Mapping[str, tuple[float, float]] = {
    "steps": (1, 10**12),
    "seed": (0, MAX_RUN_SEED),
    "envs": (1, 2**16),
    "rollout_steps": (1, 2**16),
    "minibatches": (1, 2**20),
    "epochs": (1, 1000),
    "learning_rate": (0, 10),
    "weight_decay": (0, 100),
    "colour_jitter": (1, 255),
    "discount": (0, 1),
    "gae_lambda": (0, 1),
    "clip": (0, 10),
    "entropy": (0, 100),
    "gradient_clip": (0, 1e6),
    "shaping": (-100, 100),
    "threads": (0, 1024),
    "penalty_kl": (0, MAX_WEIGHT),
    "route_cue": (0, 1024),
}
"""Number → its smallest and largest value. Numbers beyond them are mistakes, or fill the memory."""

MAX_ROLLOUT = 2**22
"""Largest number of steps in one rollout of all environments: their observations are in memory together."""

MAX_NAME = 4096
"""Longest name of a family, a network, an agent or an import, in characters; that of a path on most systems."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All settings of a training run.

    The defaults of steps, envs, learning_rate and precision are those of a CPU. One agent that is trained alone on a
    GPU takes others where they are not given, see `goalmaze.agents.training.device_recipe`.

    Attributes:
        family: name of the family.
        parameters: the family's parameters; others keep their defaults.
        observation: observation mode, see `goalmaze.ObservationSpec`.
        observation_options: options of the mode, such as pixels or radius; others keep their defaults.
        network: name of the network.
        network_options: the network's hyperparameters; others keep their defaults.
        start: agent whose weights training starts from, a run folder or ``zoo:NAME``; random weights if empty.
        distill: agent that is imitated: the divergence of the policy from its policy, and the squared difference of
            values, take the place of PPO's loss, so that no reward is used (Rusu et al., "Policy Distillation", 2016,
            on the levels that the student meets). None if empty.
        steps: environment steps to train for.
        seed: seed of levels, initial weights and sampled actions.
        envs: number of parallel environments.
        rollout_steps: steps of each environment between two updates.
        minibatches: number of minibatches that one pass over a rollout is split into.
        epochs: passes over each rollout.
        learning_rate: Adam's learning rate at the start; it is annealed linearly to 0.
        weight_decay: decoupled weight decay (AdamW, Loshchilov and Hutter, 2019); each step of Adam also multiplies all
            weights by 1 - learning rate * weight decay.
        discount: discount per step.
        gae_lambda: lambda of generalised advantage estimation.
        clip: clipping range of PPO's probability ratio.
        entropy: weight of the entropy bonus.
        gradient_clip: largest norm of the gradient.
        reward: the reward that the agent learns from, "true" or "cue".
        shaping: reward for each cell by which a step shortens the path to the nearest object worth reaching, see
            `goalmaze.agents.training.shaping`.
        shaping_kind: "progress", or "potential" for potential-based shaping, which keeps the order of policies.
        threads: number of CPU threads; 0 for all.
        precision: arithmetic of the network, "fp32" or "bf16".
        device: "cpu", "cuda", or "auto" for a CUDA device if there is one.
        algorithm: training algorithm. "ppo" is `goalmaze.agents.training.ppo.TensorPPO`; "sb3-ppo", "sb3-a2c" and
            "sb3-dqn" are those of stable-baselines3, unchanged.
        algorithm_options: further arguments of the algorithm's class in stable-baselines3.
        imports: files or modules of the user's own that were imported for the run, as given to `--import`. A recipe
            records them; loading it does not import them.
        colour_jitter: the largest factor by which planes of objects are multiplied in training, drawn for each episode,
            see `goalmaze.agents.training.colour_jitter`; 1 for none.
        curriculum: which level each episode plays, see `goalmaze.agents.training.curricula`. "dr" is domain
            randomisation: fresh levels alone.
        curriculum_options: options of the curriculum; others keep their defaults.
        series: which scheduled checkpoints are kept: "standard" keeps three for every factor of ten in steps, "dense"
            40 from 500 steps on, evenly spaced on a logarithmic scale.
        penalty: penalties by name with their weights, see `goalmaze.agents.training.penalties`.
        penalty_through: how they act: "loss", "reward", "refitted" or "last-phase".
        penalty_kl: weight of the KL divergence from the agent of `start`.
        penalty_options: options of the penalties; others keep their defaults.
        ablate_direction: the penalty whose directions are ablated in training; none if empty.
        route_cue: number of channels of the first convolution that the cue is routed to; 0 for no routing.

    Example:
        >>> import goalmaze as gm
        >>> gm.Recipe(steps=10_000, parameters={"size": 7}).algorithm
        'ppo'
    """

    family: str = "GreenExit"
    parameters: JsonObject = dataclasses.field(default_factory=dict)
    observation: Mode = "planes"
    observation_options: dict[str, int] = dataclasses.field(default_factory=dict)
    network: str = "grid"
    network_options: JsonObject = dataclasses.field(default_factory=dict)
    start: str = ""
    steps: int = by_device(300_000)
    seed: int = 0
    envs: int = by_device(128)
    rollout_steps: int = by_device(16)
    minibatches: int = by_device(8)
    epochs: int = 2
    learning_rate: float = by_device(3e-3)
    weight_decay: float = 0.0
    discount: float = 0.9
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    gradient_clip: float = 0.5
    reward: Literal["true", "cue"] = "true"
    shaping: float = 0.3
    shaping_kind: Literal["progress", "potential"] = "progress"
    threads: int = 0
    precision: Precision = DEFAULT_PRECISION
    device: Literal["auto", "cpu", "cuda"] = "auto"
    algorithm: Literal["ppo", "sb3-ppo", "sb3-a2c", "sb3-dqn"] = "ppo"
    algorithm_options: JsonObject = dataclasses.field(default_factory=dict)
    imports: tuple[str, ...] = ()
    series: Literal["standard", "dense"] = "standard"
    colour_jitter: int = 1
    curriculum: str = "dr"
    curriculum_options: JsonObject = dataclasses.field(default_factory=dict)
    penalty: dict[str, float] = dataclasses.field(default_factory=dict)
    penalty_through: Through = "loss"
    penalty_kl: float = 0.0
    penalty_options: JsonObject = dataclasses.field(default_factory=dict)
    ablate_direction: str = ""
    route_cue: int = 0
    distill: str = ""

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            check_number(name, getattr(self, name), low, high)
        for name, weight in self.penalty.items():
            check_number(f"the weight of penalty {name[:MAX_NAME]}", weight, 0, MAX_WEIGHT)
        for name in ("family", "network", "start", "distill", "curriculum", "ablate_direction"):
            if len(getattr(self, name)) > MAX_NAME:
                raise GoalmazeError(f"{name} has {len(getattr(self, name)):,} characters: {MAX_NAME:,} is the most")
        for name in self.observation_options:
            if name not in OBSERVATION_OPTIONS:
                raise unknown("observation option", name, OBSERVATION_OPTIONS)
        if self.envs * self.rollout_steps > MAX_ROLLOUT:
            raise GoalmazeError(
                f"a rollout of {self.envs} x {self.rollout_steps} steps is more than {MAX_ROLLOUT:,}: lower envs or "
                "rollout_steps"
            )
        if self.envs * self.rollout_steps % self.minibatches:
            raise GoalmazeError(
                f"a rollout of {self.envs} x {self.rollout_steps} steps does not split into {self.minibatches} "
                "equal minibatches; change one of them"
            )


def recipe_from(data: ReadonlyJsonObject) -> Recipe:
    """Build a recipe from plain data, checking names and types; names of earlier versions are accepted.

    Raises:
        GoalmazeError: a field is unknown, of the wrong type, or out of range.
    """
    data = current_recipe(data)
    known = [field.name for field in dataclasses.fields(Recipe)]
    for name in data:
        if name not in known:
            raise unknown("field of a recipe", name, known)
    try:
        return msgspec.convert(data, Recipe)
    except msgspec.ValidationError as error:
        # msgspec wraps what `__post_init__` raises; its own message is the better one.
        cause = error.__cause__
        raise cause if isinstance(cause, GoalmazeError) else GoalmazeError(f"recipe: {error}") from None
