"""The green sign is drawn where it hangs, as strongly as asked, and nowhere else."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import first_observations
from goalmaze.envs.procgen.cue import GREEN, draw_signs
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.levels import CHEESE, SIGN


def slow(frame: np.ndarray, row: float, column: float, unit: float, strength: float) -> np.ndarray:
    """Return a frame with a square tinted, by an average over 10 x 10 samples of each pixel."""
    fine = frame.repeat(10, axis=0).repeat(10, axis=1).astype(float)
    y, x = (np.arange(640) + 0.5) / 10, (np.arange(640) + 0.5) / 10
    inside = ((y >= row) & (y < row + unit))[:, None] & ((x >= column) & (x < column + unit))[None]
    fine[inside] += strength * (GREEN - fine[inside])
    mean: np.ndarray = fine.reshape(64, 10, 64, 10, 3).mean(axis=(1, 3))
    return mean


def test_a_sign_is_a_tint_of_its_cell() -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    signs, mice = np.array([17 * 4 + 9, ABSENT, 17 * 15 + 1]), np.array([20, 20, 20])
    drawn = frames.copy()
    draw_signs(drawn, signs, mice, 17, False, 0.6, GREEN)
    unit = 64 / 15
    np.testing.assert_allclose(drawn[0], slow(frames[0], 3 * unit, 8 * unit, unit, 0.6), atol=12)
    np.testing.assert_allclose(drawn[2], slow(frames[2], 14 * unit, 0, unit, 0.6), atol=12)
    np.testing.assert_array_equal(drawn[1], frames[1])
    assert np.abs(drawn[0].astype(int) - frames[0]).max() > 50
    exact = slow(frames[0], 3 * unit, 8 * unit, unit, 0.6)
    assert np.abs(drawn[0] - exact).mean() < 0.2


def test_it_hangs_over_the_cheese_that_procgen_draws(mode: str) -> None:
    """Where the cheese changes the frame, the sign changes it too, and the sign changes no other cell."""
    family = ProcgenMaze(mode=mode, sign=True, strength=0.9, region=25 if mode != "easy" else 15)
    plain = ProcgenMaze(mode=mode, region=family.region)
    levels = family.levels(0, np.arange(200), "goal-anywhere")
    bare = levels.removed(SIGN)
    with_sign, without = first_observations(levels), first_observations(bare)
    no_cheese = first_observations(bare.removed(CHEESE))
    cheese = (without != no_cheese).any(axis=3)
    sign = (with_sign != without).any(axis=3)
    visible = cheese.any(axis=(1, 2))
    assert visible.sum() > 20
    assert (cheese & sign).sum() / cheese.sum() > 0.97
    unit = int(np.ceil(64 / (8 if mode == "memory" else family.size - 2))) + 1
    assert sign.sum(axis=(1, 2)).max() <= unit**2
    assert plain.slots != family.slots


def test_in_memory_mode_it_moves_with_the_view() -> None:
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    draw_signs(frames, np.array([33 * 10 + 10]), np.array([33 * 10 + 10]), 33, True, 1.0, GREEN)
    rows, columns = np.nonzero(frames[0, :, :, 1])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (28, 35, 28, 35)
    far = np.zeros((1, 64, 64, 3), np.uint8)
    draw_signs(far, np.array([33 * 20 + 10]), np.array([33 * 10 + 10]), 33, True, 1.0, GREEN)
    assert not far.any()
