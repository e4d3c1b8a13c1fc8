"""Window probes: what is beside a square is predicted by 3×3 and not by 1×1 probes; single channels as probes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.readout.channel_probes import fit_channel_probes
from goalmaze.probes.readout.fitting import SquareFitter, count_correct
from goalmaze.probes.readout.linear import GlobalFitter
from goalmaze.probes.readout.windows import SquareClassFitter, WindowCellFitter, windows

SIDE = 6


def noise(mazes: int, channels: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(mazes, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def beside(mazes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return maps, and for every square which channel of its right neighbour is higher, 0 or 1; 0 at the border."""
    maps = noise(mazes, 3, seed)
    right = torch.zeros_like(maps)
    right[..., :-1] = maps[..., 1:]
    return maps, (right[:, 1] > right[:, 0]).long().flatten(1)


def test_windows_are_what_lies_around_each_square() -> None:
    maps = noise(2)
    unfolded = windows(maps, 3).reshape(2, 3, 3, 3, SIDE, SIDE)
    padded = np.pad(maps.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for row in range(SIDE):
        for column in range(SIDE):
            around = padded[:, :, row : row + 3, column : column + 3]
            np.testing.assert_array_equal(unfolded[:, :, :, :, row, column], around)
    assert torch.equal(windows(maps, 1), maps)
    with pytest.raises(GoalmazeError, match="a window of 2x2 has no square in its middle"):
        windows(maps, 2)


def test_what_is_beside_a_square_is_predicted_by_a_window_and_not_by_the_square() -> None:
    maps, labels = beside(300)
    held_out, truth = beside(100, 1)
    scores = [
        float((SquareClassFitter(maps, side).fit(labels, 2)(held_out) == truth).float().mean()) for side in (1, 3)
    ]
    assert scores[1] > 0.97
    assert abs(scores[0] - float((truth == 0).float().mean())) < 0.05
    shuffled = labels[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    of_shuffled = SquareClassFitter(maps, 3).fit(shuffled, 2)
    assert float((of_shuffled(held_out) == truth).float().mean()) < 0.7


def test_the_square_probe_is_a_logistic_regression_on_squares() -> None:
    maps, _ = beside(60)
    labels = (maps[:, 0] + 0.5 * maps[:, 2] + 0.7 * noise(60, 1, 5)[:, 0] > 0.3).long().flatten(1)
    labels[:, ::7] = -1
    probe = SquareClassFitter(maps).fit(labels, 2)
    x, y = maps.movedim(1, -1).reshape(-1, 3).double().numpy(), labels.flatten().numpy()
    train = (np.arange(len(y)) < 48 * SIDE**2) & (y >= 0)
    mean, scale = x[train].mean(0), x[train].std(0, ddof=1)
    model = LogisticRegression(C=2 / (probe.penalty * train.sum()), tol=1e-8).fit((x[train] - mean) / scale, y[train])
    ours = (probe.kernel[1] - probe.kernel[0])[:, 0, 0].double().numpy() * scale
    np.testing.assert_allclose(ours, model.coef_[0], atol=0.02)


def test_the_window_cell_probe_predicts_a_cell_from_its_neighbours() -> None:
    rng = torch.Generator().manual_seed(4)
    labels = torch.randint(0, SIDE**2, (800,), generator=rng)
    labels = torch.where(labels % SIDE == SIDE - 1, labels - 1, labels)
    maps = noise(800)
    maps.flatten(2)[torch.arange(800), :, labels + 1] += torch.tensor([5.0, -4.0, 0.0])
    fit, test = slice(600), slice(600, None)
    window = WindowCellFitter(maps[fit]).fit(labels[fit])
    assert count_correct(window, maps[test], labels[test])[0] > 170
    assert count_correct(SquareFitter(maps[fit]).fit(labels[fit]), maps[test], labels[test])[0] < 30
    cells = window(maps[test][:5])
    scores = sum(
        correlate(maps[test][:5, c].numpy(), window.kernel[c].numpy()[None], mode="constant") for c in range(3)
    )
    np.testing.assert_array_equal(cells, scores.reshape(5, -1).argmax(1))


def test_channels_that_encode_a_cell_are_found_with_their_sign() -> None:
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(0, SIDE**2, (400,), generator=rng)
    labels[::10] = -1
    maps = noise(400, 5)
    rows = labels >= 0
    maps.flatten(2)[rows, 3, labels[rows]] += 6
    maps.flatten(2)[rows, 1, labels[rows]] -= 4
    maps[:, 4] = 2.0
    probes = fit_channel_probes(maps[:200], labels[:200], maps[200:], labels[200:])
    assert probes.best(2) == (3, 1)
    assert probes.signs[[3, 1]].tolist() == [1, -1]
    assert probes.labelled == 180
    assert probes.accuracy[3] > 0.95
    assert probes.accuracy[[0, 2]].max() < 0.12
    assert probes.correct[4] == 0


@pytest.mark.parametrize("kind", ["square", "window", "classes", "global"])
def test_a_probe_of_another_network_is_refused(kind: str) -> None:
    maps, labels = beside(60)
    cells = labels.argmax(1)
    probe = {
        "square": lambda: SquareFitter(maps).fit(cells),
        "window": lambda: WindowCellFitter(maps).fit(cells),
        "classes": lambda: SquareClassFitter(maps, 3).fit(labels, 2),
        "global": lambda: GlobalFitter(maps).fit_cells(cells, SIDE**2),
    }[kind]()
    with pytest.raises(GoalmazeError, match=r"probe reads \d+ features, the activation has \d+; fit it at this site"):
        probe(noise(2, 4))
