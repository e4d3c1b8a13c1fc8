"""Noise of an edit's norm and the edit's own channels exchanged: their norms after clipping, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goalmaze.agents.policies import EditContext
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.edits.base import Add
from goalmaze.probes.edits.noise import EqualNormNoise, PermutedChannels, add_with_norm


@pytest.mark.parametrize("shape", [(8, 7, 7), (16,)])
def test_noise_has_the_norm_of_the_edit_in_each_level_and_no_other_likeness(shape: tuple[int, ...]) -> None:
    generator, count, ones = torch.Generator().manual_seed(0), 24, [1] * len(shape)
    activation, delta = (torch.randn((count, *shape), generator=generator) for _ in range(2))
    edit = Add("block1", delta * torch.linspace(0, 5, count).reshape(-1, *ones), strength=0.7)
    context = EditContext.at_start(np.arange(count))
    change, again, other = (EqualNormNoise(edit, count, seed)(activation, context) - activation for seed in (3, 3, 4))
    torch.testing.assert_close(change.flatten(1).norm(dim=1), 0.7 * edit.delta.flatten(1).norm(dim=1))
    assert not change[0].any()
    assert torch.equal(change, again)
    for one, another in ((change, edit.delta), (change, other)):
        cosine = torch.cosine_similarity(one.flatten(), another.flatten(), dim=0)
        assert abs(cosine) < 5 / delta.numel() ** 0.5


def test_noise_belongs_to_the_level_and_keeps_an_activation_rectified(levels: LevelBatch) -> None:
    generator = torch.Generator().manual_seed(0)
    maps, delta = (torch.randn((len(levels), 5, 7, 7), generator=generator) for _ in range(2))
    noise, rows, few = EqualNormNoise(Add("stem", delta), len(levels), 3), np.arange(len(levels)), np.array([5, 2])
    change = noise(maps, EditContext.at_start(rows)) - maps
    torch.testing.assert_close(change.flatten(1).norm(dim=1), delta.flatten(1).norm(dim=1))
    cosines = torch.nn.functional.cosine_similarity(change.flatten(1), delta.flatten(1)).abs()
    assert cosines.max() < 0.3
    torch.testing.assert_close(noise(maps[few], EditContext.at_start(few)) - maps[few], change[few])
    assert bool((noise(maps.relu(), EditContext.at_start(rows)) >= 0).all())
    assert noise.uses == noise.edit.uses
    assert noise.site == "stem"


@pytest.mark.parametrize("control", [EqualNormNoise, PermutedChannels])
def test_after_clipping_a_control_still_has_the_norm_of_the_edit(
    control: type[EqualNormNoise] | type[PermutedChannels],
) -> None:
    generator, count = torch.Generator().manual_seed(0), 16
    maps = torch.randn((count, 6, 5, 5), generator=generator).relu()
    edit = Add("block1", torch.randn((count, 6, 5, 5), generator=generator), rectified=True)
    context = EditContext.at_start(np.arange(count))
    norm = (edit(maps, context) - maps).flatten(1).norm(dim=1)
    changed = control(edit, count, 3)(maps, context)
    assert bool((changed >= 0).all())
    torch.testing.assert_close((changed - maps).flatten(1).norm(dim=1), norm, rtol=1e-3, atol=0)
    # a scale that ignores the clipping gives a change that is too small
    direction = control(edit, count, 3).direction(edit(maps, context) - maps, context)
    scaled = direction * (norm / direction.flatten(1).norm(dim=1)).reshape(-1, 1, 1, 1)
    assert bool((((maps + scaled).relu() - maps).flatten(1).norm(dim=1) < 0.98 * norm).all())


def test_permuted_channels_keep_every_square_and_move_every_channel() -> None:
    generator, count = torch.Generator().manual_seed(0), 4
    maps = torch.randn((count, 7, 3, 3), generator=generator)
    delta = torch.randn((count, 7, 3, 3), generator=generator)
    context = EditContext.at_start(np.arange(count))
    change = PermutedChannels(Add("stem", delta), count, 5)(maps, context) - maps
    torch.testing.assert_close(change.sort(dim=1).values, delta.sort(dim=1).values, rtol=1e-4, atol=1e-5)
    source = [int(torch.isclose(delta[0], channel, atol=1e-5).all(-1).all(-1).nonzero()[0]) for channel in change[0]]
    assert sorted(source) == list(range(7))
    assert all(channel != other for channel, other in enumerate(source))
    assert not torch.allclose(change, delta)


def test_a_norm_that_clipping_makes_unreachable_ends_in_a_finite_change() -> None:
    maps, down = torch.full((2, 3), 0.1), -torch.ones(2, 3)
    changed = add_with_norm(maps, down, torch.tensor([5.0, 0.05]))
    assert torch.equal(changed[0], torch.zeros(3))
    torch.testing.assert_close((changed[1] - maps[1]).norm(), torch.tensor(0.05), rtol=1e-3, atol=0)
    assert torch.equal(add_with_norm(maps, torch.zeros(2, 3), torch.zeros(2)), maps)
