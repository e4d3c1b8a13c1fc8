"""Checkpoints: what was saved comes back bit for bit, and whatever is wrong with a file is said, never swallowed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import safetensors
import torch
from pickles import LeavesTrace, check_code_is_never_run
from safetensors.torch import save_file

from goalmaze.agents import checkpoints
from goalmaze.agents.checkpoints import Header, StoredShape, load_checkpoint, save_checkpoint
from goalmaze.agents.files import write_atomically, write_json
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view

GOLDEN = Path(__file__).parent.parent / "golden" / "agents"
"""Files as older versions wrote them."""


def seeing(observation: tuple[int, ...], **others: Any) -> dict[str, Any]:
    """Return a shape as plain data."""
    return dataclasses.asdict(StoredShape(observation, **{"actions": 4, **others}))


@pytest.fixture
def path(tmp_path: Path, network: Network, family: Family) -> Path:
    path = tmp_path / CHECKPOINT
    save_checkpoint(path, network, family, 1234)
    return path


def parts(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return a checkpoint's header document and its tensors."""
    with safetensors.safe_open(path, "pt") as file:
        return json.loads(file.metadata()["goalmaze"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def rewrite(path: Path, document: dict[str, Any], tensors: dict[str, torch.Tensor], *, seal: bool = True) -> None:
    """Write a checkpoint with any header, by default with a digest that fits it: a well-made wrong file."""
    if seal:
        header = msgspec.convert(document, Header)
        document = {**document, "digest": checkpoints.digest_of(header, tensors)}
    save_file(tensors, path, {"goalmaze": json.dumps(document)})


def test_a_checkpoint_comes_back_bit_for_bit(path: Path, network: Network, family: Family) -> None:
    loaded, world, header = load_checkpoint(path)
    assert world == family
    assert (header.steps, header.family, header.network) == (1234, "GreenExit", "grid")
    assert loaded.options == network.options
    assert not loaded.training
    planes = torch.from_numpy(first_observations(family.levels(0, np.arange(20))))
    with torch.inference_mode():
        for one, other in zip(network(planes), loaded(planes), strict=True):
            assert torch.equal(one, other)
        fresh = make_network("grid", network.shape, {"channels": 8, "blocks": 2, "hidden": 16})
        assert not torch.equal(network(planes)[0], fresh(planes)[0])


def test_an_agent_loads_by_folder_and_by_file(path: Path) -> None:
    by_folder, by_file = load_agent(str(path.parent)), load_agent(str(path))
    assert by_folder.header == by_file.header
    assert by_folder.policy.network is by_folder.network


def test_a_truncated_file_is_refused_wherever_it_was_cut(path: Path) -> None:
    whole = path.read_bytes()
    for length in sorted({*range(12), *np.linspace(12, len(whole) - 1, 80, dtype=int).tolist(), len(whole) - 1}):
        path.write_bytes(whole[:length])
        with pytest.raises(GoalmazeError, match="truncated or no safetensors file"):
            load_checkpoint(path)
    path.write_bytes(whole)
    load_checkpoint(path)


def test_a_flipped_bit_is_refused_or_changes_nothing(path: Path) -> None:
    whole = path.read_bytes()
    network, family, header = load_checkpoint(path)
    start_of_weights = 8 + int.from_bytes(whole[:8], "little")
    choice = np.random.default_rng(0)
    in_header = choice.choice(8 * start_of_weights, 600, replace=False)
    in_weights = choice.integers(8 * start_of_weights, 8 * len(whole), 150)
    refused = 0
    for bit in (*in_header.tolist(), *in_weights.tolist()):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            loaded, world, says = load_checkpoint(path)
        except GoalmazeError:
            refused += 1
            continue
        assert (world, says) == (family, header)
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor.view(torch.uint8), loaded.state_dict()[name].view(torch.uint8))
    assert refused > 700


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 99), ("parameters", {"size": 7, "braid": 0.3, "correlation": 1.0, "salience": 5}), ("version", "9")],
)
def test_a_header_changed_by_hand_does_not_match_its_digest(path: Path, field: str, value: object) -> None:
    document, tensors = parts(path)
    rewrite(path, {**document, field: value}, tensors, seal=False)
    with pytest.raises(GoalmazeError, match="damaged"):
        load_checkpoint(path)
    rewrite(path, document, tensors, seal=False)
    load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "GreenExti"}, r"does not fit this version of goalmaze: unknown family.*did you mean 'GreenExit'"),
        ({"parameters": {"colour": 3}}, "unknown parameter of GreenExit 'colour'"),
        ({"parameters": {"size": 8}}, "size is 8: mazes need an odd size"),
        ({"parameters": {"braid": "much"}}, "braid|Expected `float`"),
        ({"network": "grit"}, "unknown network 'grit'"),
        ({"network_options": {"channels": 8, "deep": True}}, "unknown option of network grid 'deep'"),
        ({"network_options": {"channels": 9, "blocks": 2, "hidden": 16}}, "does not fit"),
        ({"network_options": {"channels": 8, "blocks": 3, "hidden": 16}}, "does not fit"),
        ({"network_options": {"channels": -8}}, "does not fit"),
        ({"network_options": {"channels": 2**62}}, "does not fit"),
        ({"network_options": {"channels": 2**70}}, "does not fit"),
        ({"network_options": {"channels": 0}}, "does not fit.*channels"),
        ({"network_options": {"blocks": 10**9}}, "does not fit.*blocks"),
        ({"network": "drc", "network_options": {"layers": -3}}, "does not fit.*layers"),
        ({"network": "lstm"}, "tensor 'gates.bias' is nothing, network lstm .* needs float32 256"),
        ({"shape": seeing((4, 7, 7), actions=5)}, "tensor 'policy.bias' is float32 4, .* needs float32 5"),
        ({"shape": seeing((9, 7, 7))}, "observations of 9x7x7 do not fit family GreenExit at size 7, .* 4x7x7"),
        ({"shape": seeing((4, 9, 9))}, "observations of 4x9x9 do not fit"),
        ({"shape": seeing((64, 64, 3), mode="rgb64")}, "network grid does not accept observation mode 'rgb64'"),
        ({"shape": seeing((4, 7, 7), mode="rbg64")}, "unknown observation mode 'rbg64'.*'rgb64'"),
        ({"shape": seeing((5, 7, 7), mode="partial", radius=99)}, "radius is 99: choose 1 to 16"),
        ({"parameters": {"size": 2**31 + 1}}, "size is 2147483649: mazes have at most 255"),
    ],
)
def test_a_wellformed_header_that_does_not_fit_is_named(path: Path, changes: dict[str, Any], message: str) -> None:
    document, tensors = parts(path)
    rewrite(path, {**document, **changes}, tensors)
    with pytest.raises(GoalmazeError, match=message):
        load_checkpoint(path)


