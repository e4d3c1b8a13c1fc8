"""Counter-based random numbers: streams addressed by integers, the same in any batch, order and process.

A stream is SplitMix64 (Steele, Lea & Flood, 2014): its state advances by a constant, and each number is the state
scrambled by `mix`. A stream can therefore start from any 64 bits; an address is mixed in one integer after another.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled, inlined

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32, _S11 = (np.uint64(s) for s in (27, 30, 31, 32, 11))


# The constants are those of the published SplitMix64: an odd number close to 2**64 divided by the golden ratio, and the
# multipliers of Stafford's 13th variant of MurmurHash3's finaliser. Sums and products wrap around at 2**64 on purpose.
@inlined
def mix(x: np.uint64) -> np.uint64:
    """Scramble 64 bits so that neighbouring inputs give unrelated outputs."""
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    return x ^ (x >> _S31)


@inlined
def address(seed: int, split: int, index: int) -> np.uint64:
    """Return three integers mixed into one address, from which `stream_for` makes streams."""
    # Mixed after each integer: (1, 2) and (2, 1) give unrelated addresses, which a sum would not.
    state = mix(np.uint64(seed) + _GOLDEN)
    state = mix(state + np.uint64(split) + _GOLDEN)
    return mix(state + np.uint64(index) + _GOLDEN)


@inlined
def stream_for(address: np.uint64, purpose: int) -> np.uint64:
    """Return the start of an independent random stream for one of the purposes of an address."""
    return mix(address + np.uint64(purpose) + _GOLDEN)


@compiled
def stream(seed: int, split: int, index: int, purpose: int) -> np.uint64:
    """Return the start of an independent random stream addressed by four integers."""
    return stream_for(address(seed, split, index), purpose)


@inlined
def draw(rng: np.ndarray) -> np.uint64:
    """Return the next 64 random bits of the stream held in `rng` [1] and advance it."""
    rng[0] += _GOLDEN
    return mix(rng[0])


@inlined
def scale(bits: np.uint64, bound: int) -> int:
    """Return an integer in [0, bound) from 32 random bits, by a multiplication in place of a slower remainder."""
    # Lemire (2019): the upper half of a 64-bit product. Its bias is below bound / 2**32.
    return np.int64(bits * np.uint64(bound) >> _S32)  # type: ignore[return-value]


@inlined
def below(rng: np.ndarray, bound: int) -> int:
    """Return a random integer in [0, bound)."""
    return scale(draw(rng) >> _S32, bound)


@inlined
def uniform(rng: np.ndarray) -> float:
    """Return a random float in [0, 1): 53 random bits times 2**-53, which a float64 holds exactly."""
    return float(draw(rng) >> _S11) * (1.0 / 9007199254740992.0)


ROW_SPLIT = 2**20
"""The split of the numbers drawn for rows, such as those that choose actions; levels have other splits."""


@compiled
def uniforms(seed: int, rows: np.ndarray, step: int, out: np.ndarray) -> None:
    """Fill `out` [b] with one number in [0, 1) for each row, fixed by (seed, row, step) whatever the batch."""
    rng = np.empty(1, np.uint64)
    for i in range(rows.shape[0]):
        # A stream for each number, so that no episode's actions depend on which others are still running.
        rng[0] = stream(seed, ROW_SPLIT, rows[i], step)
        out[i] = uniform(rng)
