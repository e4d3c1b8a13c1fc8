"""Reuse of forward passes: a network without memory gives equal observations of one level equal probabilities.

An agent that stands still, turns back or waits for the time limit meets states that it has met before. Under a
distinguishing shift these are most of the steps of an agent that pursues the cue.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.networks.base import RecurrentNetwork
from goalmaze.agents.networks.external import ExternalNetwork
from goalmaze.agents.policies import Actor, NetworkPolicy, Observations, Policy, Probabilities, Rows
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import View

Number = TypeVar("Number", bound=np.generic)

MIN_PASS = 32
"""Fewest observations in a forward pass whose results are reused. Matrix products round differently for a handful of
rows; from 16 rows on, the probabilities of a row do not depend on the others, bit for bit."""

MAX_BYTES = 2**27
"""Most memory that the kept observations of one batch of episodes take, in bytes."""

DIGEST_BYTES, MAX_WHOLE = 16, 2**10
"""Bytes of a digest, and of the largest observation that is kept whole. Pictures have 12,288: few of them would fit."""

Keys = NDArray[np.uint8]
"""uint8 [b, K]: the bytes of each observation, or their digest."""


def keys_of(observations: Observations) -> Keys:
    """Return what observations uint8 [b, ...] are compared by: their bytes, of large ones a digest."""
    flat = np.ascontiguousarray(observations.reshape(len(observations), -1))
    if flat.shape[1] <= MAX_WHOLE:
        return flat
    digests = b"".join(blake2b(row, digest_size=DIGEST_BYTES).digest() for row in flat)
    return np.frombuffer(digests, np.uint8).reshape(len(flat), DIGEST_BYTES)


def reusing(policy: Policy) -> Policy:
    """Return a policy that acts as the given one, bit for bit, with fewer forward passes where that is possible.

    It is possible for a network without memory. A module of the user's own may have a state and stays as it is.
    """
    if not isinstance(policy, NetworkPolicy) or isinstance(policy.network, RecurrentNetwork | ExternalNetwork):
        return policy
    return ReusingPolicy(policy)


class ReusingPolicy:
    """A policy that computes each observation of an episode once.

    Args:
        policy: the policy of a network without memory.
    """

    def __init__(self, policy: NetworkPolicy) -> None:
        self._policy = policy

    def begin(self, levels: LevelBatch) -> Actor:
        """Return an actor that keeps the probabilities of these episodes."""
        # An edit may depend on the step, so that equal observations have different probabilities.
        return self._policy.begin(levels) if self._policy.edits else ReusingActor(self._policy, levels, MAX_BYTES)

    def view(self, family: Family) -> View:
        """Return the view that draws the network's observations in levels of a family."""
        return self._policy.view(family)


class ReusingActor:
    """A network without memory that acts in a batch of B episodes and keeps the probabilities of its observations.

    For each level and cell it keeps the latest observation that it computed there. A kept observation is compared with
    all of the present one, so that an object that moved or was collected is noticed.

    Args:
        policy: computes the probabilities of observations, which depend on nothing else.
        levels: the B levels.
        most: bytes of memory that the kept observations take at most.
    """

    def __init__(self, policy: Actor, levels: LevelBatch, most: int) -> None:
        self._policy, self._most = policy, most
        # The number of the entry that is kept for the agent's cell in each level; -1 for none.
        self._entries = np.full((len(levels), levels.height * levels.width), -1, np.int32)
        self._keys: Keys = np.empty((0, 0), np.uint8)
        self._probabilities: Probabilities = np.empty((0, 0), np.float32)
        self._count = 0

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], the probability of each action."""
        if len(rows) < MIN_PASS:
            return self._policy.probabilities(rows, observations, agent)
        entries, keys = self._entries[rows, agent], keys_of(observations)
        known = self._known(entries, keys)
        chosen = np.flatnonzero(~known)
        if not len(chosen):
            return self._probabilities[entries]
        if len(chosen) < MIN_PASS:
            # Known observations fill the pass up, so that it rounds as a large one does.
            chosen = np.sort(np.concatenate([chosen, np.flatnonzero(known)[: MIN_PASS - len(chosen)]]))
        computed = self._policy.probabilities(rows[chosen], observations[chosen], agent[chosen])
        result = np.empty((len(rows), computed.shape[1]), np.float32)
        if self._count:
            result[known] = self._probabilities[entries[known]]
        result[chosen] = computed
        fresh = ~known[chosen]
        self._keep(rows[chosen[fresh]], agent[chosen[fresh]], keys[chosen[fresh]], computed[fresh])
        return result

    def _known(self, entries: NDArray[np.int32], keys: Keys) -> Bools:
        """Return bool [b], whether the entry of an agent's cell holds the present observation."""
        known: Bools = entries >= 0
        rows = np.flatnonzero(known)
        if len(rows):
            known[rows] = (self._keys[entries[rows]] == keys[rows]).all(axis=1)
        return known

    def _keep(self, rows: Rows, agent: Cells, keys: Keys, probabilities: Probabilities) -> None:
        """Keep the probabilities [n, 4] of new observations; nothing where the memory is used up."""
        end = self._count + len(rows)
        if end * keys.shape[1] > self._most:
            return
        if end > len(self._keys):
            # Doubled, so that each key is copied about once.
            size = max(2 * len(self._keys), end)
            self._keys = _grown(self._keys, (size, keys.shape[1]))
            self._probabilities = _grown(self._probabilities, (size, probabilities.shape[1]))
        self._keys[self._count : end] = keys
        self._probabilities[self._count : end] = probabilities
        self._entries[rows, agent] = np.arange(self._count, end)
        self._count = end


def _grown(array: NDArray[Number], shape: tuple[int, int]) -> NDArray[Number]:
    """Return an array of a larger shape that begins with the rows of the given one."""
    grown = np.empty(shape, array.dtype)
    if len(array):
        grown[: len(array)] = array
    return grown