def test_a_network_for_other_planes_than_the_family_has_is_refused(path: Path, family: Family) -> None:
    save_checkpoint(path, make_network("grid", Shape((5, 7, 7), 4), {"channels": 4, "blocks": 1}), family, 0)
    with pytest.raises(GoalmazeError, match="observations of 5x7x7 do not fit family GreenExit"):
        load_checkpoint(path)


@pytest.mark.parametrize("more", [{}, {"new_field": 1}])
def test_a_newer_format_is_refused_with_the_advice_to_update(path: Path, more: dict[str, Any]) -> None:
    document, tensors = parts(path)
    rewrite(path, {**document, "format": 3, **more}, tensors, seal=False)
    with pytest.raises(GoalmazeError, match=r"has format 3, this version reads 1 to 2; update goalmaze"):
        load_checkpoint(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "1"}', '{"format": 1}', '{"format": 1, "x": 2}'])
def test_a_header_that_is_none_cannot_be_read(path: Path, text: str) -> None:
    save_file(parts(path)[1], path, {"goalmaze": text})
    with pytest.raises(GoalmazeError, match="has a header that cannot be read"):
        load_checkpoint(path)


def test_an_unknown_field_in_the_header_is_refused(path: Path) -> None:
    document, tensors = parts(path)
    rewrite(path, {**document, "surprise": 1}, tensors, seal=False)
    with pytest.raises(GoalmazeError, match=r"has a header that cannot be read.*surprise"):
        load_checkpoint(path)


@pytest.mark.parametrize("actions", [0, -1, 10**9])
def test_a_shape_out_of_range_cannot_be_read(path: Path, actions: int) -> None:
    document, tensors = parts(path)
    rewrite(path, {**document, "shape": {**document["shape"], "actions": actions}}, tensors, seal=False)
    with pytest.raises(GoalmazeError, match=rf"header that cannot be read \(actions is {actions}: choose 1 to 256"):
        load_checkpoint(path)


