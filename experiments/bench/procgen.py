"""`goalmaze bench procgen`: steps per second of Procgen's maze with edited levels, beside stock Procgen."""

from __future__ import annotations

import time

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from tqdm import tqdm

from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.simulator import procgen
from goalmaze.envs.procgen.vector import ProcgenVectorEnv
from goalmaze.experiments.bench.env import DRAWN_AHEAD

BATCH = 64
MODES = ("easy", "hard", "memory")
STEPS, TRIALS = 40, 15
"""Steps of a trial, and trials of each engine."""


def measure(full: bool) -> list[JsonObject]:
    """Return two rows for each mode, batch and sign: our engine with every level edited, and stock Procgen.

    Rows hold `family`, `engine` ("ours" or "stock"), `mode`, `sign`, `batch`, `threads`, `steps_per_s` and `of_stock`,
    the rate divided by that of stock Procgen. Rates are steps per second of processor time, the best of trials in which
    the two alternate, because other load on the machine can only lower a rate.
    """
    settings = [(mode, BATCH, False) for mode in (MODES if full else ("easy", "hard"))]
    settings += [("hard", BATCH, True)]
    settings += [("hard", batch, False) for batch in (1, 16, 256)] if full else []
    rows = []
    for mode, batch, sign in tqdm(settings, desc="bench procgen", unit="setting", disable=None):
        rows += _pair(mode, batch, sign)
    return rows


def _pair(mode: str, batch: int, sign: bool) -> list[JsonObject]:
    """Measure both engines at one setting, trial by trial."""
    engines: dict[str, _Ours | _Stock] = {"ours": _Ours(mode, batch, sign), "stock": _Stock(mode, batch)}
    best = dict.fromkeys(engines, 0.0)
    # The first steps compile and fill caches.
    for engine in engines.values():
        engine.step(STEPS)
    for _ in range(TRIALS):
        for name, engine in engines.items():
            begun = time.process_time()
            engine.step(STEPS)
            best[name] = max(best[name], STEPS * batch / (time.process_time() - begun))
    for engine in engines.values():
        engine.close()
    return [
        {
            "family": ProcgenMaze.name,
            "engine": name,
            "mode": mode,
            "sign": sign if name == "ours" else None,
            "batch": batch,
            "threads": 1,
            "steps_per_s": rate,
            "of_stock": rate / best["stock"],
        }
        for name, rate in best.items()
    ]


class _Ours:
    """Random steps in our environment, every level of which is edited."""

    def __init__(self, mode: str, batch: int, sign: bool) -> None:
        self._env = ProcgenVectorEnv(
            num_envs=batch, mode=mode, region=5, sign=sign, autoreset_mode=AutoresetMode.NEXT_STEP, copy=False
        )
        self._env.reset(seed=0)
        self._actions = _random_actions(batch)

    def step(self, steps: int) -> None:
        """Take steps in all environments."""
        for t in range(steps):
            self._env.step(self._actions[t % DRAWN_AHEAD])

    def close(self) -> None:
        """Free Procgen's memory."""
        self._env.close()


class _Stock:
    """The same random steps in stock Procgen's own environment."""

    def __init__(self, mode: str, batch: int) -> None:
        self._game = procgen().ProcgenGym3Env(num=batch, env_name="maze", distribution_mode=mode, num_threads=0)
        self._actions = _random_actions(batch).astype(np.int32)

    def step(self, steps: int) -> None:
        """Take steps in all environments and read the observations."""
        for t in range(steps):
            self._game.act(self._actions[t % DRAWN_AHEAD])
            self._game.observe()

    def close(self) -> None:
        """Free its memory."""
        self._game.close()


def _random_actions(batch: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 15, (DRAWN_AHEAD, batch))
