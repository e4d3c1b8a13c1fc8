"""Numbers that are NaN or infinite: once there is one, learning cannot go on."""

from __future__ import annotations

from torch import Tensor

from goalmaze.envs.errors import GoalmazeError


class NotFiniteError(GoalmazeError):
    """Something is NaN or infinite.

    Attributes:
        what: it is.
    """

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{what} is not finite{where}")
        self.what = what


def check_finite(what: str, *tensors: Tensor) -> None:
    """Raise `NotFiniteError` if any number in the tensors is NaN or infinite."""
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise NotFiniteError(what)
