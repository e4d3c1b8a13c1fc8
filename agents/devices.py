"""Devices: the CPU, or a GPU with CUDA, on which networks run.

Only networks run on a GPU. Levels, observations, probes and edits are arrays and tensors of the CPU: what a network
returns, and what a hook reads of it, is moved there.
"""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

import torch

from goalmaze.envs.errors import GoalmazeError, unknown

DeviceName: TypeAlias = Literal["cpu", "cuda", "auto"]
"""The names of devices; "auto" is "cuda" where there is such a device, and "cpu" elsewhere."""

DEVICE_NAMES = ("cpu", "cuda", "auto")

CPU = torch.device("cpu")


def find_device(name: str) -> torch.device:
    """Return the device of a name, and set torch up for exact arithmetic on it.

    On a GPU, convolutions then compute in float32 and not in TF32, whose results differ from those of a CPU in the
    fourth digit.

    Raises:
        GoalmazeError: there is no such name, or no CUDA device on this machine.
    """
    if name not in DEVICE_NAMES:
        raise unknown("device", name, DEVICE_NAMES)
    has_cuda = name != "cpu" and torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise GoalmazeError("torch finds no CUDA device here; choose --device cpu or auto")
    if not has_cuda:
        return CPU
    # Read by cuBLAS when it starts: sums of matrix products then have a fixed order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # With its number, as tensors report it: torch.device("cuda") does not equal torch.device("cuda:0").
    return torch.device("cuda", torch.cuda.current_device())
