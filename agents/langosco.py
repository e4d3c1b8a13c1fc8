"""The agents that Langosco et al. (2022) published as PyTorch files. Reading a file runs no code from it."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from goalmaze.agents.checkpoints import network_from_tensors
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.networks.impala import WIDTHS, ImpalaNetwork
from goalmaze.envs.actions import check_action_count
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import FRAME_PIXELS
from goalmaze.envs.text_files import is_file

WEIGHTS = "model_state_dict"
"""The entry of a published file that holds the weights."""

FIRST, LAST = "embedder.block1.conv.weight", "fc_policy.weight"
"""The first and the last layer, whose shapes give a network's width and its number of actions."""

RECURRENT = "gru."
"""Prefix of the tensors that only recurrent agents have."""

MAX_FILE_BYTES = 2**30
"""Largest unpacked size of a file and of its weights, in bytes; a published agent with its optimiser has about 10^7."""


def read_langosco(path: Path) -> ImpalaNetwork:
    """Read a feed-forward agent of procgenAISC, such as `maze_I/model_rand_region_5.pth`.

    Raises:
        GoalmazeError: there is no such file, it holds anything but tensors, or the tensors of another network, such as
            one whose number of actions cannot be played.
    """
    tensors = _weights(path)
    recurrent = next((name for name in tensors if name.startswith(RECURRENT)), None)
    if recurrent:
        raise GoalmazeError(f"{path} is a recurrent agent (it has {recurrent}); import one trained without recurrence")
    try:
        shape = _shape(tensors)
        network = network_from_tensors(ImpalaNetwork.name, shape, {"scale": _scale(tensors)}, tensors)
        # After the tensors are known to be those of the network: its number of actions then means what it says.
        check_action_count(shape.actions)
        return cast(ImpalaNetwork, network)
    except (GoalmazeError, RuntimeError) as error:
        raise GoalmazeError(f"{path} is not a published IMPALA agent: {str(error).splitlines()[0]}") from None


def _shape(tensors: Mapping[str, Tensor]) -> Shape:
    """Return the shape of the network's input, which is Procgen's picture, and of its output."""
    return Shape((FRAME_PIXELS, FRAME_PIXELS, 3), int(_matrix(tensors, LAST, 2).shape[0]), ObservationSpec("rgb64"))


def _scale(tensors: Mapping[str, Tensor]) -> int:
    """Return the network's `scale`: 1 or 4 in the published agents."""
    scale, rest = divmod(_matrix(tensors, FIRST, 4).shape[0], WIDTHS[0])
    if rest:
        raise GoalmazeError(f"its first convolution's channels are not a multiple of {WIDTHS[0]}")
    return scale


def _matrix(tensors: Mapping[str, Tensor], name: str, axes: int) -> Tensor:
    if name not in tensors or tensors[name].dim() != axes:
        raise GoalmazeError(f"it has no tensor '{name}' with {axes} axes")
    return tensors[name]


def _weights(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file as float32 on the CPU."""
    content = _load(path)
    if not isinstance(content, dict) or WEIGHTS not in content:
        holds = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else type(content).__name__
        raise GoalmazeError(f"{path} holds {holds or 'nothing'}, not '{WEIGHTS}': give a file as procgenAISC saved it")
    weights = content[WEIGHTS]
    if not isinstance(weights, dict):
        raise GoalmazeError(f"{path}: '{WEIGHTS}' is not a table of tensors; give a file as procgenAISC saved it")
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or not _is_ordinary(tensor):
            raise GoalmazeError(f"{path}: '{name}' is not an ordinary tensor; give a file as procgenAISC saved it")
        if not tensor.is_floating_point():
            raise GoalmazeError(f"{path}: '{name}' holds {tensor.dtype} and not weights; give another file")
    # Before memory is allocated: many tensors may be views of one small part of the file.
    size = sum(4 * tensor.numel() for tensor in weights.values())
    if size > MAX_FILE_BYTES:
        raise GoalmazeError(f"{path}: its weights need {size:,} bytes, more than an agent has ({MAX_FILE_BYTES:,})")
    return {name: tensor.float().contiguous() for name, tensor in weights.items()}


def _is_ordinary(tensor: Tensor) -> bool:
    """Return whether a tensor is a dense one in main memory that holds each of its numbers itself."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    # Strides of 0 show one number as many: a file of 1 kB could hold a tensor of terabytes.
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _is_zip(path: Path) -> bool:
    """Return whether PyTorch or Python takes a file for a zip file: one looks at its begin, the other at its end."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04" or zipfile.is_zipfile(path)


def _check_sums(path: Path) -> None:
    """Compare the parts of a zip file with their CRC-32, which `torch.load` does not do.

    Raises:
        GoalmazeError: a part does not match, or two parts have one name. Files of PyTorch before 1.6 are no zip files
            and have no sums.
    """
    if not _is_zip(path):
        return
    with zipfile.ZipFile(path) as parts:
        names = parts.namelist()
        damaged = parts.testzip()
    if damaged is not None or len(set(names)) < len(names):
        raise GoalmazeError(
            f"{path} is damaged ({damaged or 'a part is there twice'}), and was not opened; get it again"
        )


def _load(path: Path) -> object:
    """Return the content of a PyTorch file, with its tensors on the CPU.

    Raises:
        GoalmazeError: there is no such file, it is too large, damaged, or holds anything but tensors and plain data.
    """
    if not is_file(path):
        raise GoalmazeError(f"no file at {path}; name a .pth file of procgenAISC")
    try:
        # A small zip file can unpack to any size, so the sizes of its parts are added up before it is read.
        size = path.stat().st_size
        if _is_zip(path):
            with zipfile.ZipFile(path) as parts:
                size = sum(part.file_size for part in parts.infolist())
        if size > MAX_FILE_BYTES:
            raise GoalmazeError(f"{path} unpacks to {size:,} bytes, more than an agent has ({MAX_FILE_BYTES:,})")
        _check_sums(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # weights_only refuses every pickled object that could run code.
            return torch.load(path, map_location="cpu", weights_only=True)
    except GoalmazeError:
        raise
    except Exception as error:  # the readers of zip and pickle raise many kinds of errors for damaged files
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise GoalmazeError(f"{path} is damaged or holds more than tensors, and was not opened ({reason})") from None
