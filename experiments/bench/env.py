"""`goalmaze bench env`: levels generated and steps taken per second, with a new level after each episode."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, cast

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from tqdm import tqdm

from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.jit.nontemporal import stream
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import TRAINING, Family
from goalmaze.envs.mazes.carving import ALGORITHMS, carve_many
from goalmaze.envs.single import MazeEnv
from goalmaze.envs.vector import MazeVectorEnv

SECONDS = 0.15
"""Duration of a trial."""

TRIALS = 5
BATCH = 1024
SIZE = 13
DRAWN_AHEAD = 64
"""Steps whose random actions are drawn before the measurement."""

BATCHES = (64, 256, 1024, 4096, 16384)
OBSERVATIONS = ("planes", "rgb", "rgb64", "crop", "partial")


def measure(full: bool) -> list[JsonObject]:
    """Return one row for each family, observation, batch and number of threads, then the machine's write bandwidth.

    Rows hold `family`, `size`, `observation`, `batch`, `threads`, `steps_per_s`, `levels_per_s`, `bytes_per_env` and
    `seconds`; `observation` is "in place" where the environment returns its live array, and "into a buffer" where
    every step is also written to a rollout buffer. Every rate is the best of a few trials, because other load on the
    machine can only lower it.
    """
    return [task() for task in tqdm(_tasks(full), desc="bench env", unit="row", disable=None)]


def _tasks(full: bool) -> list[Callable[[], JsonObject]]:
    green = make_family("GreenExit", {"size": SIZE})
    tasks = [
        functools.partial(_row, green, "planes", BATCH, 1, into_buffer=False),
        functools.partial(_row, green, "planes", BATCH, 1, into_buffer=True),
        functools.partial(_row, green, "rgb", BATCH, 1, into_buffer=False),
        functools.partial(_row, green, "planes", BATCH, os.cpu_count() or 1, into_buffer=False),
    ]
    families = [make_family(name, {"size": SIZE}) for name in known_families() if name != green.name]
    tasks += [functools.partial(_row, family, "planes", BATCH, 1, into_buffer=False) for family in families]
    if full:
        tasks += [
            functools.partial(_row, green, observation, batch, threads, into_buffer=False)
            for observation in OBSERVATIONS
            for batch in BATCHES
            for threads in sorted({1, os.cpu_count() or 1})
            if observation in ("planes", "crop", "partial") or batch <= BATCH
        ]
    tasks += [functools.partial(_single, green), functools.partial(_levels, green)]
    tasks += [functools.partial(_mazes, algorithm) for algorithm in (ALGORITHMS if full else ALGORITHMS[:1])]
    return [*tasks, functools.partial(_bandwidth, "copied"), functools.partial(_bandwidth, "streamed"), _start]


def _row(family: Family, observation: str, batch: int, threads: int, *, into_buffer: bool) -> JsonObject:
    """Measure random steps in vector environments, one for each thread."""
    # Threads and not processes: the compiled kernels release Python's lock.
    walks = [_Walk(family, observation, batch, thread, into_buffer) for thread in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        rates = list(pool.map(lambda walk: per_second(walk.step, batch), walks))
    fresh = functools.partial(family.levels, 0, np.arange(batch), split=TRAINING)
    destination = "into a buffer" if into_buffer else "in place"
    return _named(
        family.name,
        family.size,
        f"{observation}, {destination}",
        batch,
        threads,
        steps=sum(rates),
        levels=per_second(fresh, batch),
        bytes_per_env=walks[0].bytes_per_env,
    )


def _single(family: Family) -> JsonObject:
    """Measure random steps in one `gymnasium.Env`."""
    env = MazeEnv(family)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 4, 4096).tolist()

    def walk() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return _named(family.name, family.size, "planes, one Env", 1, 1, steps=per_second(walk, len(actions)))


def _levels(family: Family) -> JsonObject:
    """Measure the generation of whole levels: mazes with agent and objects."""
    fresh = functools.partial(family.levels, 0, np.arange(4096), split=TRAINING)
    return _named(family.name, SIZE, "levels only", 4096, 1, levels=per_second(fresh, 4096))


def _mazes(algorithm: str) -> JsonObject:
    """Measure the walls of one maze algorithm, without braiding and objects."""
    walls, rng = np.zeros((BATCH, SIZE, SIZE), np.bool_), np.ones(1, np.uint64)
    carve = functools.partial(carve_many, walls, rng, ALGORITHMS.index(algorithm), 0.5, 0.0)
    return _named("(walls)", SIZE, f"mazes only, {algorithm}", BATCH, 1, levels=per_second(carve, BATCH))


def _bandwidth(how: str) -> JsonObject:
    """Measure how fast the observations of environments can be written to memory, copied or with nontemporal stores."""
    source = np.zeros((BATCH, 4, SIZE * SIZE), np.uint8)
    buffer = np.zeros((DRAWN_AHEAD, source.size), np.uint8)
    # Another row each time, so that the writes go to memory and not to a cache.
    rows = itertools.cycle(buffer)

    def write() -> None:
        if how == "streamed":
            stream(source, next(rows))
        else:
            np.copyto(next(rows), source.reshape(-1))

    rate = per_second(write, BATCH)
    row = _named("(write bandwidth)", SIZE, f"planes, {how}", BATCH, 1, steps=rate)
    return row | {"bytes_per_s": rate * source[0].nbytes}


def _start() -> JsonObject:
    """Measure a new process with compiled kernels in the cache, from its start to the end of its first step."""
    program = (
        "from goalmaze.envs.vector import MazeVectorEnv\n"
        f"env = MazeVectorEnv('GreenExit', {BATCH}, size={SIZE})\n"
        "env.reset(seed=0)\n"
        "env.step(env.action_space.sample())\n"
        "print(flush=True)\n"
    )
    seconds = []
    for _ in range(TRIALS):
        begun = time.perf_counter()
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            cast(IO[bytes], process.stdout).readline()
            seconds.append(time.perf_counter() - begun)
    return _named("GreenExit", SIZE, "a new process", BATCH, 1) | {"seconds": min(seconds)}


def _named(
    family: str,
    size: int,
    observation: str,
    batch: int,
    threads: int,
    *,
    steps: float | None = None,
    levels: float | None = None,
    bytes_per_env: float | None = None,
) -> JsonObject:
    return {
        "family": family,
        "size": size,
        "observation": observation,
        "batch": batch,
        "threads": threads,
        "steps_per_s": steps,
        "levels_per_s": levels,
        "bytes_per_env": bytes_per_env,
        "seconds": None,
    }


class _Walk:
    """Random steps in a vector environment that gives a new level after each episode.

    The actions are drawn beforehand, so that the random generator is not measured.
    """

    def __init__(self, family: Family, observation: str, batch: int, seed: int, into_buffer: bool) -> None:
        self.env = MazeVectorEnv(
            family, batch, observation=observation, autoreset_mode=AutoresetMode.NEXT_STEP, copy=False
        )
        first, _ = self.env.reset(seed=seed)
        self.actions: NDArray[np.int64] = np.random.default_rng(seed).integers(0, 4, (DRAWN_AHEAD, batch))
        self.buffer = np.zeros((DRAWN_AHEAD, *first.shape), np.uint8) if into_buffer else None
        self.number = 0

    @property
    def bytes_per_env(self) -> float:
        """Memory of one environment and its observation, without the rollout buffer."""
        return self.env.nbytes / self.env.num_envs

    def step(self) -> None:
        """Take one step in every environment."""
        t = self.number % DRAWN_AHEAD
        if self.buffer is None:
            self.env.step(self.actions[t])
        else:
            self.env.step_into(self.actions[t], self.buffer[t])
        self.number += 1


def per_second(task: Callable[[], object], units: int) -> float:
    """Return units of work per second of a task that is called repeatedly: the best of `TRIALS` trials.

    Args:
        task: does `units` units of work a call.
        units: per call.
    """
    # the first call compiles and warms up
    task()
    return max(_trial(task, units) for _ in range(TRIALS))


def _trial(task: Callable[[], object], units: int) -> float:
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        task()
        done += units
    return done / (time.perf_counter() - begun)
