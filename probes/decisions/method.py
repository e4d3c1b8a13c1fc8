"""The base of methods that explain decisions, and what they work on."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.envs.levels import LevelBatch, concatenate
from goalmaze.probes.decisions.counterfactuals import Counterfactuals, counterfactuals_of
from goalmaze.probes.decisions.elements import Element, elements_of, without
from goalmaze.probes.decisions.moments import Decisions

Floats = NDArray[np.float64]

GREY = 0.5
"""How far a wall or corridor is toggled where it is left out: half, since the whole change is a counterfactual."""


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """Decisions with their elements and counterfactuals.

    Attributes:
        decisions: B decisions.
        elements: of each decision.
        counterfactuals: M counterfactuals of them.
        seed: of what a method draws.
    """

    decisions: Decisions
    elements: Sequence[Sequence[Element]]
    counterfactuals: Counterfactuals
    seed: int = 0

    @classmethod
    def of(cls, decisions: Decisions, seed: int = 0) -> Study:
        """Return the study of decisions."""
        elements = elements_of(decisions.states, seed)
        return cls(decisions, elements, counterfactuals_of(decisions.states, elements, seed), seed)

    @cached_property
    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """int64 [n] twice: the decision of every element, and its number there."""
        pairs = [(b, e) for b, own in enumerate(self.elements) for e in range(len(own))]
        table = np.array(pairs, np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    @cached_property
    def most(self) -> int:
        """E, the most elements of a decision."""
        return max((len(own) for own in self.elements), default=0)

    @cached_property
    def toggled(self) -> LevelBatch:
        """N states, each of the decisions without one of its elements, in the order of `places`."""
        return concatenate(
            [without(self.decisions.states, int(b), self.elements[b][e]) for b, e in zip(*self.places, strict=True)]
        )

    @cached_property
    def changes(self) -> Tensor:
        """float32 [B, E, ...], what leaving out each element adds to the observation; 0 beyond the last element.

        Objects are removed. Walls and corridors are toggled by half.
        """
        decisions = self.decisions
        rows, numbers = self.places
        whole = decisions.observe(self.toggled, rows) - decisions.observations[torch.from_numpy(rows)]
        parts = [1.0 if self.elements[b][e].type == "object" else GREY for b, e in zip(rows, numbers, strict=True)]
        scale = torch.tensor(parts).reshape(-1, *[1] * (whole.dim() - 1))
        result = torch.zeros((len(decisions), self.most, *whole.shape[1:]))
        result[torch.from_numpy(rows), torch.from_numpy(numbers)] = whole * scale
        return result

    @cached_property
    def margins(self) -> Floats:
        """float64 [B], the margin of each decision's action."""
        return self.decisions.margins_of(self.decisions.observations, np.arange(len(self.decisions)))

    @cached_property
    def counterfactual_observations(self) -> Tensor:
        """float32 [M, ...]."""
        return self.decisions.observe(self.counterfactuals.states, self.counterfactuals.rows)

    @cached_property
    def flips(self) -> NDArray[np.bool_]:
        """bool [M], whether the likeliest action differs in each counterfactual: the truth."""
        rows = self.counterfactuals.rows
        with torch.inference_mode():
            logits = self.decisions.outputs(self.counterfactual_observations, rows)[0]
        return np.asarray(logits.argmax(dim=1).numpy() != self.decisions.actions[rows])

    def left_out(self, rows: NDArray[np.int64], kept: NDArray[np.bool_]) -> Tensor:
        """Return float32 [n, ...], the observations of decisions [n] with the elements that are not `kept` left out.

        Args:
            rows: int64 [n].
            kept: bool [n, E].
        """
        missing = torch.from_numpy(~kept).float()
        index = torch.from_numpy(rows)
        return self.decisions.observations[index] + torch.einsum("ne,ne...->n...", missing, self.changes[index])

    def table(self, values: Floats) -> Floats:
        """Return float64 [B, E] of values [n] in the order of `places`; 0 beyond the last element."""
        result = np.zeros((len(self.decisions), self.most))
        result[self.places] = values
        return result


class DecisionMethod(abc.ABC):
    """A method that divides a decision among the elements of its state.

    A subclass sets `name` and defines `attributions`.

    Attributes:
        name: the name under which it is found.
        signed: whether it says if an element speaks for or against the action; otherwise only how much it matters.
        runs_counterfactuals: whether it runs the network on the counterfactuals that it is scored on, or on parts of
            their activations.
        baseline: whether it is no explanation, and other methods must beat it.
    """

    name: ClassVar[str]
    signed: ClassVar[bool] = True
    runs_counterfactuals: ClassVar[bool] = False
    baseline: ClassVar[bool] = False

    def refusal(self, study: Study) -> str:
        """Return why the method does not apply; empty where it does."""
        return ""

    @abc.abstractmethod
    def attributions(self, study: Study) -> Floats:
        """Return float64 [B, E], by how much each element raises the margin of the action; 0 beyond the last."""

    def effects(self, study: Study) -> Floats:
        """Return float64 [M], the predicted change of the margin in each counterfactual.

        Unless a method predicts more, it is the loss of what the changed element adds.
        """
        cases = study.counterfactuals
        return -self.attributions(study)[cases.rows, cases.elements]

    def scores(self, study: Study) -> Floats:
        """Return float64 [M], larger where a flip is more likely: the predicted margin of the action, reversed."""
        effects = self.effects(study)
        return -(study.margins[study.counterfactuals.rows] + effects) if self.signed else np.abs(effects)


def gradients(decisions: Decisions, observations: Tensor, of_value: bool) -> Tensor:
    """Return float32 [B, ...], the gradient of the margin of each decision's action, or of the value.

    Args:
        decisions: B decisions.
        observations: float32 [B, ...], where the gradient is taken.
        of_value: whether the value is differentiated.
    """
    parts = []
    rows = np.arange(len(decisions))
    for part in np.array_split(rows, max(1, len(rows) // 256)):
        inputs = observations[torch.from_numpy(part)].clone().requires_grad_()
        result = decisions.outputs(inputs, part)[1] if of_value else decisions.margins(inputs, part)
        parts.append(torch.autograd.grad(result.sum(), inputs)[0])
    return torch.cat(parts)


class GradientMethod(DecisionMethod):
    """The base of methods that give each entry of the observation a slope: effects are slope × change."""

    def slopes(self, study: Study) -> Tensor:
        """Return float32 [B, ...]."""
        raise NotImplementedError

    def attributions(self, study: Study) -> Floats:
        """Return minus slope × what leaving out the element changes."""
        slopes = self.slopes(study)[:, None]
        return -(slopes * study.changes).flatten(2).sum(dim=2).double().numpy()

    def effects(self, study: Study) -> Floats:
        """Return slope × what the counterfactual changes, new places of objects included."""
        rows = torch.from_numpy(study.counterfactuals.rows)
        change = study.counterfactual_observations - study.decisions.observations[rows]
        return (self.slopes(study)[rows] * change).flatten(1).sum(dim=1).double().numpy()
