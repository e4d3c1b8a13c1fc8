"""The options of `impala`: what they compute, by a second way, and that without them the published layout stands."""

from __future__ import annotations

import pytest
import torch
from oracles import networks as oracle
from torch import Tensor
from torch.nn import functional as F

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.probes.activations import captured

SHAPE = Shape((64, 64, 3), 15, ObservationSpec("rgb64"))
PICTURES = torch.randint(0, 256, (3, 64, 64, 3), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)


def slow(weights: dict[str, Tensor], pictures: Tensor, stride: int, middle: float) -> Tensor:
    """Return logits [B, A]: the first convolution everywhere, and of it every `stride`-th row and column."""

    def conv(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    x = torch.stack([pictures[..., colour] for colour in range(3)], 1) / 255.0 - middle
    for number in (1, 2, 3):
        x = conv(x, f"embedder.block{number}.conv")
        x = x[:, :, ::stride, ::stride] if number == 1 else x
        x = F.max_pool2d(x, 3, 2, 1)
        for part in ("res1", "res2"):
            name = f"embedder.block{number}.{part}"
            x = x + conv(F.relu(conv(F.relu(x), f"{name}.conv1")), f"{name}.conv2")
    x = F.relu(F.relu(x).flatten(1) @ weights["embedder.fc.weight"].T + weights["embedder.fc.bias"])
    return x @ weights["fc_policy.weight"].T + weights["fc_policy.bias"]


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


def test_without_options_it_is_the_published_network() -> None:
    state = oracle.published_state(2)
    plain = make_network("impala", SHAPE, {"scale": 2})
    assert {name: tensor.shape for name, tensor in plain.state_dict().items()} == {
        name: tensor.shape for name, tensor in state.items()
    }
    with pytest.raises(RuntimeError, match=r"embedder\.fc\.weight"):
        make_network("impala", SHAPE, {"scale": 2, "stride": 2}).load_state_dict(state)


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
        ({"centred": 1}, r"network impala: Expected `bool`, got `int` - at `\$\.centred`"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        make_network("impala", SHAPE, options)
