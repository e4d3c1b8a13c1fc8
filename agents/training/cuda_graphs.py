"""CUDA graphs: a function of fixed tensors that is recorded once on a GPU and then replayed as one launch.

A small network on a GPU spends most of its time between kernels, in Python. A graph launches all kernels of a function
together. On a CPU, and for a function that no graph can hold, the function is called as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from tqdm import tqdm

Outputs: TypeAlias = tuple[Tensor, ...]

WARM_UPS = 3
"""Calls before a recording, in which libraries choose their algorithms and allocate their work space."""


class Recording(Protocol):
    """A recorded sequence of work on a device."""

    def warm_up(self, function: Callable[[], Outputs]) -> None:
        """Call the function where its work does not become part of a recording."""

    def record(self, function: Callable[[], Outputs]) -> Outputs:
        """Record the work of a function without doing it.

        Returns:
            The tensors that every replay fills.
        """

    def replay(self) -> None:
        """Do the recorded work again: the same kernels on the same memory."""


class CudaRecording:
    """A CUDA graph of the current device."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def warm_up(self, function: Callable[[], Outputs]) -> None:
        """Call the function on another stream, as recording needs; see the documentation of `torch.cuda.graph`."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                function()
        torch.cuda.current_stream().wait_stream(stream)

    def record(self, function: Callable[[], Outputs]) -> Outputs:
        """Record the work of a function into the graph."""
        with torch.cuda.graph(self._graph):
            return function()

    def replay(self) -> None:
        """Launch the graph on the current stream."""
        self._graph.replay()


class RecordedFunction:
    """A function that its first call records and every call replays.

    The function reads and writes tensors that stay where they are: fill its inputs in place before a call, and copy
    what you keep of its results, which the next call overwrites. It must not wait for the device, so it may not move
    tensors to the CPU or branch on their values.

    Args:
        function: the function; it returns tensors.
        changed: returns the tensors that the function changes in place, such as weights. They exist before the first
            call and are restored after the calls that warm up.
        recording: what records and replays it.
    """

    def __init__(
        self, function: Callable[[], Outputs], changed: Callable[[], Sequence[Tensor]], recording: Recording
    ) -> None:
        self._function, self._changed, self._recording = function, changed, recording
        self._outputs: Outputs | None = None
        self._is_recordable = True

    def __call__(self) -> Outputs:
        """Do the function's work and return its results, which the next call overwrites."""
        if self._outputs is None and self._is_recordable:
            self._record()
        if self._outputs is None:
            return self._function()
        self._recording.replay()
        return self._outputs

    def _record(self) -> None:
        changed = list(self._changed())
        before = [tensor.detach().clone() for tensor in changed]
        try:
            self._recording.warm_up(self._function)
            self._outputs = self._recording.record(self._function)
        except RuntimeError as error:
            # A network of the user's own may do what no graph can hold. The plain call then gives the same results.
            self._is_recordable = False
            reason = (str(error) or type(error).__name__).splitlines()[0]
            tqdm.write(f"goalmaze: runs without a CUDA graph, more slowly: {reason}", file=sys.stderr)
        with torch.no_grad():
            for tensor, value in zip(changed, before, strict=True):
                tensor.copy_(value)


def recorded(
    function: Callable[[], Outputs],
    device: torch.device,
    changed: Callable[[], Sequence[Tensor]] = tuple,
) -> Callable[[], Outputs]:
    """Return a function that does the same work faster on a GPU, and the function itself on a CPU.

    Arguments as `RecordedFunction`.
    """
    if device.type != "cuda":
        return function
    return RecordedFunction(function, changed, CudaRecording())


def make_state(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Make the state of an optimiser that has taken no step yet, and return its tensors; weights stay as they are.

    An optimiser of torch makes its state in the first step, which is too late for a function that is recorded. The
    optimiser is one whose state starts at zero, such as Adam; a state that exists stays as it is.
    """
    if not optimizer.state:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        weights = [parameter.detach().clone() for parameter in parameters]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        with torch.no_grad():
            for parameter, weight in zip(parameters, weights, strict=True):
                parameter.copy_(weight)
            for tensor in state_tensors(optimizer):
                tensor.zero_()
    return state_tensors(optimizer)


def state_tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return the tensors of an optimiser's state, in the order of its parameters."""
    states = optimizer.state.values()
    return [value for state in states for value in state.values() if isinstance(value, Tensor)]
