"""Published IMPALA agents: their files load, mean what their authors' network means, and run no code."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracles import networks as oracle
from pickles import LeavesTrace, check_code_is_never_run
from torch import Tensor

from goalmaze.agents import langosco
from goalmaze.agents.checkpoints import load_checkpoint, save_checkpoint
from goalmaze.agents.langosco import read_langosco
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.policies import NetworkPolicy, move_probabilities
from goalmaze.agents.rollout import observations_of, rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.vector import MazeVectorEnv
from goalmaze.probes.activations import captured

PICTURES = torch.randint(0, 256, (5, 64, 64, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def publish(path: Path, state: dict[str, Any], **more: Any) -> Path:
    """Write a file as procgenAISC writes its own."""
    optimiser = {"state": {0: {"step": 5, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 5e-4, "params": [0]}]}
    torch.save({"model_state_dict": state, "optimizer_state_dict": optimiser, **more}, path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return publish(tmp_path / "model_rand_region_5.pth", oracle.published_state())


@pytest.mark.parametrize("scale", [1, 4])
def test_an_imported_agent_computes_what_the_published_architecture_does(tmp_path: Path, scale: int) -> None:
    state = oracle.published_state(scale)
    network = read_langosco(publish(tmp_path / "agent.pth", state)).eval()
    assert network.options.scale == scale
    swapped = dict(state)
    one, other = "embedder.block2.res1.conv1.weight", "embedder.block2.res1.conv2.weight"
    swapped[one], swapped[other] = state[other], state[one]
    with torch.inference_mode():
        answer = network(PICTURES)
        expected = oracle.impala(state, PICTURES)
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)
        assert answer[0].shape == (5, 15)
        assert (answer[0] - oracle.impala(swapped, PICTURES)[0]).abs().max() > 0.01
        torch.testing.assert_close(network(PICTURES.permute(0, 3, 1, 2)), answer)


def test_its_sites_hold_what_their_names_say(path: Path) -> None:
    network = read_langosco(path).eval()
    names = [site.name for site in network.sites()]
    weights = network.state_dict()
    with torch.inference_mode(), captured(network, names) as latest:
        logits, _ = network(PICTURES)
    sides = {"embedder.block1.conv": 64, "embedder.block1.res2": 32, "embedder.block2.maxpool": 16, "embedder.relu": 8}
    for site in network.sites():
        assert latest[site.name].shape[:2] == (5, site.channels)
        if site.name in sides:
            assert latest[site.name].shape[2:] == (sides[site.name],) * 2
    expected = latest["embedder.hidden"] @ weights["fc_policy.weight"].T + weights["fc_policy.bias"]
    torch.testing.assert_close(expected, logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(latest["embedder.relu"], latest["embedder.block3.res2"].relu())


def test_a_fresh_one_begins_as_published() -> None:
    torch.manual_seed(0)
    network = make_network("impala", Shape((64, 64, 3), 15, ObservationSpec("rgb64")))
    published = oracle.published_state()
    assert {name: tensor.shape for name, tensor in network.state_dict().items()} == {
        name: tensor.shape for name, tensor in published.items()
    }
    for name, tensor in network.state_dict().items():
        if name.endswith("bias"):
            assert not tensor.any()
    for name, inputs, outputs in (("embedder.fc", 2048, 256), ("embedder.block2.conv", 16 * 9, 32 * 9)):
        bound = (6 / (inputs + outputs)) ** 0.5
        weight = network.get_parameter(f"{name}.weight")
        assert float(weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
        assert float(weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    for name, gain in (("fc_policy", 0.01), ("fc_value", 1.0)):
        weight = network.get_parameter(f"{name}.weight").detach()
        torch.testing.assert_close(weight @ weight.T, gain**2 * torch.eye(len(weight)), rtol=0, atol=1e-5)


def test_an_imported_agent_becomes_a_checkpoint_and_plays(path: Path, tmp_path: Path) -> None:
    family = make_family("Corner", {"size": 9, "corner": 3})
    network = read_langosco(path)
    save_checkpoint(tmp_path / "checkpoint.safetensors", network, family, 0)
    loaded, world, header = load_checkpoint(tmp_path / "checkpoint.safetensors")
    assert (world, header.shape.mode, header.shape.actions) == (family, "rgb64", 15)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(PICTURES), network(PICTURES), rtol=0, atol=0)
    policy = NetworkPolicy(loaded)
    for size in (9, 13):
        world = family.resized(size)
        trajectory = rollout(policy, world.levels(0, np.arange(6)), seed=1)
        assert set(np.unique(trajectory.actions)) <= {-1, 0, 1, 2, 3}


def test_what_it_sees_in_a_rollout_is_what_the_environment_shows(path: Path) -> None:
    family = make_family("Corner", {"size": 9})
    mazes = MazeVectorEnv(family, 4, observation="rgb64", split="evaluation")
    shown, _ = mazes.reset(seed=3)
    policy = NetworkPolicy(read_langosco(path))
    seen = observations_of(policy, family.levels(3, np.arange(4)))
    np.testing.assert_array_equal(seen, shown)
    assert not np.array_equal(seen, observations_of(policy, family.levels(4, np.arange(4))))


def test_procgens_actions_are_summed_by_where_they_move() -> None:
    logits = torch.randn(200, 15, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    probabilities = torch.softmax(logits, 1).numpy()
    moving = {0: [5], 1: [6, 7, 8], 2: [3], 3: [0, 1, 2]}
    moves = move_probabilities(logits)
    for action, group in moving.items():
        expected = sum(probabilities[:, a] for a in group) / sum(probabilities[:, a] for a in (0, 1, 2, 3, 5, 6, 7, 8))
        np.testing.assert_allclose(moves[:, action], expected)
    assert move_probabilities(logits[:, :4].float()).shape == (200, 4)
    with pytest.raises(GoalmazeError, match=r"the network has 7 actions: agents in mazes have 4, or Procgen's 15"):
        NetworkPolicy(make_network("grid", Shape((4, 9, 9), 7), {"channels": 2, "blocks": 0}))


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key != name}


WHOLE = oracle.published_state()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({**WHOLE, "gru.gru.weight_ih_l0": torch.zeros(3)}, r"is a recurrent agent \(it has gru.gru.weight_ih_l0\)"),
        (without(WHOLE, "fc_policy.weight"), r"not a published IMPALA agent: it has no tensor 'fc_policy.weight'"),
        (without(WHOLE, "fc_value.bias"), r"tensor 'fc_value.bias' is nothing, network impala .* needs float32 1"),
        ({**WHOLE, "more.weight": torch.zeros(2)}, r"tensor 'more.weight' is float32 2, .* needs nothing"),
        (
            {**WHOLE, "embedder.fc.weight": WHOLE["embedder.fc.weight"].T},
            r"tensor 'embedder.fc.weight' is float32 2048x256, .* needs float32 256x2048",
        ),
        ({**WHOLE, "embedder.block1.conv.weight": torch.zeros(20, 3, 3, 3)}, "channels are not a multiple of 16"),
        ({**WHOLE, "embedder.block1.conv.weight": torch.zeros(0, 3, 3, 3)}, "Expected `int` >= 1"),
        ({**WHOLE, "embedder.block1.conv.weight": torch.zeros(16, 4, 3, 3)}, "is float32 16x4x3x3"),
        ({**WHOLE, "fc_policy.weight": torch.zeros(10**6, 256)[:, :0]}, "actions is 1000000: choose 1 to 256"),
        ({**WHOLE, "fc_policy.weight": "weights"}, "'fc_policy.weight' is not an ordinary tensor"),
        (oracle.published_state(actions=5), "the network has 5 actions: agents in mazes have 4, or Procgen's 15"),
        ({**WHOLE, "fc_policy.bias": torch.zeros(15, dtype=torch.int32)}, "holds torch.int32 and not weights"),
        (
            {**WHOLE, "fc_policy.bias": torch.full((15,), torch.nan)},
            "'fc_policy.bias' holds numbers that are not finite",
        ),
        ({**WHOLE, "fc_policy.bias": torch.full((15,), 1e300, dtype=torch.float64)}, "that are not finite"),
        ({}, "it has no tensor 'fc_policy.weight'"),
        (None, "'model_state_dict' is not a table of tensors"),
    ],
)
def test_another_layout_is_refused_by_name(tmp_path: Path, state: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        read_langosco(publish(tmp_path / "agent.pth", state))


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "agent.pth"
    code = LeavesTrace(trace)
    writers = (
        lambda: publish(path, oracle.published_state(), note=code),
        lambda: path.write_bytes(pickle.dumps({"model_state_dict": code})),
        lambda: torch.save({"model_state_dict": code}, path, _use_new_zipfile_serialization=False),
    )
    message = "damaged or holds more than tensors, and was not opened"
    check_code_is_never_run(trace, writers, lambda: read_langosco(path), message)


def test_other_files_are_refused_in_one_line(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    other = tmp_path / "other.pth"
    for content in (b"", b"hello", whole[:100], whole[: len(whole) // 2], whole[:-30]):
        other.write_bytes(content)
        with pytest.raises(GoalmazeError, match=r"was not opened"):
            read_langosco(other)
    torch.save({"policy": torch.zeros(3), "steps": 5}, other)
    with pytest.raises(GoalmazeError, match=r"holds policy, steps, not 'model_state_dict'"):
        read_langosco(other)
    torch.save(torch.zeros(3), other)
    with pytest.raises(GoalmazeError, match=r"holds Tensor, not 'model_state_dict'"):
        read_langosco(other)
    with pytest.raises(GoalmazeError, match=r"no file at"):
        read_langosco(tmp_path)


def test_a_flipped_bit_is_never_imported_as_another_weight(path: Path, tmp_path: Path) -> None:
    whole, other = path.read_bytes(), tmp_path / "other.pth"
    expected = read_langosco(path).state_dict()
    bits = np.random.default_rng(0).integers(0, 8 * len(whole), 16)
    end = np.random.default_rng(1).integers(8 * (len(whole) - 4000), 8 * len(whole), 16)
    refused = 0
    for bit in [*bits, *end]:
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        other.write_bytes(content)
        try:
            tensors = read_langosco(other).state_dict()
        except GoalmazeError:
            refused += 1
            continue
        # Some bits, such as those of times, mean nothing.
        assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    assert refused > 16
    # Negative control: PyTorch reads a file with another weight without complaint.
    content = bytearray(whole)
    at = whole.index(expected["fc_policy.weight"].numpy().tobytes()[:64])
    content[at] ^= 1
    other.write_bytes(content)
    loaded = torch.load(other, weights_only=True)["model_state_dict"]
    assert not torch.equal(loaded["fc_policy.weight"], expected["fc_policy.weight"])
    with pytest.raises(GoalmazeError, match=r"other.pth is damaged"):
        read_langosco(other)


def test_a_view_of_one_number_is_not_unpacked_to_terabytes(tmp_path: Path) -> None:
    huge = torch.zeros(1).expand(10**6, 10**6)
    with pytest.raises(GoalmazeError, match=r"'embedder.fc.weight' is not an ordinary tensor"):
        read_langosco(publish(tmp_path / "agent.pth", {**WHOLE, "embedder.fc.weight": huge}))
    one = torch.zeros(2**20, dtype=torch.float16)
    views = {f"more.{i}": one for i in range(300)}
    with pytest.raises(GoalmazeError, match=r"its weights need 1,2.* bytes, more than an agent has"):
        read_langosco(publish(tmp_path / "views.pth", {**WHOLE, **views}))


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("archive/data/0", bytes(2**24))
    assert os.path.getsize(path) < 2**16  # noqa: PTH202
    monkeypatch.setattr(langosco, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(GoalmazeError, match=r"unpacks to 16,777,216 bytes, more than an agent has"):
        read_langosco(path)


def test_weights_of_half_precision_and_from_elsewhere_are_read_as_float32(tmp_path: Path) -> None:
    state = {name: tensor.half() for name, tensor in oracle.published_state().items()}
    network = read_langosco(publish(tmp_path / "half.pth", state))
    expected = oracle.impala({name: tensor.float() for name, tensor in state.items()}, PICTURES)
    with torch.inference_mode():
        torch.testing.assert_close(network(PICTURES), expected, rtol=1e-4, atol=1e-4)
