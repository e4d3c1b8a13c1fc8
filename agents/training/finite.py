"""Checks for numbers that are NaN or infinite, with which training cannot continue."""

from __future__ import annotations

from torch import Tensor

from goalmaze.envs.errors import GoalmazeError


class NotFiniteError(GoalmazeError):
    """A number is NaN or infinite.

    Attributes:
        what: the thing that holds the number, such as "the loss".
    """

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(f"{what} is not finite{detail}")
        self.what = what


def check_finite(what: str, *tensors: Tensor) -> None:
    """Raise `NotFiniteError` if any number in the tensors is NaN or infinite."""
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise NotFiniteError(what)
