"""The options of `impala`: what they compute, by a second way, and that without them the published layout stands."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import networks as oracle
from torch import Tensor
from torch.nn import functional as F

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.networks.impala import CellConvolution
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.probes.activations import captured

SHAPE = Shape((64, 64, 3), 15, ObservationSpec("rgb64"))
PICTURES = torch.randint(0, 256, (3, 64, 64, 3), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)


def conv(weights: dict[str, Tensor], x: Tensor, name: str) -> Tensor:
    return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)


def behind_first(weights: dict[str, Tensor], x: Tensor, pools_first: bool) -> Tensor:
    """Return logits [B, A] from the map behind the first convolution."""
    for number in (1, 2, 3):
        x = conv(weights, x, f"embedder.block{number}.conv") if number > 1 else x
        x = F.max_pool2d(x, 3, 2, 1) if number > 1 or pools_first else x
        for part in ("res1", "res2"):
            name = f"embedder.block{number}.{part}"
            x = x + conv(weights, F.relu(conv(weights, F.relu(x), f"{name}.conv1")), f"{name}.conv2")
    x = F.relu(F.relu(x).flatten(1) @ weights["embedder.fc.weight"].T + weights["embedder.fc.bias"])
    return x @ weights["fc_policy.weight"].T + weights["fc_policy.bias"]


def scaled(pictures: Tensor, middle: float) -> Tensor:
    return torch.stack([pictures[..., colour] for colour in range(3)], 1) / 255.0 - middle


def slow(weights: dict[str, Tensor], pictures: Tensor, stride: int, middle: float) -> Tensor:
    """Return logits [B, A]: the first convolution everywhere, and of it every `stride`-th row and column."""
    x = conv(weights, scaled(pictures, middle), "embedder.block1.conv")[:, :, ::stride, ::stride]
    return behind_first(weights, x, pools_first=True)


def slow_cells(weights: dict[str, Tensor], pictures: Tensor, cells: int) -> Tensor:
    """Return logits [B, A] of the option `cells`: the pixels of one cell after the other times the first weights."""
    x, side = scaled(pictures, 0.5), pictures.shape[1]
    pixels = math.ceil(side / cells)
    weight, bias = (weights[f"embedder.block1.conv.conv.{part}"] for part in ("weight", "bias"))
    first = torch.zeros(len(pictures), len(bias), cells, cells)
    for row in range(cells):
        for column in range(cells):
            for i in range(pixels):
                for j in range(pixels):
                    # The middle of pixel i of the drawn cell, in pixels of the picture; whole numbers, so exact.
                    y = (2 * (row * pixels + i) + 1) * side // (2 * cells * pixels)
                    z = (2 * (column * pixels + j) + 1) * side // (2 * cells * pixels)
                    first[:, :, row, column] += x[:, :, y, z] @ weight[:, :, i, j].T
    return behind_first(weights, first + bias[:, None, None], pools_first=False)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("centred", [False, True])
def test_stride_and_centring_compute_what_they_say(stride: int, centred: bool) -> None:
    torch.manual_seed(stride)
    network = make_network("impala", SHAPE, {"stride": stride, "centred": centred}).eval()
    weights = dict(network.state_dict())
    with torch.inference_mode():
        answer = network(PICTURES)[0]
        torch.testing.assert_close(answer, slow(weights, PICTURES, stride, 0.5 * centred), rtol=1e-4, atol=1e-6)
        other = slow(weights, PICTURES, stride, 0.5 * (not centred))
    assert (answer - other).abs().max() > 1e-3


@pytest.mark.parametrize("cells", [15, 25, 64])
def test_cells_are_read_once_each_and_keep_their_resolution(cells: int) -> None:
    torch.manual_seed(cells)
    network = make_network("impala", SHAPE, {"cells": cells, "centred": True}).eval()
    names = [f"embedder.block{number}.res2" for number in (1, 2, 3)]
    with torch.inference_mode(), captured(network, names) as seen:
        answer = network(PICTURES)[0]
    assert [seen[name].shape[2] for name in names] == [cells, math.ceil(cells / 2), math.ceil(cells / 4)]
    weights = dict(network.state_dict())
    torch.testing.assert_close(answer, slow_cells(weights, PICTURES, cells), rtol=1e-4, atol=1e-5)
    assert (answer - slow_cells(weights, PICTURES.flip(1), cells)).abs().max() > 1e-3


@given(side=st.integers(1, 96), data=st.data())
def test_no_pixel_is_lost_and_every_cell_reads_only_its_own(side: int, data: st.DataObject) -> None:
    cells = data.draw(st.integers(1, side))
    numbered = torch.arange(float(side)).expand(1, 1, side, side)
    convolution = CellConvolution(1, 1, cells, side)
    rows = convolution.drawn(numbered.movedim(3, 2))[0, 0, :, 0].long().reshape(cells, -1)
    assert torch.equal(convolution.drawn(numbered)[0, 0, 0].long(), rows.flatten())
    assert set(rows.flatten().tolist()) == set(range(side))
    for cell, pixels in enumerate(rows.tolist()):
        # In units of 1 / cells of a pixel, a cell is `side` wide and a pixel `cells`: they overlap.
        assert all((pixel + 1) * cells > cell * side and pixel * cells < (cell + 1) * side for pixel in pixels)


@pytest.mark.parametrize("channels_first", [False, True])
def test_a_picture_with_whole_cells_lies_channels_last(channels_first: bool) -> None:
    """On a CPU that layout makes the layers behind it faster; nothing else would show that it was lost."""
    pictures = torch.rand(2, 64, 64, 3).permute(0, 3, 1, 2)
    given = pictures.contiguous() if channels_first else pictures
    convolution = CellConvolution(3, 4, 15, 64)
    for maps in (convolution.drawn(given), convolution(given)):
        assert maps.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(convolution.drawn(given), convolution.drawn(pictures))


def test_without_options_it_is_the_published_network() -> None:
    state = oracle.published_state(2)
    plain = make_network("impala", SHAPE, {"scale": 2})
    assert {name: tensor.shape for name, tensor in plain.state_dict().items()} == {
        name: tensor.shape for name, tensor in state.items()
    }
    with pytest.raises(RuntimeError, match=r"embedder\.fc\.weight"):
        make_network("impala", SHAPE, {"scale": 2, "stride": 2}).load_state_dict(state)


@pytest.mark.parametrize(("scale", "widths"), [(0.5, [8, 16, 16]), (1, [16, 32, 32]), (2.5, [40, 80, 80])])
def test_scale_multiplies_the_channels_of_every_block(scale: float, widths: list[int]) -> None:
    network = make_network("impala", SHAPE, {"scale": scale, "cells": 15, "centred": True}).eval()
    assert [find_site(network, f"embedder.block{number}.res2")[0].channels for number in (1, 2, 3)] == widths
    with torch.inference_mode():
        answer = network(PICTURES)[0]
    torch.testing.assert_close(answer, slow_cells(dict(network.state_dict()), PICTURES, 15), rtol=1e-4, atol=1e-5)
    with pytest.raises(GoalmazeError, match="scale"):
        make_network("impala", SHAPE, {"scale": 0.1})


def test_a_stride_halves_the_sides_of_every_map() -> None:
    sides = {}
    for stride in (1, 2):
        network = make_network("impala", SHAPE, {"stride": stride}).eval()
        names = [f"embedder.block{number}.res2" for number in (1, 2, 3)]
        with torch.inference_mode(), captured(network, names) as seen:
            network(PICTURES)
        sides[stride] = [tuple(seen[name].shape[2:]) for name in names]
        assert all(find_site(network, name)[0].channels == seen[name].shape[1] for name in names)
    assert sides == {1: [(32, 32), (16, 16), (8, 8)], 2: [(16, 16), (8, 8), (4, 4)]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, r"network impala: Expected `int` >= 1 - at `\$\.stride`"),
        ({"stride": 5}, r"network impala: Expected `int` <= 4 - at `\$\.stride`"),
        ({"cells": 65}, r"network impala: Expected `int` <= 64 - at `\$\.cells`"),
        ({"cells": 15, "stride": 2}, "option cells=15 of network impala needs a picture"),
        ({"centred": 1}, r"network impala: Expected `bool`, got `int` - at `\$\.centred`"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        make_network("impala", SHAPE, options)


def test_cells_of_planes_are_refused() -> None:
    planes = Shape((4, 9, 9), 4, ObservationSpec("planes"))
    with pytest.raises(GoalmazeError, match="planes have one number for each cell already"):
        make_network("impala", planes, {"cells": 9})


def network_of_cells(cells: int, **options: object) -> Network:
    shape = Shape((64, 64, 3), 4, ObservationSpec("rgb64"))
    return make_network("impala", shape, {"cells": cells, "centred": True, **options})


@pytest.mark.parametrize(("given", "wanted"), [(15, 25), (25, 15), (15, 31)])
def test_resampled_weights_answer_a_constant_map_as_before(given: int, wanted: int) -> None:
    other, network = network_of_cells(given), network_of_cells(wanted)
    weights = network.resampled_from(other)
    assert weights is not None
    network.load_state_dict(weights)
    before = other.state_dict()
    kernels, readout = "embedder.block1.conv.conv.weight", "embedder.fc.weight"
    # Sums over pixels, and over the positions of every channel of the last map.
    torch.testing.assert_close(weights[kernels].sum((2, 3)), before[kernels].sum((2, 3)))
    # A whole new position lies in an old one here: where 5 become 3, the first has 5/3 of the old widths.
    if (given, wanted) == (15, 25):
        first = before[kernels][..., :2, :2]
        share = torch.tensor([1.0, 2 / 3])
        torch.testing.assert_close(weights[kernels][..., 0, 0], (first * share[:, None] * share).sum((2, 3)))
    sums = [one[readout].unflatten(1, (32, -1)).sum(2) for one in (weights, before)]
    torch.testing.assert_close(*sums)
    assert all(torch.equal(weights[name], before[name]) for name in before if name not in (kernels, readout))


def test_weights_resampled_to_the_same_size_are_the_same() -> None:
    other = network_of_cells(15)
    weights = network_of_cells(15).resampled_from(other)
    assert weights is not None
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(weights[name], tensor)


@pytest.mark.parametrize("options", [{"scale": 2}, {"centred": False}, {"cells": 0}])
def test_weights_of_another_network_are_not_resampled(options: dict[str, object]) -> None:
    wanted = network_of_cells(25)
    other = network_of_cells(**{"cells": 15, **options})  # type: ignore[arg-type]
    assert wanted.resampled_from(other) is None
    assert other.resampled_from(wanted) is None
    assert wanted.resampled_from(make_network("grid", Shape((4, 9, 9), 4, ObservationSpec("planes")))) is None
