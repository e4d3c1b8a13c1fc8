"""The search for formulas: forward selection over all features, and over conjunctions that the residual asks for.

Orthogonal least squares (Chen et al., 1989) in terms of Gram matrices, so that the samples are passed over once for all
channels. Conjunctions are screened by their correlation with what the formula so far leaves unexplained, as in
orthogonal matching pursuit (Pati et al., 1993); the best few of each channel join its candidates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.probes.units.formula import Formula, Term
from goalmaze.probes.units.library import MIN_ACTIVE
from goalmaze.probes.units.states import Values

Floats = NDArray[np.float64]
Pair = tuple[int, ...]
"""One or two columns of the library: a feature, or a conjunction."""

VALIDATION = 4
"""One sample group in so many validates the length of formulas."""


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """How formulas are searched.

    Attributes:
        terms: most terms of a formula.
        penalty: R² that a feature must add on validation mazes to be worth writing down.
        screened: conjunctions that join the candidates of a channel in each round.
        rounds: number of rounds of screening.
    """

    terms: int = 10
    penalty: float = 0.004
    screened: int = 16
    rounds: int = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """What formulas are fitted on.

    Attributes:
        rows: float32 [n, F], the features of n squares.
        targets: float32 [n, C], the channels there.
        groups: int [n], the maze of each sample; mazes whose number is divisible by `VALIDATION` validate.
        names: F names.
        gates: columns that conjunctions are formed with.
        rectified: bool [C], whether a channel is never negative.
    """

    rows: Values
    targets: Values
    groups: NDArray[np.int64]
    names: tuple[str, ...]
    gates: tuple[int, ...]
    rectified: NDArray[np.bool_]


def search(samples: Samples, options: SearchOptions | None = None) -> list[Formula]:
    """Return the formula of every channel; one without terms where no feature predicts it on validation mazes."""
    options = options or SearchOptions()
    fit = samples.groups % VALIDATION != 0
    rows, targets = samples.rows[fit], samples.targets[fit]
    active = (rows != np.median(rows, axis=0)).sum(axis=0) >= MIN_ACTIVE
    usable = np.flatnonzero(active)
    gates = [gate for gate in samples.gates if active[gate]]
    centred = rows[:, usable] - rows[:, usable].mean(axis=0)
    wanted = targets - targets.mean(axis=0)
    gram, product = (centred.T @ centred).astype(np.float64), (centred.T @ wanted).astype(np.float64)
    channels = range(targets.shape[1])
    candidates: list[list[Pair]] = [[(int(column),) for column in usable] for _ in channels]
    chosen = [_select(gram, product[:, c], candidates[c], options.terms) for c in channels]
    extra: list[list[Pair]] = [[] for _ in channels]
    for _ in range(options.rounds):
        residual = np.stack([_residual(rows, wanted[:, c], chosen[c]) for c in channels], axis=1)
        for c, found in enumerate(_screen(rows, residual, gates, usable, options.screened)):
            extra[c] = list(dict.fromkeys(extra[c] + found))
            chosen[c] = _select_with(centred, gram, product[:, c], rows, wanted[:, c], usable, extra[c], options.terms)
    return [_shortened(samples, c, chosen[c], options) for c in channels]


def _columns(rows: Values, pairs: Sequence[Pair]) -> Values:
    """Return float32 [n, k], the columns of features and conjunctions."""
    if not pairs:
        return np.empty((len(rows), 0), np.float32)
    return np.stack([rows[:, pair[0]] if len(pair) == 1 else rows[:, pair[0]] * rows[:, pair[1]] for pair in pairs], 1)


def _select(gram: Floats, product: Floats, candidates: Sequence[Pair], most: int) -> list[Pair]:
    """Return candidates in the order of forward selection, by the squared error that each takes away.

    Args:
        gram: [k, k], of the centred candidates.
        product: [k], of each with the centred channel.
        candidates: k of them.
        most: number of steps.
    """
    gram, product = gram.copy(), product.copy()
    floor = 1e-6 * gram.diagonal() + 1e-9
    order: list[Pair] = []
    for _ in range(min(most, len(candidates))):
        left = gram.diagonal()
        # A candidate that the chosen ones already span has no variance left.
        gain = np.where(left > floor, product**2 / np.maximum(left, 1e-12), 0)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        order.append(candidates[best])
        column = gram[:, best] / gram[best, best]
        product = product - column * product[best]
        gram = gram - np.outer(column, gram[best])
    return order


def _select_with(
    centred: Values,
    gram: Floats,
    product: Floats,
    rows: Values,
    wanted: Values,
    usable: NDArray[np.intp],
    extra: Sequence[Pair],
    most: int,
) -> list[Pair]:
    """Return the selection among all features and some conjunctions of one channel."""
    more = _columns(rows, extra)
    more = more - more.mean(axis=0)
    between = (centred.T @ more).astype(np.float64)
    own = (more.T @ more).astype(np.float64)
    whole = np.block([[gram, between], [between.T, own]])
    products = np.concatenate([product, (more.T @ wanted).astype(np.float64)])
    return _select(whole, products, [*((int(column),) for column in usable), *extra], most)


def _least_squares(rows: Values, wanted: Values, pairs: Sequence[Pair]) -> tuple[Floats, float]:
    """Return weights [k] and the bias."""
    design = np.concatenate([_columns(rows, pairs), np.ones((len(rows), 1), np.float32)], axis=1).astype(np.float64)
    solution: Floats = np.linalg.lstsq(design.T @ design, design.T @ wanted.astype(np.float64), rcond=1e-9)[0].astype(
        np.float64
    )
    return solution[:-1], float(solution[-1])


def _residual(rows: Values, wanted: Values, pairs: Sequence[Pair]) -> Values:
    weights, bias = _least_squares(rows, wanted, pairs)
    return (wanted - _columns(rows, pairs) @ weights - bias).astype(np.float32)


def _screen(
    rows: Values, residual: Values, gates: Sequence[int], usable: NDArray[np.intp], kept: int
) -> list[list[Pair]]:
    """Return, for each channel, the conjunctions that correlate most with its residual, [n, C]."""
    channels = residual.shape[1]
    best = np.zeros((0, channels), np.float32)
    which: NDArray[np.int64] = np.zeros((0, channels, 2), np.int64)
    sums = residual.sum(axis=0)
    for gate in gates:
        there = rows[:, gate] != 0
        # A condition selects rows, so only those enter the product.
        part = rows[there][:, usable]
        mean = part.sum(axis=0) / len(rows)
        norm = (part**2).sum(axis=0) - len(rows) * mean**2
        correlation = part.T @ residual[there] - np.outer(mean, sums)
        enough = (part != 0).sum(axis=0) >= MIN_ACTIVE
        score = np.where(enough[:, None], correlation**2 / np.maximum(norm, 1e-6)[:, None], 0).astype(np.float32)
        score[usable == gate] = 0
        top = np.argsort(-score, axis=0)[:kept]
        pairs = np.stack([np.full(top.shape, gate), usable[top]], axis=2)
        best = np.concatenate([best, np.take_along_axis(score, top, axis=0)])
        which = np.concatenate([which, pairs])
        keep = np.argsort(-best, axis=0)[: 2 * kept]
        best, which = np.take_along_axis(best, keep, axis=0), np.take_along_axis(which, keep[:, :, None], axis=0)
    found: list[list[Pair]] = []
    for c in range(channels):
        # A product of two conditions is screened twice, once from either side.
        ordered = [
            tuple(sorted((int(a), int(b)))) for (a, b), score in zip(which[:, c], best[:, c], strict=True) if score
        ]
        found.append(list(dict.fromkeys(ordered))[:kept])
    return found


def _shortened(samples: Samples, c: int, order: Sequence[Pair], options: SearchOptions) -> Formula:
    """Return the formula of the length that explains most on validation mazes, less the penalty, fitted to all."""
    check = samples.groups % VALIDATION == 0
    target, rectified = samples.targets[:, c], bool(samples.rectified[c])
    total = float(((target[check] - target[~check].mean()) ** 2).sum())
    best, best_score = 0, 0.0
    if total > 0:
        for count in range(1, len(order) + 1):
            weights, bias = _least_squares(samples.rows[~check], target[~check], order[:count])
            simulated = _columns(samples.rows[check], order[:count]) @ weights + bias
            simulated = np.maximum(simulated, 0) if rectified else simulated
            explained = 1 - float(((target[check] - simulated) ** 2).sum()) / total
            score = explained - options.penalty * sum(map(len, order[:count]))
            if score > best_score:
                best, best_score = count, score
    return _fitted(samples, c, order[:best])


def _fitted(samples: Samples, c: int, pairs: Sequence[Pair]) -> Formula:
    """Return the formula with these terms, its weights fitted to all samples."""
    target, rectified = samples.targets[:, c], bool(samples.rectified[c])
    weights, bias = _least_squares(samples.rows, target, pairs)
    if rectified and pairs:
        weights, bias = _fit_rectified(_columns(samples.rows, pairs), target, weights, bias)
    names = samples.names
    terms = [Term(tuple(names[i] for i in pair), float(w)) for pair, w in zip(pairs, weights, strict=True)]
    return Formula(tuple(terms), bias, rectified, float(target.std()))


def _fit_rectified(
    design: Values, target: Values, weights: Floats, bias: float, passes: int = 4
) -> tuple[Floats, float]:
    """Return weights and bias that lower the squared error after the cut at 0.

    Where the sum is negative the simulation is 0 whatever the weights: least squares over the other samples alone,
    repeated, as long as the error falls.
    """

    def error(weights: Floats, bias: float) -> float:
        return float(((target - np.maximum(design @ weights + bias, 0)) ** 2).sum())

    best = (weights, bias, error(weights, bias))
    for _ in range(passes):
        active = design @ weights + bias > 0
        if active.sum() <= design.shape[1] + 1:
            break
        part = np.concatenate([design[active], np.ones((int(active.sum()), 1), np.float32)], axis=1).astype(np.float64)
        solution: Floats = np.linalg.lstsq(part.T @ part, part.T @ target[active].astype(np.float64), rcond=1e-9)[
            0
        ].astype(np.float64)
        weights, bias = solution[:-1], float(solution[-1])
        if error(weights, bias) < best[2]:
            best = (weights, bias, error(weights, bias))
    return best[0], best[1]