@contextmanager
def no_more_memory_than(more: int) -> Iterator[None]:
    """Let the system refuse, inside the context, to give this process more than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_a_giant_is_refused_before_memory_is_allocated(path: Path) -> None:
    document, tensors = parts(path)
    giant = {"channels": 1024, "blocks": 64, "hidden": 1024}
    rewrite(path, {**document, "network_options": giant}, tensors)
    with no_more_memory_than(2**29):
        with pytest.raises(GoalmazeError, match=r"tensor 'block1.conv.bias' is float32 8, .* needs float32 1024"):
            load_checkpoint(path)
        with pytest.raises(RuntimeError, match="alloc"):
            make_network("grid", Shape((4, 7, 7), 4), giant)


def test_tensors_of_another_type_are_refused(path: Path) -> None:
    document, tensors = parts(path)
    rewrite(path, document, {**tensors, "policy.bias": tensors["policy.bias"].double()})
    with pytest.raises(GoalmazeError, match=r"tensor 'policy.bias' is float64 4, .* needs float32 4"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "options", "mode"),
    [
        ("grid", {"channels": 4, "blocks": 1, "readout": "flat"}, "planes"),
        ("grid", {"channels": 4, "blocks": 1}, "crop"),
        ("lstm", {"channels": 4, "blocks": 1}, "partial"),
        ("drc", {"channels": 4, "layers": 2}, "planes"),
        ("impala", {}, "rgb64"),
        ("impala", {}, "rgb"),
    ],
)
def test_every_network_comes_back_knowing_what_it_sees(
    tmp_path: Path, family: Family, name: str, options: dict[str, Any], mode: str
) -> None:
    view = make_view(family, ObservationSpec(mode, pixels=3, radius=2))
    network = make_network(name, Shape.seeing(view), options).eval()
    save_checkpoint(tmp_path / CHECKPOINT, network, family, 7)
    agent = load_agent(str(tmp_path))
    assert agent.network.shape == network.shape == agent.header.network_shape
    assert agent.policy.view(family) == view
    levels = family.levels(0, np.arange(4))
    one, other = (rollout(policy, levels) for policy in (agent.policy, NetworkPolicy(network)))
    np.testing.assert_array_equal(one.actions, other.actions)


def test_a_checkpoint_of_format_1_loads_as_what_it_is(tmp_path: Path) -> None:
    path = GOLDEN / "format-1.safetensors"
    document, tensors = parts(path)
    assert document["format"] == 1
    network, family, header = load_checkpoint(path)
    size = document["parameters"]["size"]
    assert (header.format, header.network_shape) == (2, Shape((document["planes"], size, size), document["actions"]))
    assert (header.steps, header.version, header.family) == tuple(document[k] for k in ("steps", "version", "family"))
    assert network.options.readout == "cell"
    for tensor, values in network.state_dict().items():
        assert torch.equal(values, tensors[tensor])
    save_checkpoint(tmp_path / CHECKPOINT, network, family, header.steps)
    assert parts(tmp_path / CHECKPOINT)[0]["format"] == 2
    planes = torch.from_numpy(first_observations(family.levels(0, np.arange(20))))
    again = load_checkpoint(tmp_path / CHECKPOINT)[0]
    assert torch.equal(again(planes)[0], network(planes)[0])


def test_a_checkpoint_of_format_1_is_checked_as_any_other(tmp_path: Path) -> None:
    document, tensors = old_document()
    path = tmp_path / CHECKPOINT
    save_file(tensors, path, {"goalmaze": json.dumps(document)})
    assert load_checkpoint(path)[2].network_shape == Shape((4, 7, 7), 4)
    for changes, message in (
        ({"steps": 6}, "is damaged"),
        ({"planes": 5}, "is damaged"),
        ({"shape": {}}, "has a header that cannot be read.*shape"),
    ):
        save_file(tensors, path, {"goalmaze": json.dumps({**document, **changes})})
        with pytest.raises(GoalmazeError, match=message):
            load_checkpoint(path)


def old_document() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return a checkpoint as format 1 had it, its digest computed by hand."""
    tensors = make_network("grid", Shape((4, 7, 7), 4), {"channels": 2, "blocks": 0, "hidden": 3}).state_dict()
    document = {
        "format": 1,
        "family": "GreenExit",
        "parameters": {"size": 7},
        "network": "grid",
        "network_options": {"channels": 2, "blocks": 0, "hidden": 3},
        "planes": 4,
        "actions": 4,
        "steps": 5,
        "version": "0.1.0",
        "digest": "",
    }
    digest = hashlib.blake2b(json.dumps(document, separators=(",", ":")).encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} torch.float32 {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return {**document, "digest": digest.hexdigest()}, tensors


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file_is_named_as_such(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"w": torch.zeros(3)}, tmp_path / "w.safetensors", metadata)
    with pytest.raises(GoalmazeError, match="is a safetensors file, but not a goalmaze checkpoint"):
        load_checkpoint(tmp_path / "w.safetensors")


def test_a_missing_checkpoint_is_refused_with_what_to_name(tmp_path: Path) -> None:
    for name in (tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(GoalmazeError, match=r"no checkpoint at .*; name a run folder or zoo:NAME"):
            load_agent(str(name))


def test_a_pickle_under_our_name_is_refused_and_never_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / CHECKPOINT
    code = LeavesTrace(trace)
    writers = (lambda: path.write_bytes(pickle.dumps(code)), lambda: torch.save({"w": code}, path))
    check_code_is_never_run(trace, writers, lambda: load_checkpoint(path), "truncated or no safetensors file")


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let the system refuse, inside the context, to make any file longer, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_room_leaves_the_old_file_and_nothing_else(path: Path, network: Network, family: Family) -> None:
    old = path.read_bytes()
    with files_no_longer_than(1000), pytest.raises(GoalmazeError, match=f"cannot write {path}: File too large"):
        save_checkpoint(path, network, family, 5678)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208
    save_checkpoint(path, network, family, 5678)
    assert load_checkpoint(path)[2].steps == 5678


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_cut_short_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(_descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((GoalmazeError, KeyboardInterrupt), match=r"No space left|^$"):
        write_atomically(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
    monkeypatch.undo()
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "nowhere" / "x", tmp_path / "file" / "x", tmp_path / "folder"):
        with pytest.raises(GoalmazeError, match=f"cannot write {path}: "):
            write_atomically(path, b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_json_is_written_as_it_will_be_read(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, None], "b": {"c": "ü"}}
    write_json(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text()) == content
