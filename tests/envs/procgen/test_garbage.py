"""A game of Procgen that is garbage must not be collected while another one is being made: both need one lock."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path

from goalmaze.envs.procgen import simulator
from goalmaze.envs.procgen.simulator import ProcgenSimulator, procgen


def collections_while(make: Callable[[], object]) -> int:
    """Return how many collections begin inside the constructor of gym3 if they begin as often as they can."""
    found = 0

    def record(phase: str, _info: dict[str, int]) -> None:
        nonlocal found
        frame = sys._getframe()
        while frame is not None and phase == "start":
            code = frame.f_code
            found += code.co_name == "__init__" and Path(code.co_filename).match("gym3/libenv.py")
            frame = frame.f_back

    thresholds = gc.get_threshold()
    gc.callbacks.append(record)
    gc.set_threshold(1)
    try:
        made = make()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(record)
    assert made is not None
    return found


def test_no_collection_begins_while_a_game_is_made() -> None:
    assert collections_while(lambda: ProcgenSimulator(1, "easy")) == 0
    assert gc.isenabled()
    # gym3 alone is interrupted by collections
    assert collections_while(lambda: procgen().ProcgenGym3Env(num=1, env_name="maze", distribution_mode="easy")) > 0


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with simulator.no_garbage_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
