"""Functions of the Python API: load, train, roll out, make a family, fit an edit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, overload

from goalmaze.agents import rollout as loop
from goalmaze.agents.loading import load_agent
from goalmaze.agents.policies import Policy
from goalmaze.agents.population import Population, load_population
from goalmaze.agents.rollout import Trajectory
from goalmaze.agents.training import run
from goalmaze.agents.training.recipe import Recipe
from goalmaze.envs.cells import Cells
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import FITTING, Family, LevelBatch
from goalmaze.experiments.api.agent import Agent
from goalmaze.experiments.retarget.task import levels_with_cue_on_goal
from goalmaze.experiments.train.population.plan import planned
from goalmaze.experiments.train.population.seeds import checked_seeds
from goalmaze.experiments.train.population.training import PopulationOptions, train_population
from goalmaze.probes import steering
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.penalties import shipped as _penalties  # noqa: F401  registers them
from goalmaze.probes.steering.base import SteeringMethod


def load(name: str | Path, *, device: str = "cpu") -> Agent:
    """Load an agent from the zoo (``zoo:NAME``), a run folder or a checkpoint file; no code in it is run.

    Args:
        name: the agent, the folder or the file.
        device: the device that its network runs on: "cpu", "cuda", or "auto" for a CUDA device if there is one.
            `Agent.to` moves it later. Observations, activations and edits stay on the CPU.

    Raises:
        GoalmazeError: there is no such agent or device, or its checkpoint cannot be used.

    Example:
        >>> import goalmaze as gm
        >>> gm.load("zoo:green-exit").family.name
        'GreenExit'
    """
    agent = load_agent(str(name), device)
    return Agent(agent.network, agent.family, agent.name, agent.header)


@overload
def train(
    recipe: Recipe, folder: str | Path, *, seeds: None = None, save_every: float = run.SAVE_EVERY_SECONDS
) -> Agent: ...
@overload
def train(
    recipe: Recipe, folder: str | Path, *, seeds: Iterable[int], save_every: float = run.SAVE_EVERY_SECONDS
) -> Population: ...
def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    seeds: Iterable[int] | None = None,
    save_every: float = run.SAVE_EVERY_SECONDS,
) -> Agent | Population:
    """Train an agent, or a population with one agent a seed, into a new run folder and load it.

    A population is trained by a pool of processes on a CPU, and as one program on a GPU.

    Args:
        recipe: how to train.
        folder: the folder to make.
        seeds: the training seeds of a population, which replace the recipe's; None for one agent.
        save_every: seconds between saves from which a killed run can be resumed.

    Raises:
        GoalmazeError: the folder exists, or the recipe names something unknown; nothing is written then.
        KeyboardInterrupt: it was interrupted; what is saved can be resumed.

    Example:
        >>> import goalmaze as gm
        >>> recipe = gm.Recipe(steps=2_048, envs=16, parameters={"size": 5}, network_options={"blocks": 1})
        >>> gm.train(recipe, "runs/tiny").family.size
        5
        >>> gm.train(recipe, "runs/many", seeds=range(64)).seeds[17]  # doctest: +SKIP
        17
    """
    if seeds is not None:
        report = train_population(
            planned(recipe, checked_seeds(seeds)), Path(folder), PopulationOptions(save_every=save_every)
        )
        return load_population(str(report.folder))
    training = run.train(recipe, Path(folder), save_every=save_every)
    training.check_complete()
    return load(training.folder)


def family(name: str, **parameters: Any) -> Family:
    """Make a family by name with parameters of your own; unmentioned ones keep their defaults.

    Raises:
        GoalmazeError: no such family or parameter, or a value out of range.

    Example:
        >>> import goalmaze as gm
        >>> gm.family("GreenExit", size=13, salience=2).levels(seed=0, count=3).walls.shape
        (3, 13, 13)
    """
    return make_family(name, parameters)


def rollout(
    agent: Agent | Policy, levels: LevelBatch, *, seed: int = 0, greedy: bool = False, until: Cells | None = None
) -> Trajectory:
    """Play one episode on every level and return the trajectory.

    Args:
        agent: an agent, edited or not, or any object with the method `begin` of a policy.
        levels: B levels.
        seed: of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        until: int32 [B], cells; an episode is not followed any further once a step has led there.

    Raises:
        GoalmazeError: there are no levels, or the agent cannot see levels of this family and size.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> gm.rollout(agent, agent.family.levels(seed=0, count=8)).steps.shape
        (8,)
    """
    policy = agent.policy if isinstance(agent, Agent) else agent
    return loop.rollout(policy, levels, seed=seed, greedy=greedy, until=until)


def fit_edit(
    agent: Agent, method: str | SteeringMethod, site: str, *, levels: int | LevelBatch = 512, seed: int = 0
) -> FittedEdit:
    """Fit an edit that moves the goal, on levels of the fitting split.

    Args:
        agent: the agent whose goal is to be moved.
        method: a steering method or its name, see `steering_methods`.
        site: the site to edit, see `Agent.sites`.
        levels: how many fitting levels, or the levels themselves, with goal and cue on one cell.
        seed: of the levels and of what the method draws.

    Raises:
        GoalmazeError: no such method or site, or the method does not apply there.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> gm.fit_edit(agent, "mean-pattern", site="block1", levels=64).site
        'block1'
    """
    # With the cue on the goal, as in training, an edit learns where "the goal" is without a choice between the two.
    batch = levels_with_cue_on_goal(agent.family, levels, seed, FITTING) if isinstance(levels, int) else levels
    return steering.fit_edit(agent, method, site, batch, seed=seed)
