"""The published networks written out again, from their state dictionaries and torch's functions alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]


def impala(weights: State, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits [B, A] and values [B] of the procgenAISC network for pictures uint8 [B, 64, 64, 3]."""

    def conv(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=1, padding=1)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = torch.stack([pictures[..., colour] for colour in range(3)], 1) / 255.0
    for block in ("embedder.block1", "embedder.block2", "embedder.block3"):
        x = F.max_pool2d(conv(x, f"{block}.conv"), kernel_size=3, stride=2, padding=1)
        for residual in ("res1", "res2"):
            inside = conv(F.relu(x), f"{block}.{residual}.conv1")
            x = conv(F.relu(inside), f"{block}.{residual}.conv2") + x
    x = F.relu(linear(F.relu(x).reshape(len(x), -1), "embedder.fc"))
    return linear(x, "fc_policy"), linear(x, "fc_value")[:, 0]


def published_state(scale: int = 1, actions: int = 15, seed: int = 0) -> dict[str, Tensor]:
    """Return random weights under the names and in the shapes of a published agent's, made without our network."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def add(name: str, *shape: int) -> None:
        fan_in = torch.Size(shape[1:]).numel()
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        state[f"{name}.bias"] = torch.randn(shape[0], generator=generator) * 0.1

    widths = [3, 16 * scale, 32 * scale, 32 * scale]
    for block, (before, after) in enumerate(itertools.pairwise(widths), start=1):
        add(f"embedder.block{block}.conv", after, before, 3, 3)
        for residual in (1, 2):
            for conv in (1, 2):
                add(f"embedder.block{block}.res{residual}.conv{conv}", after, after, 3, 3)
    add("embedder.fc", 256, 32 * scale * 64)
    add("fc_policy", actions, 256)
    add("fc_value", 1, 256)
    return state


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Return [b, O, H, W], 3x3 kernels [O, I, 3, 3] laid over [b, I, H, W] by shifting it, zeros beyond the border."""
    height, width = x.shape[2:]
    padded = torch.zeros(*x.shape[:2], height + 2, width + 2, dtype=x.dtype)
    padded[:, :, 1:-1, 1:-1] = x
    total = torch.zeros(len(x), len(kernel), height, width, dtype=x.dtype)
    for row in range(3):
        for column in range(3):
            window = padded[:, :, row : row + height, column : column + width]
            total += torch.einsum("bihw,oi->bohw", window, kernel[:, :, row, column])
    return total


def drc(weights: State, planes: Tensor, h: list[Tensor], c: list[Tensor], ticks: int, agent: list[int]) -> Tensor:
    """Return logits [B, A] of one step of DRC(D, N) in float64; `h` and `c` [B, C, H, W] of the layers go one step on.

    Guez et al. (2019): at every tick and for every layer, from the lowest up, with x = [encoding, h of the layer below
    (for the lowest, of the top layer a tick before), W_p [max h, mean h] injected everywhere, h, 1 along the border],
    gates i, f, o = sigmoid(W x + b), then c <- f c + i tanh(W_c x + b_c) and h <- o tanh(c).
    """
    weights = {name: tensor.double() for name, tensor in weights.items()}
    channels = h[0].shape[1]
    encoding = convolve(planes.double(), weights["stem.weight"]) + weights["stem.bias"][:, None, None]
    encoding = encoding.clamp(min=0)
    border = torch.zeros(len(planes), 1, *planes.shape[2:], dtype=torch.float64)
    border[:, :, [0, -1], :] = 1
    border[:, :, :, [0, -1]] = 1
    for _ in range(ticks):
        below = h[-1]
        for d in range(len(h)):
            pooled = torch.cat([h[d].flatten(2).max(2).values, h[d].flatten(2).mean(2)], 1)
            injected = torch.zeros_like(h[d])
            injected += (pooled @ weights[f"layer{d + 1}.pool.weight"].T)[:, :, None, None]
            inputs = (encoding, below, injected, h[d], border)
            kernels = weights[f"layer{d + 1}.gates.weight"].split([channels] * 4 + [1], dim=1)
            whole = sum(convolve(x, kernel) for x, kernel in zip(inputs, kernels, strict=True))
            whole = whole + weights[f"layer{d + 1}.gates.bias"][:, None, None]
            admit, keep, tell, content = whole.split(channels, dim=1)
            c[d] = 1 / (1 + (-keep).exp()) * c[d] + 1 / (1 + (-admit).exp()) * content.tanh()
            h[d] = 1 / (1 + (-tell).exp()) * c[d].tanh()
            below = h[d]
    width = planes.shape[3]
    places = [(b, slice(None), cell // width, cell % width) for b, cell in enumerate(agent)]
    own = [torch.cat([encoding[place], h[-1][place]]) for place in places]
    hidden = (torch.stack(own) @ weights["hidden.0.weight"].T + weights["hidden.0.bias"]).clamp(min=0)
    return hidden @ weights["policy.weight"].T + weights["policy.bias"]
