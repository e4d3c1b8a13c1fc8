"""How fast is Procgen's maze, edited by us, beside stock Procgen in the same run?"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from tqdm import tqdm

from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.simulator import procgen
from goalmaze.envs.procgen.vector import ProcgenVectorEnv
from goalmaze.experiments.bench.env import DRAWN_AHEAD

BATCH = 64
MODES = ("easy", "hard", "memory")
STEPS, TURNS = 40, 15
"""Steps a trial takes, and how often the engines take turns."""


def measure(full: bool) -> list[dict[str, Any]]:
    """Return two rows for each mode, batch and sign measured: ours with every level edited, and stock Procgen's.

    Rows hold `family`, `engine` ("ours" or "stock"), `mode`, `sign`, `batch`, `threads`, `steps_per_s` and `of_stock`,
    our share of stock's. Rates are of processor time, the two take turns, and each rate is the best of a few trials, so
    that what else the machine does spoils neither.
    """
    settings = [(mode, BATCH, False) for mode in (MODES if full else ("easy", "hard"))]
    settings += [("hard", BATCH, True)]
    settings += [("hard", batch, False) for batch in (1, 16, 256)] if full else []
    rows = []
    for mode, batch, sign in tqdm(settings, desc="bench procgen", unit="setting", disable=None):
        rows += _pair(mode, batch, sign)
    return rows


def _pair(mode: str, batch: int, sign: bool) -> list[dict[str, Any]]:
    """Measure both engines at one setting, in turns."""
    walks: dict[str, _Ours | _Stock] = {"ours": _Ours(mode, batch, sign), "stock": _Stock(mode, batch)}
    best = dict.fromkeys(walks, 0.0)
    for walk in walks.values():
        walk.go(STEPS)
    for _ in range(TURNS):
        for engine, walk in walks.items():
            begun = time.process_time()
            walk.go(STEPS)
            best[engine] = max(best[engine], STEPS * batch / (time.process_time() - begun))
    for walk in walks.values():
        walk.close()
    return [
        {
            "family": ProcgenMaze.name,
            "engine": engine,
            "mode": mode,
            "sign": sign if engine == "ours" else None,
            "batch": batch,
            "threads": 1,
            "steps_per_s": rate,
            "of_stock": rate / best["stock"],
        }
        for engine, rate in best.items()
    ]


class _Ours:
    """Random steps in our environment, its levels edited as they come."""

    def __init__(self, mode: str, batch: int, sign: bool) -> None:
        self._env = ProcgenVectorEnv(
            num_envs=batch, mode=mode, region=5, sign=sign, autoreset_mode=AutoresetMode.NEXT_STEP, copy=False
        )
        self._env.reset(seed=0)
        self._actions = _drawn(batch)

    def go(self, steps: int) -> None:
        """Take some steps everywhere."""
        for t in range(steps):
            self._env.step(self._actions[t % DRAWN_AHEAD])

    def close(self) -> None:
        """Free Procgen's memory."""
        self._env.close()


class _Stock:
    """The same random steps in stock Procgen's own environment."""

    def __init__(self, mode: str, batch: int) -> None:
        self._game = procgen().ProcgenGym3Env(num=batch, env_name="maze", distribution_mode=mode, num_threads=0)
        self._actions = _drawn(batch).astype(np.int32)

    def go(self, steps: int) -> None:
        """Take some steps everywhere, and look."""
        for t in range(steps):
            self._game.act(self._actions[t % DRAWN_AHEAD])
            self._game.observe()

    def close(self) -> None:
        """Free its memory."""
        self._game.close()


def _drawn(batch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng(0).integers(0, 15, (DRAWN_AHEAD, batch))
