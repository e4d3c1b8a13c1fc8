"""A population on processes: every agent is trained alone in a run folder of its own, below that of the population."""

from __future__ import annotations

import functools
import math
import os
import sys
from pathlib import Path

from tqdm import tqdm

from goalmaze.agents.files import write_atomically
from goalmaze.agents.free_memory import free_memory
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.networks.registry import make_meta_network
from goalmaze.agents.training.algorithms import make_environments
from goalmaze.agents.training.population_plan import PopulationPlan
from goalmaze.agents.training.recipe import Recipe
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.jobs.executors import WORKERS_LOG, make_executor
from goalmaze.experiments.jobs.job import JOURNAL, LOCK, Task
from goalmaze.experiments.jobs.runner import TaskSummary, run_tasks

AGENTS = "agents"
"""The folder, below that of an unfinished population, with a run folder for each agent, named by its number."""

WORKER_BYTES = 450 * 2**20
"""Memory of a process that has imported what training needs, without its rollout."""

ROLLOUT_COPIES = 3
"""Rollout, minibatches and activations, in units of the observations of one rollout as float32."""

STACK_COPIES = 4
"""Copies of all weights that are in memory while a checkpoint is stacked and written."""


def train_agents(
    folder: Path, recipe: Recipe, plan: PopulationPlan, *, save_every: float, workers: int, cluster: str
) -> TaskSummary:
    """Train and evaluate the agents of a population that are not finished, one a worker at a time.

    An agent whose numbers become NaN or infinite ends with its last scheduled checkpoint; the others go on.

    Args:
        folder: the run folder of the population.
        recipe: the recipe of its first agent.
        plan: the seed and the parameters of every agent.
        save_every: seconds between saves of an agent.
        workers: number of processes; 0 for one a core, divided by the threads of an agent.
        cluster: address of a Dask scheduler; empty for processes of this machine.

    Raises:
        GoalmazeError: memory holds no worker, workers died again and again, the cluster is gone, or an agent cannot be
            trained.
    """
    root = folder / AGENTS
    make_folder(root / JOURNAL, "--out")
    # Only if it is missing: a job of a process that still runs may look for it.
    if not (root / LOCK).exists():
        write_atomically(root / LOCK, b"")
    tasks = [Task(str(number), plan.parameters[number], plan.recipe(recipe, number)) for number in range(len(plan))]
    count = 0 if cluster else local_workers(recipe, workers)
    executor = functools.partial(make_executor, count, cluster, root / WORKERS_LOG)
    summary = run_tasks(tasks, root, executor, save_every, unit="agent", keep_diverged=True)
    if summary.failed:
        number, reason = next(iter(summary.failed.items()))
        raise GoalmazeError(
            f"{len(summary.failed)} of {len(plan)} agents failed, such as agent {number}: {reason}; the others are "
            f"saved: continue with goalmaze train --resume {folder}"
        )
    return summary


def check_memory(recipe: Recipe, agents: int, workers: int) -> None:
    """Check that memory holds a worker, and all agents together when they are stacked.

    Raises:
        GoalmazeError: it does not.
    """
    local_workers(recipe, workers)
    fit = free_memory() // (STACK_COPIES * _weight_bytes(recipe))
    if agents > fit:
        raise GoalmazeError(
            f"{agents} agents are more than memory holds: {fit} fit; train them as several populations, or choose a "
            "smaller network"
        )


def local_workers(recipe: Recipe, workers: int) -> int:
    """Return the number of processes: as asked for, or one a core, but no more than memory holds.

    Raises:
        GoalmazeError: memory does not hold a single one.
    """
    needed, free = _worker_bytes(recipe), free_memory()
    fit = free // needed
    if fit < 1:
        raise GoalmazeError(
            f"training one agent needs about {needed / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free: lower "
            "envs or rollout_steps"
        )
    wanted = workers or max(1, (os.cpu_count() or 1) // max(recipe.threads, 1))
    if fit < wanted:
        tqdm.write(f"goalmaze: memory holds {fit} processes, so {fit} train and not {wanted}", file=sys.stderr)
    return min(wanted, fit)


def _weight_bytes(recipe: Recipe) -> int:
    shape = Shape.seeing(make_environments(recipe).mazes.view)
    network = make_meta_network(recipe.network, shape, recipe.network_options)
    return sum(tensor.nbytes for tensor in network.state_dict().values())


def _worker_bytes(recipe: Recipe) -> int:
    observation = Shape.seeing(make_environments(recipe).mazes.view).observation
    return WORKER_BYTES + ROLLOUT_COPIES * 4 * math.prod(observation) * recipe.envs * recipe.rollout_steps
